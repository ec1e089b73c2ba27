"""What uqx_api should be told of forums, worked out from the files of a package alone."""

from collections import Counter
from collections.abc import Iterable
from datetime import date

from tests.end_to_end.oracle_events import read_day
from tests.end_to_end.oracle_olx import Block
from tests.with_servers.old_answers import Counts, Delivery, Json, enrolment_countries


def countries(package: Delivery, course: str) -> Json:
    posts: Counts = Counter()
    for one in package.chosen(course):
        written = Counter(int(post["author_id"]) for post in one.posts.values())
        seen: dict[int, set[str]] = {user: set() for user in written}
        for event in package.events_of(one):
            user = event.context.get("user_id")
            if isinstance(user, int) and user in seen and event.country is not None:
                seen[user].add(event.country)
        for user, countries in seen.items():
            if len(countries) == 1:
                posts[countries.copy().pop()] += written[user]
    return {
        "country_dict": posts,
        "country_enrol": enrolment_countries(package, course),
        "post_total": posts.total(),
    }


def posted(post: Json) -> date:
    """The UTC date of a post."""
    value = post["created_at"]["$date"]
    if isinstance(value, dict):
        value = int(value["$numberLong"])
    day = read_day({"$date": value})
    assert day is not None
    return day


def posts_by_day(posts: Iterable[Json]) -> Counter[date]:
    return Counter(posted(post) for post in posts)


def comments_of(posts: dict[str, Json]) -> dict[str, list[Json]]:
    """The comments by the ids of their threads; threads without any have an empty list."""
    found: dict[str, list[Json]] = {
        name: [] for name, post in posts.items() if post["_type"] == "CommentThread"
    }
    for post in posts.values():
        if post["_type"] == "Comment":
            found[post["comment_thread_id"]["$oid"]].append(post)
    return found


def discussion_blocks(block: Block) -> list[str]:
    """The ids of the discussions of a tree."""
    own = [block.attributes["discussion_id"]] if block.tag == "discussion" else []
    return own + [name for child in block.children for name in discussion_blocks(child)]


def categories(package: Delivery, course: str) -> dict[str, Json]:
    """discussions/category."""
    posts = package.courses[course].posts
    comments = comments_of(posts)
    found = {}
    for name in discussion_blocks(package.trees[course]):
        threads = {one: posts[one] for one in comments if posts[one]["commentable_id"] == name}
        below = [post for one in threads for post in comments[one]]
        answered = sorted(
            (one for one in threads if comments[one]), key=lambda one: -len(comments[one])
        )
        found[name] = {
            "thread": posts_by_day(threads.values()),
            "comment": posts_by_day(post for post in below if not post["parent_ids"]),
            "ccomment": posts_by_day(post for post in below if post["parent_ids"]),
            "popular_threads": [described(posts[one], comments[one]) for one in answered],
            "without_comment": len(threads) - len(answered),
        }
    return found


def described(thread: Json, comments: list[Json]) -> Json:
    on_comments = sum(bool(post["parent_ids"]) for post in comments)
    return {
        "thread_id": thread["_id"]["$oid"],
        "body": thread["body"].replace("\n", "  ").replace("\r", "") + " ",
        "comm_num": len(comments) - on_comments,
        "ccomm_num": on_comments,
    }
