"""A dump of courseware_studentmodule into MariaDB: the whole item beside a bare LOAD DATA.

    .venv/bin/python -m benchmarks.mysql [--rows 300000] [--rounds 3]

Three works take turns on a MariaDB in a temporary folder:

- ``bare LOAD DATA``: the server's own client loads the file as it is, with LOAD DATA LOCAL INFILE,
  into a table of the original's types with its unique key. Nothing is checked.
- ``lake and table``: the whole item as a worker does it, in a process of its own: rows read, typed
  and checked, a lake file, the same table beside the old one, keys, the swap.
- ``lake alone``: the same where MySQL is not in use.

The rows are made up: 490 bytes each, JSON in a cell, a backslash in 15 % of them.
"""

import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

from benchmarks.machine import (
    Cost,
    Watch,
    in_a_process,
    like_a_worker,
    parser_of,
    print_costs,
    print_machine,
    print_ratio,
    take_turns,
)
from optimus.outputs.mysql_staged import DEFAULTS
from tests.house import House
from tests.servers import MariaDb, program

COURSE = "course-v1:DemoX+Bees101+2016_T1"
STEM, DATABASE = "DemoX-Bees101-2016_T1", "DemoX_Bees101_2016_T1"
TABLE = "courseware_studentmodule"
HEADER = "id module_type module_id student_id state grade created modified max_grade done course_id"
LARGE = ("state",)
MOMENTS = ("created", "modified")
SHARE_WITH_ESCAPES = 0.15
BARE, BOTH, LAKE = "bare LOAD DATA", "lake and table", "lake alone"


def rows_of(count: int) -> Iterator[str]:
    """Rows of the dump; the same each time."""
    dice = Random(1)
    yield HEADER.replace(" ", "\t") + "\n"
    for number in range(1, count + 1):
        block = f"{dice.getrandbits(128):032x}"
        day = f"2016-02-{dice.randint(1, 28):02}"
        is_odd = dice.random() < SHARE_WITH_ESCAPES
        cells = (
            str(number),
            "problem",
            f"block-v1:DemoX+Bees101+2016_T1+type@problem+block@{block}",
            str(dice.randint(1, 50_000)),
            _state(block, dice.randint(1, 10**9), day, is_odd=is_odd),
            str(float(dice.randint(0, 3))),
            f"{day} 08:{number % 60:02}:{dice.randint(0, 59):02}",
            f"{day} 09:{number % 60:02}:{dice.randint(0, 59):02}",
            "3.0" if number % 4 else "NULL",
            "na",
            COURSE,
        )
        yield "\t".join(cells) + "\n"


def _state(block: str, seed: int, day: str, *, is_odd: bool) -> str:
    answer = r"the \\\"waggle\\\" dance" if is_odd else "the waggle dance"
    return (
        f'{{"correct_map": {{"{block}_2_1": {{"correctness": "correct"}}}}, '
        f'"input_state": {{"{block}_2_1": {{}}}}, "attempts": 2, "seed": {seed}, '
        f'"last_submission_time": "{day}T09:10:11Z", '
        f'"student_answers": {{"{block}_2_1": "{answer}"}}}}'
    )


def write_dump(package: Path, count: int) -> Path:
    path = package / "database_state" / "demox-2016-02-07" / f"{STEM}-{TABLE}-prod-analytics.sql"
    path.parent.mkdir(parents=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(rows_of(count))
    return path


def make_original_table(mariadb: MariaDb) -> None:
    """The table as the original makes it before it loads."""
    kinds = {**dict.fromkeys(LARGE, "longtext"), **dict.fromkeys(MOMENTS, "datetime")}
    columns = [f"`{name}` {kinds.get(name, 'varchar(255)')}" for name in HEADER.split()[1:]]
    mariadb.execute(f"CREATE DATABASE {DATABASE} {DEFAULTS}")
    mariadb.execute(
        f"CREATE TABLE {DATABASE}.{TABLE} (id int NOT NULL UNIQUE, {', '.join(columns)}) "
        "ENGINE=InnoDB ROW_FORMAT=DYNAMIC"
    )


def load_bare(mariadb: MariaDb, process: int, dump: Path) -> Cost:
    make_original_table(mariadb)
    statement = (
        f"LOAD DATA LOCAL INFILE '{dump}' INTO TABLE {TABLE} CHARACTER SET utf8mb4 IGNORE 1 LINES"
    )
    command = [
        program("mariadb"), "--no-defaults", "--host=127.0.0.1", f"--port={mariadb.port}",
        "--user=root", "--local-infile=1", f"--execute={statement}", DATABASE,
    ]  # fmt: skip
    before, watch = _children(), Watch(process)
    subprocess.run(command, check=True)
    cost = watch.stop(0)
    return cost._replace(rows=_rows_in(mariadb), client=_children() - before)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _rows_in(mariadb: MariaDb) -> int:
    [[rows]] = mariadb.execute(f"SELECT COUNT(*) FROM {DATABASE}.{TABLE}")
    return int(str(rows))


def ingest(package: Path, process: int, **settings: str | int) -> Cost:
    """The whole item, in a new house."""
    like_a_worker()
    with tempfile.TemporaryDirectory() as name:
        house = House(Path(name), ["database_state"], data_paths=[package], **settings)
        watch = Watch(process)
        house.ingest()
        [source] = house.sources("database_state")
        cost = watch.stop(source.counts["rows"])
        if ("MySQL" in source.counts["outputs"]) != bool(settings):
            raise RuntimeError(f"the item did not come to its end: {source.message}")
        return cost


def ingest_into(mariadb: MariaDb, process: int, package: Path) -> Cost:
    cost = in_a_process(
        ingest, package, process, sql_host="127.0.0.1", sql_port=mariadb.port, sql_username="root"
    )
    if _rows_in(mariadb) != cost.rows:
        raise RuntimeError("the table has not as many rows as the lake")
    return cost


def on_an_empty_server(mariadb: MariaDb, work: Callable[[], Cost]) -> Cost:
    mariadb.empty()
    return work()


def measure(mariadb: MariaDb, package: Path, dump: Path, rounds: int) -> None:
    process = int((mariadb.folder / "mysql.pid").read_text(encoding="ascii"))
    works: dict[str, Callable[[], Cost]] = {
        BARE: partial(load_bare, mariadb, process, dump),
        BOTH: partial(ingest_into, mariadb, process, package),
        LAKE: partial(in_a_process, ingest, package, process),
    }
    found = take_turns(
        {name: partial(on_an_empty_server, mariadb, work) for name, work in works.items()}, rounds
    )
    print_costs(found, "rows")
    print_ratio(found, BOTH, BARE)
    print_ratio(found, BOTH, LAKE)
    [[release]] = mariadb.execute("SELECT VERSION()")
    size = dump.stat().st_size
    print(f"{found[BARE][0].rows:,} rows, {size / found[BARE][0].rows:.0f} bytes each")
    print_machine(f"MariaDB {release}", "PyMySQL", "pyarrow")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rows", type=int, default=300_000, help="default: 300,000")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "mariadb"
        folder.mkdir()
        dump = write_dump(Path(name) / "package", chosen.rows)
        mariadb = MariaDb(folder)
        mariadb.start()
        try:
            measure(mariadb, Path(name) / "package", dump, chosen.rounds)
        finally:
            mariadb.stop()


if __name__ == "__main__":
    main()
