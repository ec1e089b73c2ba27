"""A store that speaks S3: the only module that knows boto3, and is imported where it is needed."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from boto3.session import Session
from botocore import exceptions
from botocore.config import Config
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from optimus.errors import FileChangedError, OptimusError, SettingsError, SourceUnavailableError
from services.fetch.objects import Source, StoredObject
from services.fetch.proofs import BLOCK, HASHES

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import HeadObjectOutputTypeDef

# It would say at every look where it has found the credentials.
logging.getLogger("botocore").setLevel(logging.WARNING)

CONFIG = Config(
    connect_timeout=10,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 3},
    # Stores other than Amazon's do not know the newer checksums of requests and answers.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    user_agent_extra="optimus-ingestor",
)
PASSING = (
    exceptions.ConnectionError,
    exceptions.HTTPClientError,
    exceptions.IncompleteReadError,
    HTTPError,
)
BUSY = {"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "TooManyRequests"}
SERVER_ERROR, TOO_MANY_REQUESTS = 500, 429
DENIED = (401, 403)
NOT_FOUND, REPLACED, NO_SUCH_RANGE = 404, 412, 416


@dataclass(frozen=True)
class Promise:
    """What the store says of an object's content.

    Attributes:
        etag_is_md5: whether the ETag is made of MD5 digests; of what KMS encrypts it is not.
        checksums: the store's own checksums, in base64, by a key of ``HASHES``.
    """

    etag_is_md5: bool
    checksums: Mapping[str, str]


class Store:
    """A store, seen with boto3's own credentials. May be used from several threads.

    Every method raises:
        SourceUnavailableError: the store does not answer, or not now.
        FileChangedError: this version of the object is there no more.
        SettingsError: the store refuses, and will until settings or rights are mended.
    """

    def __init__(self, endpoint: str) -> None:
        """Choose a store; nothing is sent yet.

        Args:
            endpoint: its URL; blank for Amazon's.
        """
        try:
            with _in_words("S3"):
                self._client: S3Client = Session().client(
                    "s3", endpoint_url=endpoint or None, config=CONFIG
                )
        except ValueError as error:
            raise SettingsError(
                "S3_ENDPOINT is no URL of a store, such as https://s3.example.edu. Mend it, or "
                "leave it blank for Amazon's."
            ) from error

    def objects(self, source: Source) -> Iterator[StoredObject]:
        """All that lies under a source, a page of at most 1,000 at a time."""
        pages = self._client.get_paginator("list_objects_v2")
        with _in_words(source):
            for page in pages.paginate(Bucket=source.bucket, Prefix=source.prefix):
                if "Name" not in page:
                    raise ResponseParserError("no list of a bucket")
                for entry in page.get("Contents", ()):
                    yield StoredObject(
                        bucket=source.bucket,
                        key=entry["Key"],
                        size=entry["Size"],
                        etag=entry["ETag"].strip('"'),
                        modified=entry["LastModified"],
                    )

    def read(self, stored: StoredObject, start: int) -> Iterator[bytes]:
        """The bytes of exactly this version, from ``start`` on; a megabyte at a time."""
        if start >= stored.size:
            return
        with _in_words(stored):
            answer = self._client.get_object(
                Bucket=stored.bucket,
                Key=stored.key,
                Range=f"bytes={start}-",
                IfMatch=_quoted(stored.etag),
            )
            with closing(answer["Body"]) as body:
                if not answer.get("ContentRange", "").startswith(f"bytes {start}-"):
                    raise SettingsError(
                        f"{stored}: the store sends other bytes than those it is asked for. Look "
                        "at what stands between it and this host, and at S3_ENDPOINT."
                    )
                yield from body.iter_chunks(BLOCK)

    def promise(self, stored: StoredObject) -> Promise:
        """What proves that the content of this version has come whole."""
        with _in_words(stored):
            found = self._client.head_object(
                Bucket=stored.bucket,
                Key=stored.key,
                IfMatch=_quoted(stored.etag),
                ChecksumMode="ENABLED",
            )
        is_md5 = not found.get("ServerSideEncryption", "").startswith("aws:kms")
        return Promise(is_md5, dict(_checksums(found)))

    def size_of_part(self, stored: StoredObject, number: int) -> int | None:
        """The size of one of the parts it was uploaded in, from 1; None where nobody knows."""
        with _in_words(stored):
            found = self._client.head_object(
                Bucket=stored.bucket, Key=stored.key, PartNumber=number
            )
        return found["ContentLength"] if "PartsCount" in found else None


def _checksums(found: "HeadObjectOutputTypeDef") -> Iterator[tuple[str, str]]:
    for name in HASHES:
        match found.get(name):
            # One of the parts' checksums ends in a dash and their number.
            case str(checksum) if "-" not in checksum:
                yield name, checksum


def _quoted(etag: str) -> str:
    return f'"{etag}"'


@contextmanager
def _in_words(thing: "Source | StoredObject | str") -> Iterator[None]:
    """Turn what the library raises into an error of ours; its own texts may hold anything."""
    try:
        yield
    except exceptions.ClientError as error:
        raise _refusal(thing, error) from error
    except PASSING as error:
        raise SourceUnavailableError(
            f"{thing}: the store does not answer ({type(error).__name__}). Look at the network "
            "and at S3_ENDPOINT; it is asked again by itself."
        ) from error
    # The library follows a redirection that leads nowhere until Python stops it.
    except (ResponseParserError, RecursionError) as error:
        raise SettingsError(
            f"{thing}: what answers there does not speak S3. Mend S3_ENDPOINT."
        ) from error
    except exceptions.BotoCoreError as error:
        raise SettingsError(
            f"{thing}: the store cannot be asked ({type(error).__name__}). Mend what boto3 reads "
            "for the daemon's user: credentials and region, in the environment "
            "(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION) or in ~/.aws."
        ) from error


def _refusal(thing: "Source | StoredObject | str", error: exceptions.ClientError) -> OptimusError:
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    code = error.response["Error"]["Code"]
    told = code if code.isalnum() and not code.isdecimal() else f"HTTP {status}"
    if status >= SERVER_ERROR or status == TOO_MANY_REQUESTS or code in BUSY:
        return SourceUnavailableError(
            f"{thing}: the store is busy, or is no store ({told}). It is asked again by itself; "
            "look at S3_ENDPOINT if it stays so."
        )
    if code == "NoSuchBucket":
        return SettingsError(f"{thing}: there is no such bucket. Mend S3_SOURCES or S3_ENDPOINT.")
    if isinstance(thing, StoredObject) and status in (NOT_FOUND, REPLACED, NO_SUCH_RANGE):
        return FileChangedError(
            f"{thing} was replaced or removed while it was fetched; it is fetched anew."
        )
    if code == "InvalidObjectState":
        return SettingsError(
            f"{thing} is archived. Have the store restore it, or narrow S3_SOURCES."
        )
    if status in DENIED:
        return SettingsError(
            f"{thing}: access is denied ({told}). Have the right to list the bucket and to read "
            "its objects (s3:ListBucket, s3:GetObject) given to the account, or mend its "
            "credentials."
        )
    return SettingsError(f"{thing}: the store refuses ({told}). Mend S3_SOURCES or S3_ENDPOINT.")
