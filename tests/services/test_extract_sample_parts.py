"""What the parts of extract_sample promise by themselves."""

import pytest

from services.extract_sample.documents import Documents
from services.extract_sample.pseudonyms import Pseudonyms
from services.extract_sample.scan import Identities
from services.extract_sample.strata import Stratum, quotas
from services.extract_sample.words import Words


@pytest.mark.parametrize(
    ("size", "passing", "expected"),
    [
        (10, None, {"a": 3, "b": 2, "c": 5}),
        (3, None, {"a": 1, "b": 1, "c": 1}),
        (2, None, {"a": 1, "b": 0, "c": 1}),
        (99, None, {"a": 30, "b": 20, "c": 49}),
        (200, None, {"a": 30, "b": 20, "c": 49}),
        (20, 0.0, {"a": 0, "b": 6, "c": 14}),
        (20, 1.0, {"a": 20, "b": 0, "c": 0}),
        (40, 1.0, {"a": 30, "b": 3, "c": 7}),
        (90, 0.0, {"a": 21, "b": 20, "c": 49}),
    ],
)
def test_places_go_by_the_largest_remainder(size, passing, expected):
    strata = {Stratum(1, "a", 1): 30, Stratum(0, "b", 1): 20, Stratum(0, "c", 0): 49}
    found = quotas(strata, size, passing)
    assert {stratum.mode: count for stratum, count in found.items()} == expected


def test_nobody_to_choose_from_is_an_empty_sample():
    assert quotas({}, 10) == quotas({}, 10, 0.5) == {}


def test_pseudonyms_are_distinct_stable_and_of_one_key():
    words = Words(())
    one, other = Pseudonyms("k" * 16, "prod", words), Pseudonyms("l" * 16, "prod", words)
    users = [one.of("user", number) for number in range(20_000)]
    assert len(set(users)) == len(users)
    assert min(users) >= 1
    assert max(users) <= 2**53
    assert Pseudonyms("k" * 16, "prod", words).of("user", 5) == one.of("user", 5)
    assert one.of("person", "5") == str(one.of("user", 5))
    edge = Pseudonyms("k" * 16, "edge", words)
    assert len({made.of("user", 5) for made in (one, other, edge)}) == 3


@pytest.mark.parametrize(
    "text",
    ["", "[1]", "null", '"text"', "a=b", "{", '{"id":' + "[" * 70 + "]" * 70 + "}"],
)
def test_a_payload_that_is_no_object_of_usual_depth_is_dropped(text):
    documents = Documents(Pseudonyms("k" * 16, "prod", Words(())))
    assert documents.clean_text(text) is None
    assert documents.state(text) == "{}"


@pytest.mark.parametrize(
    "text",
    [
        "Ana María",
        "written by ANA MARÍA, yesterday",
        '{"by":"Ana Mar\\u00eda"}',
        r'{"by":"{\"by\":\"Ana Mar\\u00eda\"}"}',
        "?q=Ana%20Mar%C3%ADa&x=1",
        "?q=ana+mar%25C3%25ADa",
        "/pages/Ana_María/",
        "María, Ana María",
        "Hello\\nAna María",
        "otter.31@mail.example",
        "mailto:OTTER.31%40mail.example",
        "otter.31",
        "@otter.31: hi",
        "/u/otter.31",
        "D'Arcy\\\\Lee",
    ],
)
def test_a_name_is_found_however_it_is_written(text):
    assert identities().is_in(text)


@pytest.mark.parametrize(
    "text",
    ["Ana", "anamaría", "Ana\tMaría", '"Ana":"María"', "otter", "otter.310", "my-otters.31", "Jo"],
)
def test_parts_of_words_and_words_of_different_values_are_no_name(text):
    assert not identities().is_in(text)


def identities() -> Identities:
    found = Identities(Words(()))
    for kind, text in (
        ("name", "Ana María"),
        ("name", "Otter"),
        ("name", "d'Arcy\\Lee"),
        ("username", "otter.31"),
        ("username", "jo"),
        ("email", "otter.31@mail.example"),
    ):
        found.add(kind, text)
    return found
