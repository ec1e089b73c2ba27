"""What learners answer, in each of the forms that events and states hold it."""

import json
from dataclasses import dataclass
from urllib.parse import quote

Value = str | tuple[str, ...]


def encode(value: object) -> str:
    """JSON text of a value, the way the platform writes it."""
    return json.dumps(value)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer to all parts of a problem.

    Attributes:
        values: what was chosen or typed, per part.
        right: whether that is correct, per part.
        state: JSON object of the values by part id.
        correct_map: JSON object of the verdicts by part id.
        form: JSON text of the browser's form.
        post: JSON text of the request as the server logs it.
    """

    values: tuple[Value, ...]
    right: tuple[bool, ...]
    state: str
    correct_map: str
    form: str
    post: str

    @property
    def points(self) -> int:
        """Number of correct parts."""
        return sum(self.right)


def make_answer(
    parts: tuple[str, ...], values: tuple[Value, ...], right: tuple[bool, ...]
) -> Answer:
    """Work out all forms of one answer."""
    verdicts = {
        part: {
            "correctness": "correct" if is_right else "incorrect",
            "npoints": None,
            "msg": "",
            "hint": "",
            "hintmode": None,
            "queuestate": None,
            "answervariable": None,
        }
        for part, is_right in zip(parts, right, strict=True)
    }
    fields = _form_fields(parts, values)
    posted = {name: list(texts) for name, texts in fields.items()}
    form = "&".join(
        f"{quote(name)}={quote(text)}" for name, texts in fields.items() for text in texts
    )
    return Answer(
        values=values,
        right=right,
        state=encode(dict(zip(parts, values, strict=True))),
        correct_map=encode(verdicts),
        form=encode(form),
        post=encode(encode({"POST": posted, "GET": {}})[:512]),
    )


def _form_fields(parts: tuple[str, ...], values: tuple[Value, ...]) -> dict[str, tuple[str, ...]]:
    fields: dict[str, tuple[str, ...]] = {}
    for part, value in zip(parts, values, strict=True):
        if isinstance(value, str):
            fields[f"input_{part}"] = (value,)
        else:
            fields[f"input_{part}[]"] = value
    return fields
