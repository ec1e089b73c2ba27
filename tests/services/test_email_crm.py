"""What is promised about the contact list, one promise per test."""

import random
import string
from pathlib import Path
from typing import Any

import pytest

from optimus.queue.store import Queue
from tests.services.contacts import COLUMNS, NEVER_CHOSE, OLD_COLUMNS, Contacts, Learner
from tests.services.deliveries import COURSE, KEY, SECOND
from tests.services.people import OTHER_COURSE, OTHER_KEY, OTHER_STEM, TREE

CRM_COLUMNS = [
    *("user_id", "is_staff", "is_active", "email", "viewed", "explored", "certified", "mode"),
    *("first_name", "last_name", "course_id", "course_name", "course_start_date", "enrolled"),
    *("is_opted_in_for_email", "gender", "year_of_birth", "level_of_education", "levelofEd"),
    "country_name",
]
TITLED = TREE.replace("<course ", '<course display_name="Bees, &amp; more" ')


@pytest.fixture
def house(tmp_path: Path) -> Contacts:
    return Contacts(tmp_path)


# --- the list as a whole ----------------------------------------------------------------------

LEVELS = {
    "p": "Doctorate",
    "hs": "Secondary/high school",
    "none": "No Formal Education",
    "NULL": "User did not specify level of education",
}
COUNTRIES = {"AU": "Australia", "bo": "Bolivia", "KR": "South Korea", "XK": "Kosovo", "ZZ": ""}
GENDERS = {"m": "Male", "f": "Female", "o": "Other", "NULL": ""}


def made_up(draw: random.Random, user: int) -> Learner:
    words = ["Ann", "Lee,", "O'Neil\\", "|x|", "D\ufffda", "\x7f", "", "Ümit", "y" * 29, "\\"]
    return Learner(
        user,
        name=" ".join(draw.choices(words, k=draw.randint(0, 5))),
        email=f"{draw.choice(string.ascii_letters)}{user}@mail.example{draw.choice(['', '.'])}",
        wish=draw.choice(["True", "False"]),
        chosen=draw.choice([NEVER_CHOSE, "2015-12-17 05:34:07", "2014-12-01 00:00:01"]),
        born=draw.choice(["", "NULL", "1900", "1901", "2000", "2001", "2002", "2016", "2017"]),
        gender=draw.choice(list(GENDERS)),
        level=draw.choice(list(LEVELS)),
        country=draw.choice(list(COUNTRIES)),
        staff=draw.choice("01"),
        mode=draw.choice(["audit", "verified"]),
        enrolled=draw.choice(["2015-12-31", "2016-01-02"]),
        chapters=draw.randint(0, 3),
        is_certified=draw.random() < 0.5,
    )


def without(text: str, letters: str) -> str:
    return "".join(letter for letter in text if letter not in letters)


def contact(one: Learner, key: str, *, has_structure: bool) -> dict[str, str]:
    """The row of a learner in 2016, calculated without the service."""
    first, _, rest = one.name.strip(" ").partition(" ")
    last = without(rest, "\ufffd,|\x7f").strip(" ")[:30]
    has_profile = one.born != ""
    year = int(one.born) if one.born not in ("", "NULL") else None
    may_be_written_to = (
        one.wish == "True"
        and one.chosen != NEVER_CHOSE
        and has_profile
        and (year is None or 2016 - year >= 16)
    )
    explored = {True: str(int(one.chapters >= 2)), False: "" if one.chapters else "0"}
    return {
        "user_id": str(one.id),
        "is_staff": "Yes" if one.staff == "1" else "No",
        "is_active": "1",
        "email": one.email.rstrip("."),
        "viewed": str(int(one.chapters > 0)),
        "explored": explored[has_structure],
        "certified": str(int(one.is_certified)),
        "mode": one.mode,
        "first_name": without(first, "\ufffd,").rstrip("\\"),
        "last_name": last.rstrip("\\"),
        "course_id": key,
        "course_name": "Bees, & more" if has_structure else "",
        "course_start_date": "01/02/2016" if has_structure else "",
        "enrolled": "/".join(reversed(one.enrolled.split("-"))),
        "is_opted_in_for_email": "Yes" if may_be_written_to else "No",
        "gender": GENDERS[one.gender] if has_profile else "",
        "year_of_birth": str(year) if year and year > 1900 else "",
        "level_of_education": without(one.level, "NUL") if has_profile else "",
        "levelofEd": LEVELS[one.level if has_profile else "NULL"],
        "country_name": COUNTRIES[one.country] if has_profile else "",
    }


