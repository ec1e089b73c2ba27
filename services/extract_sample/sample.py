"""What all parts of a sample are told."""

from dataclasses import dataclass

import duckdb

from optimus.outputs.catalog import Table
from optimus.outputs.courses import Course
from optimus.service import DerivedRun
from services.extract_sample.pseudonyms import Pseudonyms

SUFFIXES = {"prod": "prod-analytics", "edge": "prod-edge-analytics"}


@dataclass(frozen=True)
class Sample:
    """One sample that is being made.

    Attributes:
        run: the try.
        connection: the lake, and ``learner``: user_id and username of those of the sample.
        course: the course run.
        pseudonyms: what takes the place of names; None when everything stays as it is.
    """

    run: DerivedRun
    connection: duckdb.DuckDBPyConnection
    course: Course
    pseudonyms: Pseudonyms | None

    def file_name(self, table: str) -> str:
        """What the file of a table is called."""
        return f"{self.course.run.stem}-{table}-{SUFFIXES[self.course.run.site]}.sql"

    def tables(self) -> list[Table]:
        """The dumps of the course run."""
        tables = self.run.catalog.tables()
        return [table for table in tables if table.schema == self.course.run.database]

    def note(self, sentence: str) -> None:
        """Tell the operator something about this sample."""
        self.run.note(f"{self.course.run.database}: {sentence}")
