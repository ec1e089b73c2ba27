"""The forum: posts are events when they are written, and documents in the forum file."""

import json
from dataclasses import dataclass, field
from random import Random

from optimus.sample.courses import Course, Module
from optimus.sample.moments import CLOCK, SECONDS_PER_DAY, day_text
from optimus.sample.people import Enrolment
from optimus.sample.tree import OutputFile
from optimus.sample.visit import Visit
from optimus.sample.words import ODD_SENTENCES, POST_SENTENCES, POST_TITLES, pick_number

OPEN_THREADS = 60
WRITES = 0.3
REPLIES = 0.7
COMMENTS = 0.4
VOTES = 0.15
SEARCHES = 0.1
QUESTIONS = 0.4
ODD_POSTS = 0.2
ANONYMOUS_POSTS = 0.05
TWICE_EVERY = 19
NO_AUTHOR_EVERY = 41
REPLY_LIMIT = 40
EDITED_AFTER = 300


@dataclass(slots=True)
class Post:
    """A thread, a response or a comment.

    Attributes:
        oid: 24 hex digits, the platform's id of the post.
        second: seconds since 1970 when it was written.
        parent: the response that a comment belongs to.
        replies: of a thread, the responses and comments in the order they were written.
    """

    oid: str
    author: Enrolment
    second: int
    body: str
    title: str = ""
    topic: str = ""
    topic_name: str = ""
    is_question: bool = False
    is_anonymous: bool = False
    parent: "Post | None" = None
    votes: list[int] = field(default_factory=list)
    replies: list["Post"] = field(default_factory=list)


