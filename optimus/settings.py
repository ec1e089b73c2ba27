"""Every setting: where it comes from, what it may be, what it means.

A setting is looked for in the environment (``OPTIMUS_<NAME>``, lists as JSON), then in
``config.py`` (the original's names in capitals), then here. All that is wrong is
reported at once. This is the only place that reads either.
"""

import difflib
import os
import runpy
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from optimus.errors import SettingsError
from optimus.servers import MongoServer, SqlServer

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT_PREFIX = "OPTIMUS_"
SHORTEST_KEY = 16
S3_SOURCE = "^s3://[a-z0-9][a-z0-9.-]+(/.*)?$"

WITHOUT_EFFECT = {
    "SYMLINK_ENABLED": "a 'latest' that is a link, a folder or absent is understood by itself",
    "SERVER_URL": "course structures are read from the package, not over the network",
    "OUTPUT_DIRECTORY": "say WWW_PATH for the JSON files and EXPORT_PATH for the CSV files",
    "MONGO_PATH": "no program of MongoDB is called",
    **dict.fromkeys(
        ("RESET_CACHE", "RESET_CACHE_URL", "RESET_CACHE_USER", "RESET_CACHE_PASS"),
        "this version does not call the cache of another application",
    ),
    **dict.fromkeys(
        ("FAB_HOSTS", "FAB_GITHUB_URL", "FAB_REMOTE_PATH"),
        "this version is not deployed with Fabric",
    ),
}
"""Settings of the original that this version knows and does not use, and why."""


def _from_root(path: Path) -> Path:
    return path if path.is_absolute() else ROOT / path


RootedPath = Annotated[Path, AfterValidator(_from_root)]
"""A path; a relative one starts at the folder of ``ingestor.py``."""


class _Environment(EnvSettingsSource):
    """The environment; a list that is no JSON is left for the validation to name."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Read a list as JSON."""
        try:
            return super().decode_complex_value(field_name, field, value)
        except ValueError:
            return value


