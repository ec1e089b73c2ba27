"""Pages that are written from the code, so that they cannot disagree with it.

``make docs`` writes them; a test says when they have grown old.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from optimus.package.tables import KNOWN_TABLES
from optimus.registry import every_service
from optimus.service import Service
from optimus.settings import ENVIRONMENT_PREFIX, ROOT, WITHOUT_EFFECT, Settings

EXAMPLE_HEAD = '''\
"""Settings: copy this file to config.py and change what differs. All are optional.

Each one can be given in the environment as well, where it wins: OPTIMUS_<NAME>, lists as
JSON. Relative paths start at the folder of ingestor.py. './ingestor.py check' says what is
wrong with them.
"""

import os
'''
GENERATED = "<!-- Written by `make docs` from the code. Change the code, not this page. -->\n"


def pages() -> dict[Path, str]:
    """Every generated file with its content."""
    return {
        ROOT / "config.example.py": _example(),
        ROOT / "docs" / "settings.md": _settings_page(),
        ROOT / "docs" / "outputs.md": _outputs_page(),
    }


def main() -> None:
    """Write all pages."""
    for path, content in pages().items():
        path.write_text(content)


def _default(field: FieldInfo, name: str) -> str:
    """The default as Python, paths as text; what the machine decides is a word."""
    value: Any = field.default
    if name == "workers":
        return "the number of processor cores"
    if value is PydanticUndefined:
        return ""
    if isinstance(value, bool | None):
        return repr(value)
    return json.dumps(value, default=str)


def _example() -> str:
    lines = [EXAMPLE_HEAD]
    for name, field in Settings.model_fields.items():
        value = _default(field, name)
        lines.append(f"# {field.description}")
        lines.append(f"{name.upper()} = {'os.cpu_count()' if name == 'workers' else value}\n")
    return "\n".join(lines).rstrip() + "\n"


def _settings_page() -> str:
    lines = [
        GENERATED,
        "# Settings\n",
        (
            "In `config.py` (copy `config.example.py`) or in the environment as "
            f"`{ENVIRONMENT_PREFIX}<NAME>`, where they win; lists are JSON there: "
            f"`{ENVIRONMENT_PREFIX}DATA_PATHS='[\"/data\"]'`. Relative paths start at the "
            "folder of `ingestor.py`. Unknown names and wrong values stop the start, all of them "
            "named at once.\n"
        ),
        "| setting | default | meaning |",
        "|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = _default(field, name)
        shown = default if name == "workers" else f"`{default}`"
        lines.append(f"| `{name.upper()}` | {shown} | {field.description} |")
    lines += [
        "\n## Settings of the original without effect\n",
        (
            "A `config.py` of the original is understood. These of its settings do nothing here, "
            "and `check` says so when they are set:\n"
        ),
        "| setting | why |",
        "|---|---|",
    ]
    lines += [f"| `{name}` | {why} |" for name, why in sorted(WITHOUT_EFFECT.items())]
    return "\n".join(lines) + "\n"


def _outputs_page() -> str:
    lines = [
        GENERATED,
        "# Outputs\n",
        (
            "Every table of the lake: the files it is made of, and its columns. Names in braces "
            "stand for a course run, a table or a file. Times are UTC.\n"
        ),
    ]
    for service in every_service():
        if service.lake_tables:
            lines += _tables_of(service)
    lines += ["## Tables of the course databases\n", *_dump_tables()]
    return "\n".join(lines).rstrip() + "\n"


def _tables_of(service: Service) -> Iterator[str]:
    yield f"## {service.name}\n"
    for tables in service.lake_tables:
        yield f"### `{tables.schema}`.`{tables.table}`\n"
        yield f"{tables.about} Files: `{tables.pattern}`."
        if tables.newest:
            yield f"All deliveries are in `{tables.schema}_history`, with the column `delivered`."
        yield ""
        if tables.empty is not None:
            yield from _columns(tables.empty)


def _columns(schema: pa.Schema) -> Iterator[str]:
    yield "| column | type | meaning |"
    yield "|---|---|---|"
    for field in schema:
        about = (field.metadata or {}).get(b"description", b"").decode().replace("|", "\\|")
        yield f"| `{field.name}` | {field.type} | {about} |"
    yield ""


def _dump_tables() -> Iterator[str]:
    yield "Columns not listed are kept as text. Which of them a dump has differs by year.\n"
    yield "| table | columns with their types |"
    yield "|---|---|"
    for table, columns in sorted(KNOWN_TABLES.items()):
        shown = ", ".join(f"`{name}` {kind.value}" for name, kind in columns.items())
        yield f"| `{table}` | {shown} |"


if __name__ == "__main__":
    main()
