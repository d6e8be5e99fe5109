"""A bucket of an S3 server: short requests, bounded retries, and one error that says what to set.

Keys and address come from the environment, as with other S3 tools (`AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL`, `AWS_REGION`, ...), and are written nowhere. No request
moves more than `PART_BYTES`, so that one which exceeds its time limit has failed and is not merely
large. An upload exists as a whole or not at all, and is durable once it is answered.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar

import obstore
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import S3Store as ObjectStore

from jobprov.archive.errors import ArchiveUnreachableError

PART_BYTES = 8 << 20
AT_ONCE = 16
"""How many requests are made at the same time, if there are many."""

_PARTS_AT_ONCE = 4
_MOST_PARTS = 9000  # S3 allows 10,000
_LISTED_AT_ONCE = 1000
_DELETED_AT_ONCE = 1000
_TRIES_AGAIN = 4
_CODE = re.compile(r"<Code>(\w+)</Code>(?:<Message>([^<]*)</Message>)?")
_ADDRESS = re.compile(r"https?://([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/[\w./~-]*)?", re.ASCII)
_KEYS_REFUSED = {
    "AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
}  # fmt: skip
_ELSEWHERE = {
    "AuthorizationHeaderMalformed",
    "PermanentRedirect",
    "IllegalLocationConstraintException",
}
# Parts of its messages without keys: the library then asks the metadata service of a cloud for some
_NO_KEYS = ("/latest/api/token", "Missing AccessKeyId", "Missing SecretAccessKey")

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Listed:
    """An object in a listing.

    Attributes:
        modified_at: when it was stored, by the server's clock.
    """

    key: str
    size_bytes: int
    modified_at: datetime


class Bucket:
    """The objects below a prefix of a bucket.

    Args:
        name: of the bucket, which must exist.
        prefix: without slashes around it; empty for the whole bucket.
        timeout_seconds: how long one request may take; with retries about twice as long.

    Raises:
        ArchiveUnreachableError: here and in every method, if the server does not answer or refuses.
    """

    def __init__(self, name: str, prefix: str, *, timeout_seconds: float = 30) -> None:
        self.name = name
        self.where = f"s3://{name}/{prefix}".rstrip("/")
        endpoint = self._endpoint()
        timeout = timedelta(seconds=timeout_seconds)
        with self._reaching():
            self._store = ObjectStore(
                name,
                prefix=prefix or None,
                client_options={
                    "allow_http": endpoint.startswith("http://"),
                    "connect_timeout": min(timeout, timedelta(seconds=5)),
                    "timeout": timeout,
                },
                retry_config={
                    "max_retries": _TRIES_AGAIN,
                    "retry_timeout": timeout,
                    "backoff": {
                        "init_backoff": timedelta(seconds=0.1),
                        "max_backoff": timedelta(seconds=2),
                        "base": 2,
                    },
                },
            )

    def put_new(self, key: str, data: bytes) -> bool:
        """Store an object, unless one of that key exists; returns whether it was stored.

        If an answer is lost, the request is sent again, and the result is False: the existing
        object may be this very one.
        """
        with self._reaching():
            try:
                obstore.put(self._store, key, data, mode="create")
            except AlreadyExistsError:
                return False
        return True

    def put(self, key: str, data: bytes) -> None:
        """Store an object, replacing an existing one."""
        with self._reaching():
            obstore.put(self._store, key, data, use_multipart=False)

    def put_file(self, key: str, path: Path) -> None:
        """Store a file's bytes, replacing an existing object; a large file goes in parts."""
        size_bytes = path.stat().st_size
        part_bytes = max(PART_BYTES, -(-size_bytes // _MOST_PARTS))
        with self._reaching():
            obstore.put(
                self._store, key, path, chunk_size=part_bytes, max_concurrency=_PARTS_AT_ONCE
            )

    def copy(self, key: str, to: str) -> bool:
        """Copy an object within the server, replacing an existing one.

        Returns whether it was there.
        """
        with self._reaching(), self._finding():
            obstore.copy(self._store, key, to)
            return True
        return False

    def first_bytes(self, key: str, length: int) -> tuple[bytes, int] | None:
        """The first bytes of an object and its whole size, in one request; None without it."""
        with self._reaching(), self._finding():
            try:
                answer = obstore.get(self._store, key, options={"range": (0, max(length, 1))})
                return bytes(answer.bytes()), answer.meta["size"]
            except BaseError as error:
                if _code(error) == "InvalidRange":  # an empty object has no first byte
                    return b"", 0
                raise
        return None

    def read(self, key: str, start: int, length: int) -> bytes | None:
        """Bytes of an object, which must reach that far; None if there is no such object."""
        end = start + length
        parts = [(at, min(PART_BYTES, end - at)) for at in range(start, end, PART_BYTES)]
        if len(parts) == 1:
            return self._read_part(key, start, length)
        read = in_parallel(lambda part: self._read_part(key, *part), parts, at_once=_PARTS_AT_ONCE)
        content: list[bytes] = []
        for part in read:
            if part is None:
                return None
            content.append(part)
        return b"".join(content)

    def holds(self, key: str) -> bool:
        """Whether an object exists; False also if the bucket is gone: only a listing tells."""
        with self._reaching(), self._finding():
            obstore.head(self._store, key)
            return True
        return False

    def now(self) -> datetime:
        """The time by the server's clock, to the second.

        Ages of objects are computed with it: clocks of other machines may be wrong.
        """
        with self._reaching():
            obstore.put(self._store, "clock", b"")
            return obstore.head(self._store, "clock")["last_modified"]

    def listed(self, prefix: str) -> Iterator[Listed]:
        """The objects below a prefix, which must be whole parts of a key."""
        with self._reaching():
            for chunk in obstore.list(self._store, prefix or None, chunk_size=_LISTED_AT_ONCE):
                for entry in chunk:
                    yield Listed(entry["path"], entry["size"], entry["last_modified"])

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; missing ones are ignored."""
        left = iter(keys)
        while batch := list(islice(left, _DELETED_AT_ONCE)):
            with self._reaching(), self._finding():
                obstore.delete(self._store, batch)

    def _endpoint(self) -> str:
        """The server's address from the environment; empty for Amazon's."""
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""
        # Checked here, because a wrong address makes the client's library end the process
        if endpoint and not _ADDRESS.fullmatch(endpoint):
            reason = f"the server's address {endpoint[:200]!r} is none"
            raise ArchiveUnreachableError(
                self.where, reason, "write AWS_ENDPOINT_URL as https://host or http://host:port"
            )
        return endpoint

    def _read_part(self, key: str, start: int, length: int) -> bytes | None:
        if not length:  # HTTP has no empty range
            return b""
        with self._reaching(), self._finding():
            return bytes(obstore.get_range(self._store, key, start=start, length=length))
        return None

    @contextmanager
    def _finding(self) -> Iterator[None]:
        """Ignore the error that an object is missing, but not that the bucket is missing."""
        try:
            yield
        except FileNotFoundError as error:
            if _code(error) == "NoSuchBucket":
                raise self._unreachable(error) from None

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Turn errors of the server or the network into one error that names the archive."""
        try:
            yield
        except (BaseError, ValueError) as error:
            raise self._unreachable(error) from None

    def _unreachable(self, error: Exception) -> ArchiveUnreachableError:
        reason, advice = _explain(error, self.name)
        return ArchiveUnreachableError(self.where, reason, advice)


def in_parallel(
    function: Callable[[_T], _R], items: Iterable[_T], *, at_once: int = AT_ONCE
) -> Iterator[_R]:
    """The results of a function for each item, in order.

    It works only some items ahead of what was taken, since all results may not fit into memory.
    """
    left = iter(items)
    with ThreadPoolExecutor(at_once) as pool:
        pending = [pool.submit(function, item) for item in islice(left, 2 * at_once)]
        while pending:
            yield pending.pop(0).result()
            pending.extend(pool.submit(function, item) for item in islice(left, 1))


def _explain(error: Exception, bucket: str) -> tuple[str, str]:
    """What failed, and what to do about it, for an error of the client's library."""
    text = _first_line(error)
    code = _code(error)
    if code == "NoSuchBucket":
        return f"there is no bucket {bucket!r}", "make it, or name another in JOBPROV_ARCHIVE_URL"
    if any(words in text for words in _NO_KEYS):
        return (
            "no keys are set, or only one of two",
            "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    if code in _ELSEWHERE:
        return f"the server says {_said(error)}", "check AWS_REGION and AWS_ENDPOINT_URL"
    if code in _KEYS_REFUSED or isinstance(error, PermissionDeniedError | UnauthenticatedError):
        advice = (
            "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and that they may list, read, "
            "write and delete"
        )
        return f"the server refuses the keys: {_said(error)}", advice
    if code:
        return f"the server says {_said(error)}", "check the server"
    return f"the server does not answer: {text}", "check AWS_ENDPOINT_URL, and the server there"


def _code(error: Exception) -> str:
    """The server's own code for what is wrong; empty if it gave none.

    Source: Amazon S3 API Reference, "Error responses".
    """
    match = _CODE.search(str(error))
    return match[1] if match else ""


def _said(error: Exception) -> str:
    match = _CODE.search(str(error))
    if match is None:
        return _first_line(error)
    return f"{match[1]}, {match[2] or 'no more'}".rstrip(". ")


def _first_line(error: Exception) -> str:
    """The first line of a message; the library's debugging notes follow after it."""
    return str(error).split("\n", 1)[0].strip()[:400].rstrip(". -")