def test_the_list_is_what_an_independent_calculation_says(house):
    draw = random.Random(7)
    bees, ants = ([made_up(draw, user) for user in range(80)] for _ in range(2))
    house.olx(course=TITLED)
    house.dumps(*bees)
    house.dumps(*ants, stem=OTHER_STEM, course_id=OTHER_COURSE)
    house.opt_in(
        [one.preference(COURSE) for one in bees]
        + [one.preference(OTHER_COURSE) for one in ants[10:]]
    )
    expected = [contact(one, OTHER_KEY, has_structure=False) for one in ants[10:]]
    expected += [contact(one, KEY, has_structure=True) for one in bees]
    found = house.export()
    assert found == [{name: guarded(cell) for name, cell in row.items()} for row in expected]
    assert {row["is_opted_in_for_email"] for row in found} == {"Yes", "No"}


def guarded(cell: str) -> str:
    """A cell as a spreadsheet may read it."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def test_the_columns_are_the_originals_in_its_order(house):
    house.enrol(Learner(7))
    assert [list(row) for row in house.export()] == [CRM_COLUMNS]


def test_a_learner_of_two_course_runs_is_two_contacts_with_a_wish_each(house):
    house.dumps(Learner(7))
    house.dumps(Learner(7), stem=OTHER_STEM, course_id=OTHER_COURSE)
    no = Learner(7, wish="False").preference(OTHER_COURSE)
    house.opt_in([Learner(7).preference(), no])
    wishes = house.exported("course_id", "user_id", "is_opted_in_for_email")
    assert wishes == [(OTHER_KEY, "7", "No"), (KEY, "7", "Yes")]


def test_edge_and_production_are_never_mixed(house):
    house.dumps(Learner(7, country="AU"), Learner(8))
    house.dumps(Learner(7, country="US"), Learner(9), site="edge")
    house.opt_in([Learner(user).preference() for user in (7, 9)])
    on_edge = [Learner(user, wish="False").preference() for user in (8, 9)]
    house.opt_in(on_edge, name="DemoX-email_opt_in-prod-edge-analytics.csv")
    found = house.exported("course_id", "user_id", "is_opted_in_for_email", "country_name")
    assert found == [(KEY, "7", "Yes", "Australia")]
    assert house.query('SELECT DISTINCT user_id FROM "Email_CRM".emailcrm ORDER BY 1') == [
        (7,),
        (9,),
    ]


# --- consent ----------------------------------------------------------------------------------

CONSENT = {
    "agreed": ({}, "Yes"),
    "declined": ({"wish": "False"}, "No"),
    "never chose": ({"chosen": NEVER_CHOSE}, "No"),
    "chose on that day": ({"chosen": "2014-12-01 00:00:01"}, "Yes"),
    "when is unknown": ({"chosen": ""}, "No"),
    "14": ({"born": "2002"}, "No"),
    "14 or 15": ({"born": "2001"}, "No"),
    "15 or 16": ({"born": "2000"}, "Yes"),
    "not born yet": ({"born": "2017"}, "No"),
    "year unknown": ({"born": "NULL"}, "Yes"),
    "year absurd": ({"born": "1900"}, "Yes"),
    "no profile": ({"born": ""}, "No"),
}


def test_only_who_chose_so_and_is_surely_15_is_opted_in(house):
    people = [Learner(user, **how) for user, (how, _) in enumerate(CONSENT.values())]  # type: ignore[arg-type] # texts
    house.enrol(*people)
    found = dict(zip(CONSENT, house.exported("is_opted_in_for_email"), strict=True))
    assert found == {who: (consent,) for who, (_, consent) in CONSENT.items()}


def test_the_age_is_that_of_the_year_of_the_export(house):
    house.enrol(Learner(7, born="2001"))
    assert house.exported("is_opted_in_for_email") == [("No",)]
    house.clock.now += 366 * 86_400
    house.enrol(Learner(7, born="2001", mode="verified"))
    assert house.exported("is_opted_in_for_email") == [("Yes",)]


def test_of_several_wishes_the_latest_counts_and_at_one_time_a_no(house):
    house.dumps(Learner(7), Learner(8), Learner(9))
    later = "2016-01-01 00:00:00"
    wishes = [
        *(Learner(7, wish="False", chosen=later), Learner(7)),
        *(Learner(8), Learner(8, wish="False")),
        *(Learner(9, chosen=NEVER_CHOSE), Learner(9, chosen="2014-10-01 00:00:00")),
    ]
    house.opt_in([one.preference() for one in wishes[::2]])
    others = [one.preference() for one in wishes[1::2]]
    house.opt_in(others, name="DemoXx-email_opt_in-prod-analytics.csv")
    assert house.exported("user_id", "is_opted_in_for_email") == [
        ("7", "No"),
        ("8", "No"),
        ("9", "Yes"),
    ]


# --- who it is --------------------------------------------------------------------------------


def test_old_files_name_learners_by_their_address_in_the_course_run(house):
    house.dumps(Learner(7, email="Ann@mail.example"), Learner(8, email="bo@mail.example"))
    house.dumps(Learner(9, email="ann@mail.example"), stem=OTHER_STEM, course_id=OTHER_COURSE)
    wishes = [
        Learner(0, email="ann@mail.example").preference(),
        Learner(0, email="nobody@mail.example").preference(),
    ]
    house.opt_in(wishes, OLD_COLUMNS)
    assert house.exported("course_id", "user_id", "email") == [(KEY, "7", "ann@mail.example")]


def test_new_files_name_learners_by_their_id_whatever_their_address(house):
    house.dumps(Learner(7, email="old@mail.example"), Learner(8, email="ann@mail.example"))
    house.opt_in([Learner(7, email="ann@mail.example").preference()])
    assert house.exported("user_id", "email") == [("7", "ann@mail.example")]


def test_wishes_without_a_learner_are_counted_and_nobody_is_named(house):
    house.enrol(Learner(7))
    strangers = [Learner(8).preference(), Learner(7).preference("course-v1:DemoX+None+1")]
    house.opt_in([Learner(7).preference(), *strangers])
    assert len(house.export()) == 1
    [note] = house.notes("email_crm")
    assert note.startswith("2 of 3 preferences")
    assert "ann" not in note.casefold()


NAMES = [
    ("Ann Lee", "Ann", "Lee"),
    ("Ann", "Ann", ""),
    ("", "", ""),
    ("  Ann  Mary Lee ", "Ann", "Mary Lee"),
    ("Ann, Lee,", "Ann", "Lee"),
    ("Ann\\ Lee\\\\", "Ann", "Lee"),
    ("A\\nn L\\ee", "A\\nn", "L\\ee"),
    ("A\ufffdnn L\ufffdee", "Ann", "Lee"),
    ("Ann|\x7f Le|e\x7f", "Ann|\x7f", "Lee"),
    ("Ann " + "é" * 40, "Ann", "é" * 30),
    ("Ann " + "x" * 29 + "\\y", "Ann", "x" * 29),
    ('"Ann" Lee\nMay', '"Ann"', "Lee\nMay"),
    ("川上 弘美", "川上", "弘美"),
]


def test_names_are_cleaned_as_the_original_did(house):
    house.enrol(*(Learner(user, name=name) for user, (name, _, _) in enumerate(NAMES)))
    assert house.exported("first_name", "last_name") == [(first, last) for _, first, last in NAMES]


def test_countries_have_the_names_that_people_use(house):
    codes = {"AU": "Australia", "tw": "Taiwan", "XK": "Kosovo", "ZZ": "", "NULL": ""}
    house.enrol(*(Learner(user, country=code) for user, code in enumerate(codes)))
    assert house.exported("country_name") == [(name,) for name in codes.values()]
    sql = 'SELECT count(*), count(DISTINCT country_code) FROM "Email_CRM".countries_io'
    assert house.query(sql) == [(250, 250)]


def test_without_any_preferences_there_is_no_list(house):
    house.dumps(Learner(7))
    assert house.export() is None
    [note] = house.notes("email_crm")
    assert note.startswith("No e-mail preferences were delivered")


# --- all, or what changed ---------------------------------------------------------------------

NOTHING_NEW = "No contact is new or changed since the last export."


def last_export(house: Contacts, columns: str) -> list[Any]:
    return house.query(f'SELECT {columns} FROM "Email_CRM".lastexport ORDER BY user_id')


def test_a_full_export_has_everybody_each_time_something_changed(house):
    house.enrol(Learner(7), Learner(8))
    assert house.exported("user_id") == [("7",), ("8",)]
    house.table("auth_user", "id", "1", stem=OTHER_STEM)
    assert house.export() is None
    assert NOTHING_NEW in house.notes("email_crm")
    house.day = SECOND
    house.enrol(Learner(7), Learner(8, mode="verified"), Learner(9))
    assert house.exported("user_id", "mode") == [("7", "audit"), ("8", "verified"), ("9", "audit")]
    house.enrol(Learner(7))
    assert house.exported("user_id") == [("7",)]


def test_an_export_of_changes_has_what_is_new_or_differs(tmp_path):
    house = Contacts(tmp_path, emailcrm_full_export=False)
    house.enrol(Learner(7), Learner(8), Learner(9))
    assert house.exported("user_id") == [("7",), ("8",), ("9",)]
    house.table("auth_user", "id", "1", stem=OTHER_STEM)
    assert house.export() is None
    assert NOTHING_NEW in house.notes("email_crm")
    house.day = SECOND
    house.enrol(Learner(7), Learner(8, wish="False"), Learner(10))
    assert house.exported("user_id", "is_opted_in_for_email") == [("8", "No"), ("10", "Yes")]
    house.enrol(Learner(7), Learner(8), Learner(9), Learner(10))
    assert house.exported("user_id", "is_opted_in_for_email") == [("8", "Yes")]


def test_a_change_of_any_column_is_exported_once(tmp_path):
    house = Contacts(tmp_path, emailcrm_full_export=False)
    changed = [
        Learner(1, email="new@mail.example"),
        Learner(2, name="Ann Ray"),
        Learner(3, chapters=1),
        Learner(4, is_certified=True),
        Learner(5, mode="verified"),
        Learner(6, country="NULL"),
        Learner(7, born="2001"),
        Learner(8, staff="1"),
    ]
    house.enrol(*(Learner(user) for user in range(10)))
    house.export()
    house.enrol(Learner(0), *changed, Learner(9))
    assert house.exported("user_id") == [(str(one.id),) for one in changed]
    house.enrol(Learner(0), *changed, Learner(9), Learner(10))
    assert house.exported("user_id") == [("10",)]


def test_what_was_exported_last_is_remembered_for_everybody_ever_exported(tmp_path):
    house = Contacts(tmp_path, emailcrm_full_export=False)
    house.enrol(Learner(7), Learner(8), Learner(9))
    house.export()
    house.enrol(Learner(7, mode="verified"), Learner(9))
    house.export()
    first, second = "emailcrm_03022016-000000.csv", "emailcrm_03032016-000000.csv"
    assert last_export(house, "user_id, mode, enrolled_date, extract_file") == [
        (7, "verified", "31/01/2016", second),
        (8, "audit", "31/01/2016", first),
        (9, "audit", "31/01/2016", first),
    ]
    assert {path.name for path in house.settings.export_path.glob("emailcrm*")} == {first, second}


def test_the_kind_of_export_can_be_changed_at_any_time(tmp_path):
    house = Contacts(tmp_path)
    house.enrol(Learner(7), Learner(8))
    house.export()
    changes = Contacts(tmp_path, emailcrm_full_export=False)
    changes.clock.now = house.clock.now
    assert changes.export() is None
    changes.enrol(Learner(7), Learner(8, mode="verified"))
    assert changes.exported("user_id") == [("8",)]
    full = Contacts(tmp_path)
    full.clock.now = changes.clock.now
    assert full.exported("user_id", "mode") == [("7", "audit"), ("8", "verified")]


class KilledError(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("file", ["emailcrm_", "emailcrm.csv", "lastexport.parquet", "none"])
def test_a_killed_try_neither_loses_a_change_nor_exports_it_for_ever(tmp_path, monkeypatch, file):
    house = Contacts(tmp_path, emailcrm_full_export=False)
    house.enrol(Learner(7), Learner(8))
    house.export()
    house.enrol(Learner(7), Learner(8, wish="False"), Learner(9))
    with monkeypatch.context() as patch:
        die_before(patch, file)
        with pytest.raises(KilledError):
            house.export()
    house.queue.take_over("")
    house.export()
    assert house.export() is None
    exported = [(row["user_id"], row["is_opted_in_for_email"]) for row in house.all_exported()]
    assert list(dict.fromkeys(exported)) == [
        ("7", "Yes"),
        ("8", "Yes"),
        ("8", "No"),
        ("9", "Yes"),
    ]
    assert last_export(house, "user_id, is_opted_in_for_email") == [
        (7, "Yes"),
        (8, "No"),
        (9, "Yes"),
    ]


def die_before(patch: pytest.MonkeyPatch, name: str) -> None:
    """Let the process end before a file of this name is published, or else before the commit."""
    replace, commit = Path.replace, Queue.commit

    def replace_or_die(hidden: Path, final: Path) -> Path:
        if Path(final).name.startswith(name):
            raise KilledError
        return replace(hidden, final)

    def commit_or_die(queue: Queue, claim: Any, result: Any) -> None:
        if claim.service == "email_crm":
            raise KilledError
        commit(queue, claim, result)

    patch.setattr(Path, "replace", replace_or_die)
    patch.setattr(Queue, "commit", commit_or_die)


# --- MySQL ------------------------------------------------------------------------------------


def test_mysql_has_the_originals_tables(tmp_path, mariadb):
    server = {"sql_host": "127.0.0.1", "sql_port": mariadb.port, "sql_username": "root"}
    house = Contacts(tmp_path, emailcrm_full_export=False, **server)
    house.enrol(Learner(7), Learner(8, wish="False", chosen=NEVER_CHOSE))
    house.export()
    house.enrol(Learner(7, mode="verified"))
    house.export()
    text, number = "varchar(255)", "int(11)"
    assert described(mariadb, "emailcrm") == [
        ("user_id", number),
        *((name, text) for name in COLUMNS[1:-1]),
        ("preference_set_datetime", "datetime"),
    ]
    numbers = {"user_id", "is_active", "viewed", "explored", "certified"}
    names = ["enrolled_date" if name == "enrolled" else name for name in CRM_COLUMNS]
    assert described(mariadb, "lastexport") == [
        *((name, number if name in numbers else text) for name in names),
        ("extract_date", "datetime"),
        ("extract_file", text),
    ]
    assert described(mariadb, "countries_io") == [("country_code", text), ("country_name", text)]
    rows = "user_id, mode, year_of_birth, CAST(extract_date AS CHAR)"
    assert mariadb.execute(f"SELECT {rows} FROM Email_CRM.lastexport ORDER BY user_id") == [
        (7, "verified", "1980", "2016-03-03 00:00:00"),
        (8, "audit", "1980", "2016-03-02 00:00:00"),
    ]
    rows = "user_id, full_name, is_opted_in_for_email, CAST(preference_set_datetime AS CHAR)"
    assert mariadb.execute(f"SELECT {rows} FROM Email_CRM.emailcrm") == [
        (7, "Ann Lee", "True", "2015-12-17 05:34:07")
    ]
    assert mariadb.execute("SELECT COUNT(*) FROM Email_CRM.countries_io") == [(250,)]


def described(mariadb: Any, table: str) -> list[tuple[Any, ...]]:
    return [row[:2] for row in mariadb.execute(f"DESCRIBE Email_CRM.{table}")]