class Board:
    """The forum of one course.

    Only the latest threads stay open; older ones are written to the forum file and
    forgotten, so that memory does not grow with the number of posts.
    """

    def __init__(self, course: Course, file: OutputFile, *, quirks: bool) -> None:
        self.course = course
        self._file = file
        self._quirks = quirks
        self._open: list[Post] = []
        self._posts = 0
        self._written = 0
        self._dates = 0

    def browse(self, visit: Visit, leaf: Module | None = None) -> None:
        """Read the forum, on its own page or below a page of the course, and maybe write."""
        path = f"{self.course.name.path}/discussion/forum"
        visit.implicit(f"{path}/{leaf.name}/inline" if leaf else path)
        visit.wait(15)
        if visit.chance(SEARCHES):
            payload = {"query": "wax", "total_results": 3, "page": 0, "corrected_text": None}
            visit.server("edx.forum.searched", json.dumps(payload), f"{path}/search", None)
        there = [thread for thread in self._open if thread.second <= visit.second]
        thread = visit.dice.choice(there) if there else None
        if thread is not None:
            self._view(visit, thread)
        if not visit.chance(WRITES):
            return
        visit.wait(60)
        if thread is None or len(thread.replies) >= REPLY_LIMIT or not visit.chance(REPLIES):
            self._start(visit, leaf)
        else:
            self._reply(visit, thread)

    def add_thread(self, author: Enrolment, second: int, dice: Random) -> Post:
        """Add a thread without any event."""
        topic, topic_name = dice.choice(self.course.topics)
        thread = Post(
            oid=self._oid(second),
            author=author,
            second=second,
            body=self._body(dice),
            title=dice.choice(POST_TITLES),
            topic=topic,
            topic_name=topic_name,
            is_question=dice.random() < QUESTIONS,
            is_anonymous=dice.random() < ANONYMOUS_POSTS,
        )
        self._open.append(thread)
        if len(self._open) > OPEN_THREADS:
            self._write(self._open.pop(0))
        return thread

    def close(self) -> None:
        """Write the threads that are still open."""
        for thread in self._open:
            self._write(thread)
        self._open.clear()

    def _view(self, visit: Visit, thread: Post) -> None:
        path = f"{self.course.name.path}/discussion/forum/{thread.topic}/threads/{thread.oid}"
        visit.implicit(path)
        payload = (
            f'{{"id": "{thread.oid}", "commentable_id": "{thread.topic}", '
            f'"title": {json.dumps(thread.title)}, "url": "{path}", "truncated": false}}'
        )
        visit.server("edx.forum.thread.viewed", payload, path, None)
        visit.wait(30)
        is_own = visit.person is thread.author.person
        if visit.chance(VOTES) and not is_own and visit.person.id not in thread.votes:
            thread.votes.append(visit.person.id)
            payload = (
                f'{{"id": "{thread.oid}", "commentable_id": "{thread.topic}", '
                f'"vote_value": "up", "undo_vote": false, '
                f'"target_username": "{thread.author.person.username}"}}'
            )
            path = f"{self.course.name.path}/discussion/threads/{thread.oid}/upvote"
            visit.server("edx.forum.thread.voted", payload, path, None)

    def _start(self, visit: Visit, leaf: Module | None) -> None:
        thread = self.add_thread(visit.enrolment, visit.second, visit.dice)
        if leaf is not None:
            thread.topic, thread.topic_name = leaf.name, leaf.title
        path = f"{self.course.name.path}/discussion/{thread.topic}/threads/create"
        self._created(visit, thread, ("thread", path))

    def _reply(self, visit: Visit, thread: Post) -> None:
        responses = [
            reply
            for reply in thread.replies
            if reply.parent is None and reply.second <= visit.second
        ]
        parent = visit.dice.choice(responses) if responses and visit.chance(COMMENTS) else None
        reply = Post(
            oid=self._oid(visit.second),
            author=visit.enrolment,
            second=visit.second,
            body=self._body(visit.dice),
            topic=thread.topic,
            topic_name=thread.topic_name,
            parent=parent,
        )
        thread.replies.append(reply)
        path = f"{self.course.name.path}/discussion/threads/{thread.oid}/reply"
        extra: dict[str, object] = {"discussion": {"id": thread.oid}}
        if parent is not None:
            path = f"{self.course.name.path}/discussion/comments/{parent.oid}/reply"
            extra["response"] = {"id": parent.oid}
        self._created(visit, reply, ("comment" if parent else "response", path), extra)

    def _created(
        self,
        visit: Visit,
        post: Post,
        what: tuple[str, str],
        extra: dict[str, object] | None = None,
    ) -> None:
        kind, path = what
        payload: dict[str, object] = {
            "id": post.oid,
            "commentable_id": post.topic,
            "body": post.body,
            "truncated": False,
            "url": path,
            "options": {"followed": kind == "thread"},
            "category_id": post.topic,
            "category_name": post.topic_name,
            "user_course_roles": [],
            "user_forums_roles": ["Student"],
            **(extra or {}),
        }
        if kind == "thread":
            payload["title"] = post.title
            payload["thread_type"] = _thread_type(post)
            payload["anonymous"] = post.is_anonymous
            payload["anonymous_to_peers"] = False
            payload["group_id"] = None
        posted = {"POST": {"body": [post.body * 3], "title": [post.title]}, "GET": {}}
        # Servers cut this text at 512 characters: it is then no JSON any more.
        visit.implicit(path, json.dumps(json.dumps(posted)[:512]))
        visit.server(f"edx.forum.{kind}.created", json.dumps(payload), path, None)

    def _oid(self, second: int) -> str:
        self._posts += 1
        owner = pick_number(1 << 24, "board", self.course.id)
        return f"{second:08x}{owner:06x}{self._posts:010x}"

    def _body(self, dice: Random) -> str:
        sentences = dice.sample(POST_SENTENCES, dice.randint(1, 3))
        if self._quirks and dice.random() < ODD_POSTS:
            sentences.append(dice.choice(ODD_SENTENCES))
        return dice.choice((" ", "\n\n")).join(sentences)

    def _write(self, thread: Post) -> None:
        self._written += 1
        number = self._written
        document = self._thread_document(thread)
        if self._quirks and number % TWICE_EVERY == 1:
            self._document({**document, "comment_count": 0})
            document["body"] = f"{thread.body}\n\n(Edited.)"
            document["updated_at"] = self._date(thread.second + EDITED_AFTER)
        if self._quirks and number % NO_AUTHOR_EVERY == 0:
            document = {**document, "author_id": None}
            del document["author_username"]
        replies = [self._reply_document(thread, reply) for reply in thread.replies]
        # Replies before their thread happen: the export has no order.
        for entry in (*replies, document) if number % 2 else (document, *replies):
            self._document(entry)

    def _document(self, document: dict[str, object]) -> None:
        self._file.text(json.dumps(document, ensure_ascii=False) + "\n")

    def _common(self, post: Post) -> dict[str, object]:
        return {
            "_id": {"$oid": post.oid},
            "course_id": self.course.id,
            "author_id": str(post.author.person.id),
            "author_username": post.author.person.username,
            "anonymous": post.is_anonymous,
            "anonymous_to_peers": False,
            "body": post.body,
            "visible": True,
            "abuse_flaggers": [],
            "historical_abuse_flaggers": [],
            "at_position_list": [],
            "votes": {
                "up": [str(user) for user in post.votes],
                "down": [],
                "up_count": len(post.votes),
                "down_count": 0,
                "count": len(post.votes),
                "point": len(post.votes),
            },
            "created_at": self._date(post.second),
            "updated_at": self._date(post.second),
        }

    def _thread_document(self, thread: Post) -> dict[str, object]:
        last = max([thread.second, *(reply.second for reply in thread.replies)])
        return {
            **self._common(thread),
            "_type": "CommentThread",
            "thread_type": _thread_type(thread),
            "context": "course",
            "title": thread.title,
            "commentable_id": thread.topic,
            "comment_count": len(thread.replies),
            "closed": False,
            "pinned": False,
            "group_id": None,
            "last_activity_at": self._date(last),
        }

    def _reply_document(self, thread: Post, reply: Post) -> dict[str, object]:
        parent = reply.parent
        document: dict[str, object] = {
            **self._common(reply),
            "_type": "Comment",
            "comment_thread_id": {"$oid": thread.oid},
            "parent_ids": [{"$oid": parent.oid}] if parent else [],
            "depth": 1 if parent else 0,
            "sk": f"{parent.oid}-{reply.oid}" if parent else reply.oid,
            "endorsed": False,
            "endorsement": None,
        }
        if parent:
            document["parent_id"] = {"$oid": parent.oid}
        return document

    def _date(self, second: int) -> dict[str, object]:
        """Spell a date the way this or that version of the export does."""
        self._dates += 1
        text = f"{day_text(second)}T{CLOCK[second % SECONDS_PER_DAY]}"
        spellings: tuple[object, ...] = (
            f"{text}.000Z",
            second * 1000,
            f"{text}.000+0000",
            f"{text}Z",
            {"$numberLong": str(second * 1000)},
        )
        return {"$date": spellings[self._dates % len(spellings) if self._quirks else 0]}


def _thread_type(thread: Post) -> str:
    return "question" if thread.is_question else "discussion"
