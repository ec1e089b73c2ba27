"""What uqx_api asks: its endpoints below discussions/ and downloads/."""

from collections import Counter
from collections.abc import Iterator
from datetime import date

from pymongo.collection import Collection

from tests.with_servers.old_reader import OldReader, Row, enrolments_by_country

MOST_POPULAR = 10
MOST_POPULAR_OF_CATEGORY = 20

# --- discussions ------------------------------------------------------------------------------


def discussion_countries(old: OldReader, course: str) -> Row:
    """discussions/countries: posts of learners seen in one country only, and enrolments."""
    posts: Counter[str] = Counter()
    enrolments: Counter[str | None] = Counter()
    for one in old.chosen(course):
        posts.update(_posts_by_country(old, one))
        for group in enrolments_by_country(old, one):
            enrolments[group["_id"]] += group["thecount"]
    return {"country_dict": posts, "country_enrol": enrolments, "post_total": posts.total()}


def _posts_by_country(old: OldReader, course: str) -> Counter[str]:
    group: Row = {"_id": "$author_id", "postSum": {"$sum": 1}}
    groups = old.forum(course).aggregate([{"$group": group}])
    posts = {int(group["_id"]): group["postSum"] for group in groups}
    wanted = {
        "context.course_id": old.courses[course]["mongoname"],
        "context.user_id": {"$in": list(posts)},
        "country": {"$ne": None},
    }
    group = {"_id": "$context.user_id", "countrySet": {"$addToSet": "$country"}}
    counts: Counter[str] = Counter()
    for user in old.events().aggregate([{"$match": wanted}, {"$group": group}]):
        if len(user["countrySet"]) == 1:
            counts[user["countrySet"][0]] += posts[user["_id"]]
    return counts


def discussion_dates(old: OldReader, course: str) -> Row:
    """discussions/dates: how many threads and comments a day; it fills the days between."""
    forum = old.forum(course)
    days: dict[str, Counter[date]] = {"Comment": Counter(), "CommentThread": Counter()}
    for post in forum.find():
        days[post["_type"]][post["created_at"].date()] += 1
    return {"min_date": _day_at(forum, 1), "max_date": _day_at(forum, -1), **days}


def _day_at(forum: Collection[Row], direction: int) -> date:
    day: date = forum.find().sort("created_at", direction).limit(1)[0]["created_at"].date()
    return day


def discussion_popular(old: OldReader, course: str) -> dict[str, list[Row]]:
    """discussions/popular: the threads with the most comments."""
    return {one: list(_popular(old.forum(one))) for one in old.chosen(course)}


def _popular(forum: Collection[Row]) -> Iterator[Row]:
    steps: list[Row] = [
        {"$match": {"_type": "Comment"}},
        {"$group": {"_id": "$comment_thread_id", "totalComm": {"$sum": 1}}},
        {"$sort": {"totalComm": -1}},
        {"$limit": MOST_POPULAR},
    ]
    for group in forum.aggregate(steps):
        thread = forum.find({"_id": group["_id"]})[0]
        yield {**thread, "id": str(thread["_id"]), "totalComm": group["totalComm"]}


def discussion_top(old: OldReader, course: str) -> dict[str, Row]:
    """discussions/top: the threads and comments with the most votes."""
    return {
        one: {
            "threads": [{**post, "id": str(post["_id"])} for post in _top(old, one, "Thread")],
            "comments": [_with_parents(old.forum(one), post) for post in _top(old, one)],
        }
        for one in old.chosen(course)
    }


def _top(old: OldReader, course: str, kind: str = "") -> Iterator[Row]:
    found = old.forum(course).find({"_type": f"Comment{kind}"})
    yield from found.sort("votes.up_count", -1).limit(MOST_POPULAR)


def _with_parents(forum: Collection[Row], post: Row) -> Row:
    thread = forum.find({"_id": post["comment_thread_id"]})[0]
    shown = {**post, "id": str(post["_id"]), "comment_thread_body": thread["body"]}
    shown["comment_thread_id"] = str(post["comment_thread_id"])
    if post["parent_ids"]:
        shown["parent_body"] = forum.find({"_id": post["parent_id"]})[0]["body"]
        shown["parent_id"] = str(post["parent_id"])
        shown["parent_ids"] = [shown["parent_id"]]
    return shown


def discussion_category(old: OldReader, course: str) -> Row:
    """discussions/category: the posts below each discussion of the course's tree."""
    forum = old.forum(course)
    found: Row = {"min_date": _day_at(forum, 1), "max_date": _day_at(forum, -1)}
    for category in categories(old.structure(course)):
        found[category["discussion_id"]] = {
            **_category_days(forum, category["discussion_id"]),
            **_category_threads(forum, category["discussion_id"]),
        }
    return found


def categories(node: Row) -> list[Row]:
    """The discussions of a tree; each node must have tag and children."""
    own = [node] if node["tag"] == "discussion" and "discussion_category" in node else []
    return own + [found for child in node["children"] for found in categories(child)]


def _category_days(forum: Collection[Row], category: str) -> dict[str, Counter[date]]:
    days: dict[str, Counter[date]] = {name: Counter() for name in ("thread", "comment", "ccomment")}
    threads = []
    for thread in forum.find({"commentable_id": category}):
        threads.append(thread["_id"])
        days["thread"][thread["created_at"].date()] += 1
    for post in forum.find({"comment_thread_id": {"$in": threads}}):
        days["ccomment" if "parent_id" in post else "comment"][post["created_at"].date()] += 1
    return days


def _category_threads(forum: Collection[Row], category: str) -> Row:
    bodies = {
        thread["_id"]: thread["body"].replace("\n", "  ").replace("\r", "") + " "
        for thread in forum.find({"commentable_id": category})
    }
    wanted = {"_type": "Comment", "comment_thread_id": {"$in": list(bodies)}}
    groups = list(
        forum.aggregate(
            [
                {"$match": wanted},
                {"$group": {"_id": "$comment_thread_id", "totalComm": {"$sum": 1}}},
                {"$sort": {"totalComm": -1}},
            ]
        )
    )
    popular = []
    for group in groups[:MOST_POPULAR_OF_CATEGORY]:
        replies = {"_type": "Comment", "comment_thread_id": group["_id"]}
        on_comments = forum.count_documents({**replies, "parent_id": {"$exists": True}})
        popular.append(
            {
                "thread_id": str(group["_id"]),
                "body": bodies[group["_id"]],
                "comm_num": group["totalComm"] - on_comments,
                "ccomm_num": on_comments,
            }
        )
    return {"popular_threads": popular, "without_comment": len(bodies) - len(groups)}


# --- downloads --------------------------------------------------------------------------------


def downloads(old: OldReader, field: str) -> list[Row]:
    """downloads/os, /browsers and /countries: logs of web servers, which nobody writes here."""
    group = {"_id": f"${field}", "count": {"$sum": 1}}
    return list(old.mongo["logs"]["online_access_logs"].aggregate([{"$group": group}]))