class Settings(BaseSettings):
    """All settings, validated. The order here is the order in the documentation."""

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX, extra="forbid", validate_default=True, frozen=True
    )

    data_paths: list[RootedPath] = Field(
        default=[Path("data")],
        description="Folders that hold data packages: clickstream_logs/ and database_state/.",
    )
    clickstream_prefix: str = Field(
        default="",
        description="Take only tracking logs whose name starts with this, such as 'uqx-edx-'.",
    )
    dbstate_prefix: str = Field(
        default="",
        description="Take only database dumps and courses whose name starts with this.",
    )
    delivery_paths: list[RootedPath] = Field(
        default=[],
        description="Folders where deliveries arrive as edX sends them: package zips, .gpg logs.",
    )
    publish_path: RootedPath | None = Field(
        default=None,
        description="One of DATA_PATHS, that deliveries are unpacked to; blank: the first.",
    )
    publish_group: str = Field(
        default="", description="Group that unpacked files are given to; blank: the daemon's own."
    )
    publish_mode: str = Field(
        default="0640",
        pattern="^0?[0-7]{3}$",
        description="Rights of unpacked files, in octal; folders get an x wherever files get an r.",
    )
    unpack_logs: bool = Field(
        default=True, description="Unpack logs to .log; False keeps them as .log.gz, a tenth of it."
    )
    gpg_home: RootedPath | None = Field(
        default=None, description="Folder of GnuPG's keys; blank: that of the daemon's user."
    )
    gpg_passphrase_file: RootedPath | None = Field(
        default=None,
        description="File with the passphrase of the key; blank: none, or gpg-agent knows it.",
    )
    s3_sources: list[Annotated[str, StringConstraints(pattern=S3_SOURCE)]] = Field(
        default=[],
        description="Where deliveries are fetched from, as s3://bucket/prefix.",
    )
    s3_endpoint: str = Field(
        default="", description="URL of another store that speaks S3; blank: Amazon's."
    )
    s3_interval: int = Field(
        default=3600, ge=10, description="Seconds between two looks at S3_SOURCES."
    )
    max_drop: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="A course whose table loses more than this share of its rows is held back.",
    )
    ignore_services: list[str] = Field(
        default=[], description="Services that do not run, by folder name or original spelling."
    )
    state_path: RootedPath = Field(
        default=Path("var"),
        description="Where queue, logs, locks, rejects and fetched deliveries live.",
    )
    lake_path: RootedPath = Field(
        default=Path("var/lake"), description="The folder of Parquet files that queries read."
    )
    export_path: RootedPath = Field(
        default=Path("var/exports"),
        description="Where CSV files and samples of learners are written.",
    )
    www_path: RootedPath = Field(
        default=Path("www"), description="Where JSON for the web is written."
    )
    sql_host: str = Field(
        default="",
        description="MySQL or MariaDB server of queue and tables; blank: SQLite, no tables.",
    )
    sql_port: int = Field(default=3306, ge=1, le=65535, description="Its port.")
    sql_username: str = Field(default="", description="The account on it.")
    sql_password: SecretStr = Field(default=SecretStr(""), description="The account's password.")
    sql_socket: Path | None = Field(
        default=None, description="Unix socket of the server, used instead of host and port."
    )
    sql_tls_ca: RootedPath | None = Field(
        default=None,
        description="File of the authorities that vouch for the server; with it TLS is used.",
    )
    mysql_legacy_text: bool = Field(
        default=True,
        description="Course tables as the original wrote them: text, null as the word NULL.",
    )
    mysql_leave_out: list[str] = Field(
        default=[], description="Tables of the dumps that stay out of MySQL, in the lake alone."
    )
    mongo_host: SecretStr = Field(
        default=SecretStr(""),
        description="MongoDB of events and forums: host, host:port or mongodb:// URI; blank: none.",
    )
    workers: int = Field(
        default=os.cpu_count() or 1, ge=1, le=64, description="Files ingested at the same time."
    )
    scan_interval: int = Field(
        default=300, ge=1, description="Seconds between two full looks at the data folders."
    )
    settle_seconds: float = Field(
        default=10.0, ge=0, description="Seconds a file must rest unchanged before it is read."
    )
    max_attempts: int = Field(
        default=5, ge=1, description="Tries before an item that fails for unknown reasons rests."
    )
    stall_seconds: int = Field(
        default=600, ge=10, description="Seconds without progress after which a worker is replaced."
    )
    stop_timeout: float = Field(
        default=8.0, gt=0, description="Seconds that running files get to stop by themselves."
    )
    max_reject_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="A file with over 100 rejects and more than this share fails, until accepted.",
    )
    certified_statuses: list[str] = Field(
        default=["downloadable", "audit_passing"],
        description="Certificate statuses that count as certified in person_course.",
    )
    emailcrm_full_export: bool = Field(
        default=True,
        description="Export all of the contact list each time; False: what changed since the last.",
    )
    sample_courses: list[str] = Field(
        default=[],
        description="Course runs that extract_sample makes a small package of, by database name.",
    )
    sample_size: int = Field(default=100, ge=1, description="Learners in such a sample.")
    sample_passing: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="Share of them that earned a certificate; blank: as in the course run.",
    )
    sample_seed: int = Field(default=1, description="Another number draws other learners.")
    pseudonym_key: SecretStr = Field(
        default=SecretStr(""),
        description="Secret of 16 characters or more; with it samples hold pseudonyms alone.",
    )
    geoip_country_db: RootedPath | None = Field(
        default=None,
        description="A country .mmdb file; else services/ip_to_country/lib/ is looked through.",
    )
    geoip_city_db: RootedPath | None = Field(
        default=None,
        description="A city .mmdb file; else services/ip_to_country/lib/ is looked through.",
    )
    api_host: str = Field(default="127.0.0.1", description="The address the REST API listens on.")
    api_port: int = Field(default=8850, ge=0, le=65535, description="The port of the REST API.")

    @field_validator("mongo_host")
    @classmethod
    def _understand_mongo_host(cls, value: SecretStr) -> SecretStr:
        try:
            MongoServer.at(value.get_secret_value() or "localhost")
        except SettingsError as error:
            raise ValueError(str(error)) from error
        return value

    @field_validator("pseudonym_key")
    @classmethod
    def _want_a_long_key(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < SHORTEST_KEY:
            raise ValueError(f"it has fewer than {SHORTEST_KEY} characters and could be guessed")
        return value

    @property
    def publish_folder(self) -> Path:
        """The data folder that deliveries are unpacked to."""
        return self.publish_path or self.data_paths[0]

    @property
    def awaits_deliveries(self) -> bool:
        """Whether deliveries are to be unpacked into the data folders."""
        return bool(self.delivery_paths or self.s3_sources)

    @property
    def fetched_path(self) -> Path:
        """Where deliveries from S3 are kept: a folder like those of DELIVERY_PATHS."""
        return self.state_path / "fetched"

    @property
    def queue_path(self) -> Path:
        """The queue's SQLite file; not used when the queue is in MySQL."""
        return self.state_path / "queue.sqlite"

    @property
    def legacy_path(self) -> Path:
        """Where ``import-legacy`` writes logs: a data folder like those of DATA_PATHS."""
        return self.state_path / "legacy"

    @property
    def queue_place(self) -> Path | SqlServer:
        """Where the queue is: a server, or a file."""
        return self.sql_server or self.queue_path

    @property
    def sql_server(self) -> SqlServer | None:
        """The server of queue and tables; None when there is none."""
        if not (self.sql_host or self.sql_socket):
            return None
        return SqlServer(
            host=self.sql_host or "localhost",
            port=self.sql_port,
            username=self.sql_username,
            password=self.sql_password.get_secret_value(),
            socket=self.sql_socket,
            certificates=self.sql_tls_ca,
        )

    @property
    def mongo_server(self) -> MongoServer | None:
        """The server of events and forums; None when there is none."""
        host = self.mongo_host.get_secret_value()
        return MongoServer.at(host) if host else None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over ``config.py``, which wins over the defaults."""
        return _Environment(settings_cls), init_settings


class FixedSettings(Settings):
    """Settings that a program gives in full: neither the environment nor a file is read."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the library's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Look nowhere else."""
        return (init_settings,)


SECRETS = {name for name, field in Settings.model_fields.items() if field.annotation is SecretStr}
"""Settings that no message may show."""


def load_settings(config: Path | None = None) -> Settings:
    """Read and check all settings.

    Args:
        config: the settings file; when None, ``config.py`` beside ``ingestor.py`` if there is one.

    Raises:
        SettingsError: naming every setting that is unknown or wrong.
    """
    values, origin = _config_values(config)
    known = {name.upper() for name in Settings.model_fields}
    problems = _unknown_names(origin, set(values) - known, known)
    from_environment = {
        name.removeprefix(ENVIRONMENT_PREFIX)
        for name in os.environ
        if name.startswith(ENVIRONMENT_PREFIX)
    }
    problems += _unknown_names("the environment", from_environment - known, known)
    usable = {name.lower(): value for name, value in values.items() if name in known}
    try:
        settings = Settings(**usable)
    except ValidationError as error:
        problems += [_sentence(dict(fault)) for fault in error.errors()]
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = "\n".join(f"  - {problem}" for problem in problems)
        raise SettingsError(
            f"The settings have {count}:\n{lines}\nconfig.example.py explains every setting."
        )
    return settings


def settings_without_effect(config: Path | None = None) -> list[str]:
    """Sentences about settings of the original that are set and have no effect here."""
    values, _ = _config_values(config)
    return [
        f"{name} is set and has no effect: {WITHOUT_EFFECT[name]}."
        for name, value in sorted(values.items())
        if name in WITHOUT_EFFECT and value not in (None, "", False, [])
    ]


def _config_values(config: Path | None) -> tuple[dict[str, Any], str]:
    path = config or ROOT / "config.py"
    if not path.is_file():
        if config is not None:
            raise SettingsError(f"{path}: no such settings file; copy config.example.py there.")
        return {}, "config.py"
    try:
        names = runpy.run_path(str(path))
    except Exception as error:  # whatever a settings file can raise, the operator must read it
        raise SettingsError(f"{path} cannot be read: {type(error).__name__}: {error}") from error
    return {name: value for name, value in names.items() if name.isupper()}, path.name


def _unknown_names(origin: str, names: set[str], known: set[str]) -> list[str]:
    problems = []
    for name in sorted(names - set(WITHOUT_EFFECT)):
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        problems.append(f"{origin}: {name} is no setting{hint}")
    return problems


def _sentence(fault: dict[str, Any]) -> str:
    name, *rest = fault["loc"]
    where = str(name).upper() + "".join(f"[{part}]" for part in rest)
    message = str(fault["msg"])
    hint = "; in the environment lists are JSON, like '[\"/data\"]'" if "list" in message else ""
    shown = "(hidden)" if name in SECRETS else repr(fault["input"])
    return f"{where} = {shown}: {message}{hint}"
