"""What happens to a package after it was ingested: changed logs, new dumps."""

import gzip
import json
import shutil
from pathlib import Path

from tests.end_to_end.oracle_files import all_logs, state_folder


def read_bytes(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


def append_lines(path: Path, *lines: bytes) -> None:
    """Deliver a log again with more lines; the old last line may lack its end."""
    content = b"\n".join([read_bytes(path).rstrip(b"\n"), *lines, b""])
    replace_bytes(path, gzip.compress(content) if path.suffix == ".gz" else content)


def replace_bytes(path: Path, data: bytes) -> None:
    """Replace a file in one step, as a careful delivery does."""
    aside = path.with_name(f".{path.name}.part")
    aside.write_bytes(data)
    aside.replace(path)


def keep_lines(path: Path, *, without: bytes) -> None:
    """Deliver a log again without the lines that hold some bytes."""
    lines = [line for line in read_bytes(path).split(b"\n") if without not in line]
    content = b"\n".join(lines)
    replace_bytes(path, gzip.compress(content) if path.suffix == ".gz" else content)


def newest_log(root: Path, site: str = "prod") -> Path:
    return max(log.path for log in all_logs(root) if log.site == site)


def event_line(course_id: str, user: object, time: str, **more: object) -> bytes:
    """A click of somebody in a course."""
    event = {
        "username": "somebody",
        "event_type": "page_close",
        "event_source": "browser",
        "event": "{}",
        "ip": "11.20.3.4",
        "time": time,
        "context": {"user_id": user, "course_id": course_id, "org_id": "RiverU"},
        "page": None,
    }
    return json.dumps({**event, **more}).encode()


def deliver_dumps(root: Path, day: str) -> Path:
    """Copy the newest dumps to the folder of a later day, without showing them yet."""
    folder = root / "database_state" / day
    shutil.copytree(state_folder(root).resolve(), folder)
    return folder


def move_latest(root: Path, day: str) -> None:
    """Let ``latest`` name the dumps of a day, in one step."""
    aside = root / "database_state" / ".latest.part"
    aside.symlink_to(day)
    aside.replace(root / "database_state" / "latest")


def replace_cell(path: Path, row: tuple[str, str], change: tuple[str, str]) -> None:
    """Give one cell of a table file another value.

    Args:
        path: the table file.
        row: a column and its value, which choose the rows.
        change: a column and its new value.
    """
    header, *lines = path.read_text(encoding="utf-8").split("\n")
    columns = header.split("\t")
    chosen, changed = columns.index(row[0]), columns.index(change[0])
    rows = [line.split("\t") for line in lines]
    for cells in rows:
        if len(cells) == len(columns) and cells[chosen] == row[1]:
            cells[changed] = change[1]
    text = "\n".join([header, *("\t".join(cells) for cells in rows)])
    path.write_text(text, encoding="utf-8", newline="")
