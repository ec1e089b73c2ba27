"""The learners of a course run: who is in the sample, and what all of them are called."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa

from optimus.outputs.courses import create_view, posts_of
from services.extract_sample.sample import Sample
from services.extract_sample.strata import Stratum, quotas

HERE = Path(__file__).parent
CHOOSE = (HERE / "choose.sql").read_text(encoding="utf-8")
IDENTITIES = (HERE / "identities.sql").read_text(encoding="utf-8")
IDENTITIES_AT_ONCE = 10_000
CALLED = {
    "auth_user": ("id", "username", "email", "first_name", "last_name"),
    "auth_userprofile": ("name",),
    "certificates_generatedcertificate": ("name",),
    "user_id_map": ("username",),
    "credit_crediteligibility": ("username",),
}
AUTHORS = {"author_username": "VARCHAR"}
QUOTA: dict[str, pa.DataType] = {
    "certified": pa.int64(),
    "mode": pa.string(),
    "viewed": pa.int64(),
    "learners": pa.int64(),
}
CANDIDATES = """
CREATE TEMP TABLE candidate AS
SELECT user_id, certified, coalesce(mode, '') AS mode, viewed FROM {table}
"""
STRATA = "SELECT certified, mode, viewed, count(*) FROM candidate GROUP BY ALL"
CHOSEN = f"CREATE TEMP TABLE chosen AS {CHOOSE}"
LEARNERS = """
CREATE TEMP TABLE learner AS
SELECT DISTINCT chosen.user_id, nullif(auth_user.username, '') AS username
FROM chosen JOIN auth_user ON CAST(auth_user.id AS BIGINT) = chosen.user_id
"""
EVENTS = """
CREATE TEMP TABLE event AS
SELECT DISTINCT username FROM logs.clickstream WHERE site = $1 AND course_id = $2
"""


def choose_learners(sample: Sample, table: str) -> None:
    """Create ``learner``: user_id and username of those of the sample.

    Args:
        sample: the sample.
        table: person_course of its course run, as SQL.
    """
    connection, catalog, options = sample.connection, sample.run.catalog, sample.run.options
    for name, columns in CALLED.items():
        create_view(connection, catalog, [sample.course], name, dict.fromkeys(columns, "VARCHAR"))
    connection.execute(CANDIDATES.format(table=table))
    strata = {Stratum(*row): count for *row, count in connection.execute(STRATA).fetchall()}
    share = options["SAMPLE_PASSING"]
    places = quotas(strata, options["SAMPLE_SIZE"], share)
    rows = [{**stratum._asdict(), "learners": count} for stratum, count in places.items()]
    connection.register("quota", pa.Table.from_pylist(rows, pa.schema(QUOTA)))
    connection.execute("CREATE TEMP TABLE seed AS SELECT $1 AS seed", [options["SAMPLE_SEED"]])
    connection.execute(CHOSEN)
    connection.execute(LEARNERS)
    _tell(sample, places, share)


def find_identities(sample: Sample) -> Iterator[tuple[str, str]]:
    """Kind (name, username, email) and text of all that learners of the course run are called."""
    connection, course = sample.connection, sample.course
    create_view(connection, sample.run.catalog, [course], "post", AUTHORS, posts_of)
    connection.execute(EVENTS, [course.run.site, course.course_id])
    for batch in connection.sql(IDENTITIES).to_arrow_reader(IDENTITIES_AT_ONCE):
        for kind, text in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            if text is not None:
                yield kind, text
        sample.run.tick()


def _tell(sample: Sample, places: Mapping[Stratum, int], share: float | None) -> None:
    learners = sum(places.values())
    certified = sum(count for stratum, count in places.items() if stratum.certified)
    sample.run.counts["learners"] += learners
    wanted = sample.run.options["SAMPLE_SIZE"]
    if learners < wanted:
        sample.note(f"{learners:,} learners are all there are, of {wanted:,} wanted.")
    if share is not None and certified != round(share * learners):
        sample.note(
            f"{certified:,} of {learners:,} learners in the sample are certified: there are not "
            f"enough for a share of {share:g}."
        )
