"""Table files: tab-separated, with the escapes of the writer in use since November 2015."""

from collections.abc import Callable, Iterable

from optimus.package.cells import Value, escape, write_cell
from optimus.sample.courses import Course
from optimus.sample.tree import Tree

Row = Iterable[Value]

# The job that writes the states puts a backslash before a real TAB, and loses line ends.
STATE_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\\t", "\n": "n"})
ROWS_PER_WRITE = 500
FAILED_TEXT = """Traceback (most recent call last):
  File "export.py", line 212, in run
    cursor.execute(query)
OperationalError: (2013, 'Lost connection to MySQL server during query')
"""


def state_text(text: str) -> str:
    """A text cell as the table of states spells it."""
    return text.translate(STATE_ESCAPES)


class Dumps:
    """Writes the table files of one course.

    Attributes:
        course: the course.
    """

    def __init__(self, tree: Tree, folder: str, course: Course, failing: str = "") -> None:
        self.course = course
        self._tree = tree
        self._folder = folder
        self._failing = failing

    def name(self, table: str, extension: str, folder: str = "") -> str:
        """Path of a file of the course, below the root of the package."""
        suffix = "prod-edge-analytics" if self.course.name.is_edge else "prod-analytics"
        return f"{self._folder}/{folder}{self.course.name.stem}-{table}-{suffix}.{extension}"

    def write(self, table: str, columns: str, rows: Iterable[Row], folder: str = "") -> None:
        """Write a table; ``columns`` are separated by spaces, no rows give a header only."""
        if table == self._failing:
            self._tree.write(self.name(table, "sql.failed", folder), FAILED_TEXT)
            return
        self._write(self.name(table, "sql", folder), columns, rows, escape)

    def write_states(self, columns: str, rows: Iterable[Row]) -> None:
        """Write the table of states, which another program makes."""
        name = self.name("courseware_studentmodule", "sql")
        self._write(name, columns, rows, state_text)

    def _write(
        self, name: str, columns: str, rows: Iterable[Row], escaped: Callable[[str], str]
    ) -> None:
        with self._tree.open(name) as file:
            file.text(columns.replace(" ", "\t") + "\n")
            lines: list[str] = []
            for row in rows:
                lines.append("\t".join([write_cell(value, escaped) for value in row]))
                if len(lines) == ROWS_PER_WRITE:
                    file.text("\n".join(lines) + "\n")
                    lines.clear()
            if lines:
                file.text("\n".join(lines) + "\n")
