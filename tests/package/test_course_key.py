"""What is promised about learning a course run's id from the files of its delivery."""

import gzip
from pathlib import Path

import pytest

from optimus.package.course_key import course_id_of
from optimus.package.layout import CourseRun

STEM = "DemoX-Bees101-2016_T1"
RUN = CourseRun(STEM, "prod", "DemoX_Bees101_2016_T1", "Bees101_2016_T1")
NEW = "course-v1:DemoX+Bees101+2016_T1"
OLD = "DemoX/Bees101/2016_T1"
ELSE = "course-v1:Else+Where+1"


class Delivery:
    """The files of one delivery."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, *lines: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        return path

    def table(
        self, table: str, *ids: str, stem: str = STEM, suffix: str = "prod-analytics"
    ) -> Path:
        return self.add(f"{stem}-{table}-{suffix}.sql", "id\tcourse_id", *(f"1\t{i}" for i in ids))

    def forum(self, *ids: str) -> Path:
        posts = (f'{{"_id": {{"$oid": "{"0" * 24}"}}, "course_id": "{i}"}}' for i in ids)
        return self.add(f"{STEM}-prod.mongo", *posts)

    def structure(self, *blocks: str) -> Path:
        lines = ("{", *(f'"{block}": {{"category": "course"}}' for block in blocks), "}")
        return self.add(f"{STEM}-course_structure-prod-analytics.json", *lines)

    def olx(self, course_xml: str) -> Path:
        return self.add(f"{STEM}/course.xml", course_xml).parent

    def find(self, olx: Path | None = None) -> str | None:
        files = [path for path in self.folder.iterdir() if path.is_file()]
        return course_id_of(files, RUN, olx)


@pytest.fixture
def delivery(tmp_path):
    return Delivery(tmp_path)


@pytest.mark.parametrize("course_id", [NEW, OLD])
def test_the_enrolments_tell_the_id_in_either_style(delivery, course_id):
    delivery.table("student_courseenrollment", course_id)
    assert delivery.find() == course_id


def test_the_enrolments_are_trusted_before_modules_and_certificates(delivery):
    delivery.table("certificates_generatedcertificate", "a/b/c")
    delivery.table("courseware_studentmodule", "d/e/f")
    delivery.table("student_courseenrollment", OLD)
    assert delivery.find() == OLD


def test_modules_are_asked_when_nobody_is_enrolled(delivery):
    delivery.table("student_courseenrollment")
    delivery.table("courseware_studentmodule", OLD)
    assert delivery.find() == OLD


def test_the_forum_is_asked_after_the_tables(delivery):
    delivery.forum(OLD)
    assert delivery.find() == OLD
    delivery.table("certificates_generatedcertificate", NEW)
    assert delivery.find() == NEW


def test_the_course_structure_is_asked_after_the_forum(delivery):
    delivery.structure("block-v1:DemoX+Bees101+2016_T1+type@course+block@course")
    assert delivery.find() == NEW
    delivery.forum(OLD)
    assert delivery.find() == OLD


def test_the_olx_confirms_an_id_whose_parts_hold_dashes(tmp_path):
    run = CourseRun("DemoX-Bees-101-2016-T1", "prod", "x", "x")
    olx = Delivery(tmp_path).olx('<course org="DemoX" course="Bees-101" url_name="2016-T1"/>')
    assert course_id_of([], run, olx) == "course-v1:DemoX+Bees-101+2016-T1"


@pytest.mark.parametrize(
    "course_xml",
    [
        '<course org="Else" course="Where" url_name="1"/>',
        '<course url_name="course"/>',
        "<course",
        '<!DOCTYPE c [<!ENTITY e SYSTEM "file:///etc/passwd">]><course org="&e;"/>',
        "",
    ],
)
def test_an_olx_that_does_not_fit_leaves_a_guess_from_the_stem(delivery, course_xml):
    assert delivery.find(delivery.olx(course_xml)) == NEW


def test_without_any_file_the_stem_is_all_there_is(delivery):
    assert delivery.find() == NEW


@pytest.mark.parametrize("course_id", ["", "NULL", "Bees101", "../..", "x" * 10_000, "a/b"])
def test_what_is_no_id_is_passed_over(delivery, course_id):
    delivery.table("student_courseenrollment", course_id, OLD)
    assert delivery.find() == OLD


def test_a_row_that_lost_its_cells_is_passed_over(delivery):
    delivery.add(
        f"{STEM}-student_courseenrollment-prod-analytics.sql",
        "id\tcourse_id",
        "a/b/c",
        f"1\t{OLD}\tmore",
        f"1\t{OLD}",
    )
    assert delivery.find() == OLD


@pytest.mark.parametrize("first", ["", "<html>", "INSERT INTO x", "id\tid", "id\tuser_id"])
def test_a_table_that_is_none_is_passed_over(delivery, first):
    delivery.add(f"{STEM}-student_courseenrollment-prod-analytics.sql", first, f"1\t{ELSE}")
    delivery.table("courseware_studentmodule", OLD)
    assert delivery.find() == OLD


def test_files_of_another_course_run_or_site_do_no_harm(delivery):
    delivery.table("student_courseenrollment", ELSE, stem="Else-Where-1")
    delivery.table("student_courseenrollment", ELSE, suffix="prod-edge-analytics")
    delivery.table("courseware_studentmodule", OLD)
    assert delivery.find() == OLD


def test_a_file_that_edx_could_not_make_is_passed_over(delivery):
    path = delivery.table("student_courseenrollment", ELSE)
    path.rename(f"{path}.failed")
    assert delivery.find() == NEW


def test_a_packed_table_is_read(delivery):
    path = delivery.table("student_courseenrollment", OLD)
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert delivery.find() == OLD


def test_a_damaged_table_is_passed_over(delivery):
    path = delivery.table("student_courseenrollment", ELSE)
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes())[:-9])
    path.unlink()
    delivery.table("courseware_studentmodule", OLD)
    assert delivery.find() == OLD
