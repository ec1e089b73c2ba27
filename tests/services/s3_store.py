"""A store that speaks S3, in this process: moto's server, with faults that a test can ask for."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

from boto3.session import Session
from botocore.config import Config
from botocore.loaders import create_loader
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import ThreadedMotoServer

BUCKET = "edx-course-data"
ACCESS_KEY, SECRET_KEY = "AKIDOFTHETESTS", "a-secret-that-nobody-may-see"
REGION = "us-east-1"


class Request(NamedTuple):
    """What the server was asked."""

    method: str
    path: str
    query: str
    range: str
    if_match: str
    agent: str


Answer = tuple[str, str]
"""A status line and a body."""


class S3Store:
    """The server, and a client of its own that puts objects there.

    Attributes:
        requests: all that were asked since the last ``reset``.
        before: called before every request is answered; may answer in the server's place.
        cuts: after how many bytes the next answer about a path breaks off.
        stalls: paths whose answers, when they are cut, go on only after ``release``.
        loader: what the library knows of the protocol, read once.
        lies: paths that are answered with other bytes, as many as there should be.
    """

    def __init__(self) -> None:
        for noisy in ("werkzeug", "moto"):
            logging.getLogger(noisy).setLevel(logging.CRITICAL)
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        server = self._server._server
        assert server is not None
        self._app = server.app
        server.app = self
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self.client = Session(ACCESS_KEY, SECRET_KEY, region_name=REGION).client(
            "s3",
            endpoint_url=self.url,
            config=Config(request_checksum_calculation="when_required"),
        )
        self.loader = create_loader()
        self.release = threading.Event()
        self.reset()

    def reset(self) -> None:
        """An empty bucket, and no faults."""
        self.before: list[Callable[[Request], Answer | None]] = []
        self.cuts: dict[str, int] = {}
        self.stalls: set[str] = set()
        self.lies: set[str] = set()
        self.requests: list[Request] = []
        self.release.clear()
        urlopen(HttpRequest(f"{self.url}/moto-api/reset", method="POST")).close()
        self.client.create_bucket(Bucket=BUCKET)
        self.requests.clear()

    def stop(self) -> None:
        self.release.set()
        self._server.stop()

    def put(self, key: str, content: bytes, **more: Any) -> None:
        self.client.put_object(Bucket=BUCKET, Key=key, Body=content, **more)

    def put_parts(self, key: str, *parts: bytes) -> str:
        """Upload an object in parts; all but the last must have 5 MB. Gives its ETag."""
        place: Any = {"Bucket": BUCKET, "Key": key}
        place["UploadId"] = self.client.create_multipart_upload(**place)["UploadId"]
        done: list[Any] = []
        for number, part in enumerate(parts, 1):
            answer = self.client.upload_part(**place, PartNumber=number, Body=part)
            done.append({"PartNumber": number, "ETag": answer["ETag"]})
        self.client.complete_multipart_upload(**place, MultipartUpload={"Parts": done})
        return self.etag(key)

    def put_oddly_named(self, key: str, content: bytes) -> None:
        """Put an object there whose key the client would tidy."""
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].put_object(BUCKET, key, content)

    def etag(self, key: str) -> str:
        return self.client.head_object(Bucket=BUCKET, Key=key)["ETag"]

    def call_version(self, key: str, etag: str) -> None:
        """Give an object an ETag that is not made of its content."""
        found = s3_backends[DEFAULT_ACCOUNT_ID]["aws"].get_object(BUCKET, key)
        assert found is not None
        found._etag = etag

    def gets(self) -> list[Request]:
        """Requests for the content of an object."""
        return [
            request
            for request in self.requests
            if request.method == "GET" and request.path.count("/") > 1
        ]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(
            environ["REQUEST_METHOD"],
            unquote(environ["PATH_INFO"]),
            environ.get("QUERY_STRING", ""),
            environ.get("HTTP_RANGE", ""),
            environ.get("HTTP_IF_MATCH", ""),
            environ.get("HTTP_USER_AGENT", ""),
        )
        self.requests.append(request)
        for ask in self.before:
            found = ask(request)
            if found is not None:
                start_response(found[0], [("Content-Type", "application/xml")])
                return [] if request.method == "HEAD" else [found[1].encode()]
        answer = self._app(environ, start_response)
        if request.path in self.lies and request.method == "GET":
            return [bytes(len(b"".join(answer)))]
        cut = self.cuts.pop(request.path, None) if request.method == "GET" else None
        return answer if cut is None else self._broken(request.path, b"".join(answer), cut)

    def _broken(self, path: str, answer: bytes, cut: int) -> Iterator[bytes]:
        yield answer[:cut]
        if path in self.stalls:
            self.release.wait()
            yield answer[cut:]
        else:
            raise ConnectionError


def path(key: str) -> str:
    """How requests spell an object of the bucket."""
    return f"/{BUCKET}/{key}"
