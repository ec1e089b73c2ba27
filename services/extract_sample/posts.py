"""The forum posts of a sample, one a line, as extended JSON."""

from pathlib import Path

from optimus.outputs.catalog import Table
from optimus.outputs.courses import posts_of
from services.extract_sample.documents import Documents
from services.extract_sample.sample import Sample

POSTS_AT_ONCE = 1_000


def write_posts(sample: Sample, folder: Path) -> None:
    """Write what the learners have posted; no file where the course run has no forum."""
    table = sample.run.catalog.table(*posts_of(sample.course))
    if table is not None:
        _write(sample, table, folder / f"{sample.course.run.discussion_table}.mongo")


def _write(sample: Sample, table: Table, path: Path) -> None:
    documents = Documents(sample.pseudonyms) if sample.pseudonyms else None
    posts = sample.connection.sql(
        f"SELECT document FROM ({table.select()}) "  # noqa: S608 - quoted
        "WHERE author_id IN (SELECT user_id FROM learner) ORDER BY line"
    )
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for batch in posts.to_arrow_reader(POSTS_AT_ONCE):
            for text in batch["document"].to_pylist():
                file.write(f"{documents.clean_text(text) if documents else text}\n")
            sample.run.counts["posts"] += batch.num_rows
            sample.run.tick(rows=batch.num_rows)
