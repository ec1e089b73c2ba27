"""Database State: every table of every course, as edX dumped it.

In     database_state/latest/**/*.sql
Out    lake/state/<course database>/<table>/delivered=<date>.parquet, one a delivery
       MySQL <course database>.<table>, from the newest delivery
Waits  for nothing; person_course waits for us
"""

from collections.abc import Iterable, Iterator

from optimus.errors import BadFileError
from optimus.outputs.catalog import LakeTables
from optimus.outputs.mysql import SqlTable
from optimus.package.files import TooLong
from optimus.package.layout import Package, PackageFile
from optimus.package.names import FileKind
from optimus.package.tables import canonical_table
from optimus.package.tsv import TableReader
from optimus.service import MYSQL, FileRun, FileService
from optimus.touches import course_touch

LONGEST_ROW = 64 << 20


class DatabaseState(FileService):
    """Table dumps. A delivery replaces itself and never an earlier one."""

    name = "database_state"
    spelled = "DatabaseState"
    title = "Database dumps"
    servers = (MYSQL,)
    options = ("MYSQL_LEGACY_TEXT", "MYSQL_LEAVE_OUT")
    lake_tables = (
        LakeTables(
            pattern="state/{database}/{table}/delivered={day}.parquet",
            schema="{database}",
            table="{table}",
            newest=True,
            about="One table of one course run, from its newest delivery.",
        ),
    )

    def wants(self, package: Package) -> Iterable[PackageFile]:
        """Take every table dump, known table or not."""
        return package.of_kind(FileKind.table)

    def ingest(self, run: FileRun) -> None:
        """Type the rows; what cannot be typed goes to the rejects."""
        file = run.file
        if file.course is None or file.table is None:
            raise BadFileError(
                f"{file.path.name}: its name was cut before the table's name, so nobody can tell "
                "what it holds. Ask edX for the file under a shorter name."
            )
        table = canonical_table(file.table)
        reader = TableReader(_numbered(run), table, run.reject, run.repair)
        path = f"state/{file.course.database}/{table}/delivered={file.delivered}.parquet"
        in_mysql = SqlTable(
            database=file.course.database,
            name=table,
            schema=reader.schema,
            unique=("id",) if "id" in reader.schema.names else (),
            legacy_text=run.options["MYSQL_LEGACY_TEXT"],
        )
        is_left_out = table in run.options["MYSQL_LEAVE_OUT"]
        with run.open_table(path, in_mysql, in_the_lake_alone=is_left_out) as output:
            for batch in reader.read_batches():
                output.write(batch, reader.lines)
                run.tick(rows=batch.num_rows)
        run.touches.add(course_touch(file.course.database))
        _tell(run, reader, output.refused)


def _numbered(run: FileRun) -> Iterator[tuple[int, int, bytes]]:
    """The lines of the file with their numbers and offsets; overlong rows are set aside."""
    for chunk in run.chunks(LONGEST_ROW):
        for number, offset, line in chunk.numbered():
            if isinstance(line, TooLong):
                run.counts["lines"] += 1
                run.reject(number, offset, "row_too_long", f"{line.length:,} bytes", line.head)
            else:
                yield number, offset, line


def _tell(run: FileRun, reader: TableReader, refused: int) -> None:
    counts = reader.counts
    # update() adds to the overlong rows that were counted on the way.
    run.counts.update(
        lines=counts.rows + counts.rejects,
        rows=counts.rows - refused,
        blank=counts.blank,
        replaced_utf8=counts.replaced_utf8,
        odd_escapes=counts.odd_escapes,
        blanked=counts.blanked,
        unusable_datetimes=counts.unusable_datetimes,
    )
    for note in reader.notes:
        run.note(note)
    if reader.drift.new:
        run.note(f"Columns not known before, kept as text: {', '.join(reader.drift.new)}.")
    if reader.drift.missing:
        run.note(f"Columns that are missing: {', '.join(reader.drift.missing)}.")
