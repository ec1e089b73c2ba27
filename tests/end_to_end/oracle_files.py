"""Which files a package holds, by names alone: logs, dumps, forum files, course folders.

Written from the texts about the package, without looking at the product: slow and obvious.
"""

import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROD, EDGE = "prod", "edge"
DAY = re.compile(r"(\d{4}-\d{2}-\d{2})")
TABLES = (
    "auth_user",
    "auth_userprofile",
    "student_courseenrollment",
    "user_id_map",
    "student_anonymoususerid",
    "student_languageproficiency",
    "student_courseaccessrole",
    "django_comment_client_role_users",
    "user_api_usercoursetag",
    "certificates_generatedcertificate",
    "courseware_studentmodule",
    "grades_persistentcoursegrade",
    "grades_persistentsubsectiongrade",
    "credit_crediteligibility",
    "course_groups_cohortmembership",
    "verify_student_verificationstatus",
    "teams",
    "teams_courseteam",
    "teams_membership",
    "teams_courseteammembership",
    "wiki_article",
    "wiki_articlerevision",
    "assessment_rubric",
    "assessment_criterion",
    "assessment_criterionoption",
    "assessment_assessment",
    "assessment_assessmentpart",
    "assessment_assessmentfeedback",
    "assessment_assessmentfeedback_assessments",
    "assessment_assessmentfeedback_options",
    "assessment_assessmentfeedbackoption",
    "assessment_peerworkflow",
    "assessment_peerworkflowitem",
    "assessment_studenttrainingworkflow",
    "assessment_studenttrainingworkflowitem",
    "assessment_trainingexample",
    "assessment_trainingexample_options_selected",
    "submissions_studentitem",
    "submissions_submission",
    "submissions_score",
    "submissions_scoresummary",
    "workflow_assessmentworkflow",
    "workflow_assessmentworkflowstep",
    "course_structure",
)


@dataclass(frozen=True, order=True)
class Run:
    """A course run at one site; the stem is what the names of its files begin with."""

    stem: str
    site: str

    @property
    def database(self) -> str:
        name = self.stem.replace(".", "").replace("-", "_")
        return f"{name}_Edge" if self.site == EDGE else name

    @property
    def key(self) -> str:
        """The database's name without the organisation: what its own tables are called by."""
        return self.database.partition("_")[2]

    @property
    def discussion(self) -> str:
        return f"{self.stem}-{self.site}"


@dataclass(frozen=True)
class Dump:
    """A table file, or the course structure file."""

    run: Run
    table: str
    path: Path


@dataclass(frozen=True)
class Log:
    """A tracking log with its decoded bytes."""

    path: Path
    content: bytes

    @property
    def site(self) -> str:
        return EDGE if "-edge-events-" in self.path.name.lower() else PROD

    @property
    def day(self) -> str | None:
        """The day in the name, such as ``2016-02-01``."""
        found = DAY.search(self.path.name)
        return found[1] if found else None

    def lines(self) -> list[bytes]:
        """Every line that is not blank, without its end."""
        return [line for line in self.content.split(b"\n") if line.strip()]


def read_log(path: Path) -> Log:
    data = path.read_bytes()
    return Log(path, gzip.decompress(data) if path.suffix == ".gz" else data)


def all_logs(root: Path) -> list[Log]:
    """The logs of a package, whatever their content."""
    folder = root / "clickstream_logs" / "latest"
    names = sorted(path.name for path in folder.glob("*.log*"))
    plain = {name for name in names if name.endswith(".log")}
    packed = {name for name in names if name.endswith(".log.gz")}
    # The same log twice, once packed and once not, is one log.
    chosen = plain | {name for name in packed if name.removesuffix(".gz") not in plain}
    return [read_log(folder / name) for name in sorted(chosen)]


def counting_logs(root: Path) -> list[Log]:
    """The logs of a package, without those whose content came already under another name."""
    first: dict[bytes, Log] = {}
    for log in all_logs(root):
        first.setdefault(log.content, log)
    return list(first.values())


def state_folder(root: Path) -> Path:
    latest = root / "database_state" / "latest"
    if latest.exists():
        return latest
    dated = [path for path in (root / "database_state").iterdir() if DAY.search(path.name)]
    return max(dated, key=lambda path: path.name)


def all_dumps(folder: Path) -> Iterator[Dump]:
    for path in sorted([*folder.rglob("*.sql"), *folder.glob("*-course_structure-*.json")]):
        stem, table, suffix = split_name(path.name.rsplit(".", 1)[0])
        yield Dump(Run(stem, EDGE if "edge" in suffix else PROD), table, path)


def split_name(name: str) -> tuple[str, str, str]:
    """Stem, table and suffix of a dump's name: the rightmost known table divides it."""
    places = {table: name.rfind(f"-{table}-") for table in TABLES}
    table = max(places, key=lambda one: places[one])
    assert places[table] > 0, f"no known table in the name {name}"
    return name[: places[table]], table, name[places[table] + len(table) + 2 :]


def all_forums(folder: Path) -> dict[Run, Path]:
    found = {}
    for path in sorted(folder.glob("*.mongo")):
        stem, _, site = path.stem.rpartition("-")
        is_named = site in {PROD, EDGE}
        found[Run(stem, site) if is_named else Run(path.stem, PROD)] = path
    return found


def course_folders(folder: Path, known: set[Run]) -> dict[Run, Path]:
    """The unpacked course exports; a folder's name says no site, its dumps do."""
    found = {}
    for path in sorted(folder.glob("*/course.xml")):
        stem = path.parent.name
        sites = sorted(run.site for run in known if run.stem == stem)
        found[Run(stem, sites[-1] if sites else PROD)] = path.parent
    return found
