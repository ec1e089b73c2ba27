"""The shapes of documents that old readers rely on."""

from datetime import datetime
from typing import Any

from bson import ObjectId

from tests.end_to_end.oracle_olx import Block

MEMBERS = ("tag", "children", "policy")
LEVELS = ("course", "chapter", "sequential", "vertical")


def assert_is_the_block(node: dict[str, Any], block: Block, depth: int) -> None:
    """A node has tag, children and all attributes; what stands inside a leaf is not looked at."""
    assert node["tag"] == block.tag
    told = {name: value for name, value in node.items() if name not in MEMBERS}
    # The dates of the course itself are written in one form, and read in another test.
    attributes = {
        name: value
        for name, value in block.attributes.items()
        if depth > 0 or name not in ("start", "end")
    }
    assert {name: told.get(name) for name in attributes} == attributes
    assert all(isinstance(value, str) for value in told.values())
    assert isinstance(node["children"], list)
    if depth < len(LEVELS):
        assert node["tag"] == LEVELS[depth] or not block.children
        for child, expected in zip(node["children"], block.children, strict=True):
            assert_is_the_block(child, expected, depth + 1)


def assert_has_the_types(document: dict[str, Any]) -> None:
    """A post has object ids and dates where it had their wrappers, and keys by its kind."""
    ids = [document["_id"], *document.get("parent_ids", [])]
    ids += [document[name] for name in ("comment_thread_id", "parent_id") if name in document]
    assert all(type(one) is ObjectId for one in ids)
    assert type(document["created_at"]) is type(document["updated_at"]) is datetime
    assert type(document["votes"]["up_count"]) is int
    assert document["_type"] in ("Comment", "CommentThread")
    is_comment = document["_type"] == "Comment"
    assert is_comment == ("parent_ids" in document) == ("comment_thread_id" in document)
