"""Sending one entry of the spool: ask which blobs are missing, send those, then the record.

Three tries within the budget, with growing pauses and jitter; the service's Retry-After is obeyed.
What jobprov refuses (4xx but 408, 425, 429) is not tried again. Each call is harmless when repeated
(http.md).

A blob counts as delivered once the service says that it has it. One that does not pass, since a
gateway refuses it or the line breaks, holds up neither the other blobs nor the record.
"""

import gzip
import io
import json
import random
import time
import zipfile
from typing import Any, Dict, FrozenSet, List, Optional, Sequence, Tuple
from urllib.parse import quote

from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.record import excerpts
from jobprov.provenance.capture.record.json_objects import Answer
from jobprov.provenance.capture.sending.entry import DAMAGES, Entry, unreadable
from jobprov.provenance.capture.sending.service import (
    BYTES_HEADERS,
    PACKAGE_HEADER,
    TOO_LARGE,
    LaterError,
    RefusedError,
    Service,
    UnansweredError,
    opened,
    read_token,
)

__all__ = ["LaterError", "RefusedError", "Service", "UnansweredError", "opened", "read_token"]

_TRIES = 3
_UNUSABLE = 422  # a blob that may not be kept
_JSON_HEADERS = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
_BLOB_TRIES, _RECORD_TRIES = 3, 2  # with secrets taken out in between
_MOST_BROKEN = 2  # blobs in one try; then the record shows whether the service is there at all
_RECORD_SECONDS = 4.0  # blobs leave so much for the record, or a quarter of a short budget
_TRIED_AGAIN = ("/problems/digest-mismatch", "/problems/conflict")
_ASKED_AT_ONCE = 10000
_FEWEST_ASKED = 100
FIRST_PAUSE_SECONDS = 0.5
# Of a blob; below, sending it again costs less than asking how much arrived
RESUMED_BYTES = 4 << 20


class IncompleteError(LaterError):
    """The record arrived, and some of its blobs did not.

    Attributes:
        entry: what was sent, still open; `entry.waiting` says why, by digest.
    """

    def __init__(self, entry: Entry) -> None:
        LaterError.__init__(self, str(next(iter(entry.waiting.values()))))
        self.entry = entry


def deliver(path: Any, url: str, token: Optional[str], clock: Clock) -> Entry:
    """Send the entry at a path, or in a stream, and return it with what the service said.

    Raises LaterError (IncompleteError where only blobs are left) and RefusedError.
    """
    service = Service(url, token, clock)
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGES as error:
        raise unreadable(error) from error
    is_read_on = False
    try:
        return _deliver(Entry(archive), service, clock)
    except IncompleteError:
        is_read_on = True  # to keep what is left of it
        raise
    finally:
        if not is_read_on:
            archive.close()


def _deliver(entry: Entry, service: Service, clock: Clock) -> Entry:
    for attempt in range(_TRIES):
        try:
            _send(entry, service)
        except LaterError as error:
            pause = _pause(attempt, error.pause)
            if attempt == _TRIES - 1 or pause >= clock.left() or is_barred(error):
                raise _left(entry, error) from error
            time.sleep(pause)
        else:
            break
        finally:
            service.close()
    return entry


def is_barred(error: LaterError) -> bool:
    """Tell whether a gateway refuses what is left, so that a repetition is no use."""
    if isinstance(error, IncompleteError):
        return error.entry.are_all_barred()
    return isinstance(error, UnansweredError) and error.is_barred()


def _left(entry: Entry, error: LaterError) -> LaterError:
    """Return the error that says what is left after the last try."""
    if not entry.answer or isinstance(error, IncompleteError):
        return error
    for digest in entry.unconfirmed():
        entry.wait(digest, error)
    return IncompleteError(entry) if entry.waiting else error


def _send(entry: Entry, service: Service) -> None:
    """Send what the service lacks; return once it has confirmed everything that it takes."""
    service.reserve = 0.0
    wanted = _ask_wanted(entry, service)
    service.reserve = min(_RECORD_SECONDS, service.seconds_left() / 4)
    _send_blobs(entry, service, [digest for digest in entry.digests if digest in wanted])
    service.reserve = 0.0
    late = _send_record(entry, service)
    if late:  # removed, or lost, between our question and the record
        _send_blobs(entry, service, late)
        late = _send_record(entry, service)
        for digest in late:
            entry.wait(digest, LaterError("the service took blob {} and lacks it".format(digest)))
    if entry.waiting:
        raise IncompleteError(entry)


def _ask_wanted(entry: Entry, service: Service) -> FrozenSet[str]:
    """Return the digests of blobs to send, and note which excerpts of it the service knows.

    Of the blobs that a known excerpt names none is missing; if one is, the answer to the record
    tells.
    """
    own_excerpts = entry.excerpts()
    named = b"".join(excerpt.content for excerpt in own_excerpts)
    unnamed = [digest for digest in entry.digests if digest.encode("ascii") not in named]
    wanted, entry.known = _missing(service, unnamed, [excerpt.sha256 for excerpt in own_excerpts])
    known = entry.known or frozenset()
    rest = b"".join(excerpt.content for excerpt in own_excerpts if excerpt.sha256 not in known)
    in_rest = [digest for digest in entry.digests if digest.encode("ascii") in rest]
    wanted |= ask_missing(service, in_rest)
    entry.confirmed = set(entry.digests) - wanted
    entry.waiting.clear()
    return wanted - frozenset(entry.refused)


def ask_missing(service: Service, digests: Sequence[str]) -> FrozenSet[str]:
    """Return which of the digests the service lacks; raises LaterError and RefusedError."""
    return _missing(service, digests)[0]


def _missing(
    service: Service, digests: Sequence[str], excerpt_digests: Sequence[str] = ()
) -> Tuple[FrozenSet[str], Optional[FrozenSet[str]]]:
    """Return (digests that the service lacks, excerpts that it knows).

    None for a service that takes no excerpts.
    """
    if not digests and not excerpt_digests:
        return frozenset(), None
    missing, known = _ask_some(service, digests[:_ASKED_AT_ONCE], excerpt_digests)
    for start in range(_ASKED_AT_ONCE, len(digests), _ASKED_AT_ONCE):
        missing |= _ask_some(service, digests[start : start + _ASKED_AT_ONCE])[0]
    return missing, known


def _ask_some(
    service: Service, digests: Sequence[str], excerpt_digests: Sequence[str] = ()
) -> Tuple[FrozenSet[str], Optional[FrozenSet[str]]]:
    """Ask in one call; in two halves where a gateway finds the question too large."""
    question: Dict[str, Sequence[str]] = {"sha256": digests}
    if excerpt_digests:
        question["excerpts"] = excerpt_digests
    body = gzip_bytes(json.dumps(question, separators=(",", ":")).encode())

    def is_whole(answer: Answer) -> bool:
        known = answer.get("excerpts")
        return _is_some_of(answer.get("missing"), digests) and (
            known is None or _is_some_of(known, excerpt_digests)
        )

    try:
        answer = service.call("POST", "/blobs/missing", body, _JSON_HEADERS, is_whole)[1]
    except UnansweredError as error:
        if error.status != TOO_LARGE or len(digests) < _FEWEST_ASKED:
            raise
        middle = len(digests) // 2
        missing, known = _ask_some(service, digests[:middle], excerpt_digests)
        return missing | _ask_some(service, digests[middle:])[0], known
    batch_bytes: Any = answer.get("batch_bytes")
    service.batch_bytes = batch_bytes if isinstance(batch_bytes, int) else 0
    known_excerpts = answer.get("excerpts")
    return (
        frozenset(answer["missing"]),
        None if known_excerpts is None else frozenset(known_excerpts),
    )


def _is_some_of(value: Any, asked: Sequence[str]) -> bool:
    """Tell whether an answer's member is a list of some of the digests that were asked about."""
    if not isinstance(value, list):
        return False
    known = frozenset(asked)
    return all(isinstance(digest, str) and digest in known for digest in value)


def _send_blobs(entry: Entry, service: Service, digests: Sequence[str]) -> None:
    """Send blobs, first what ran, then the smallest; note at the entry what became of each.

    One that does not pass does not hold up the others.
    """
    code = json.dumps([entry.record.get(name) for name in ("scripts", "configurations")])
    ordered = sorted(digests, key=entry.size)
    broken: List[LaterError] = []
    for group in (
        [digest for digest in ordered if digest in code],
        [digest for digest in ordered if digest not in code],
    ):
        if service.batch_bytes and len(group) > 1:
            from jobprov.provenance.capture.sending.together import send_together  # noqa: PLC0415

            send_together(entry, service, group)
        for digest in group:
            if digest not in entry.confirmed:
                _send_alone(entry, service, digest, broken)


def _send_alone(entry: Entry, service: Service, digest: str, broken: List[LaterError]) -> None:
    """Send a blob; note why it could not be sent, also among those that the line broke off."""
    if len(broken) == _MOST_BROKEN:
        entry.wait(digest, broken[-1])
        return
    try:
        _send_blob(entry, service, digest)
    except LaterError as error:
        if error.pause is not None and not is_barred(error):
            raise
        entry.wait(digest, error)
        if not is_barred(error):
            broken.append(error)


def _send_blob(entry: Entry, service: Service, digest: str) -> None:
    """Send a blob, redacted where the service finds a secret in it."""
    for _ in range(_BLOB_TRIES):
        try:
            _put_blob(service, digest, entry.blob(digest), entry.package(digest))
        except RefusedError as error:
            # Other bytes arrived than were sent, or another process sent it at the same moment
            if error.answer.get("type") in _TRIED_AGAIN:
                raise UnansweredError(str(error)) from error
            if error.status == TOO_LARGE:
                entry.refuse(digest, error)  # the record goes without it
                return
            if error.status != _UNUSABLE or not error.is_about("secret-found"):
                raise
            if entry.is_recorded:  # under this digest, and for good
                entry.refuse(digest, error)
                return
            digest = entry.withhold(digest, str(error.answer.get("detail") or "secret-found"))
        else:
            entry.confirmed.add(digest)
            return
    raise RefusedError("the service keeps finding a secret in blob {}".format(digest))


def _put_blob(service: Service, digest: str, content: bytes, package: Optional[str]) -> None:
    """Send a blob whole, or in parts where it is large or does not pass.

    Of a file that a package brought, the service is told so: it holds no secret.
    """
    headers = dict(BYTES_HEADERS, **({PACKAGE_HEADER: package} if package else {}))
    failure: Optional[UnansweredError] = None
    if len(content) <= min(RESUMED_BYTES, service.largest_body or RESUMED_BYTES):
        try:
            service.call(
                "PUT",
                "/blobs/" + digest,
                content,
                headers,
                lambda answer: answer.get("sha256") == digest,
            )
        except UnansweredError as error:
            failure = error
        else:
            return
    from jobprov.provenance.capture.sending.parts import put_in_parts  # noqa: PLC0415

    put_in_parts(service, digest, content, headers, failure)


def _send_record(entry: Entry, service: Service) -> List[str]:
    """Send the record; return what the service lacks of the blobs that it seemed to have."""
    for _ in range(_RECORD_TRIES):
        try:
            return _put_record(entry, service)
        except RefusedError as error:
            if error.status != _UNUSABLE:
                raise
            if error.is_about("unknown-excerpt"):
                entry.known = frozenset()
            elif error.is_about("secret-found"):
                entry.withhold_fields(error.answer.get("errors") or {})
            else:
                raise
    return _put_record(entry, service)


def _put_record(entry: Entry, service: Service) -> List[str]:
    """Send the record as it was spooled: another byte in a second try would be another record."""
    body, headers = entry.record_bytes, dict(_JSON_HEADERS)
    if entry.known is not None:
        body = excerpts.fold(body, entry.excerpts(), entry.known)
        headers["Content-Type"] = excerpts.CONTENT_TYPE
    answer = put_record(service, entry.job_id, body, headers)
    entry.answer, entry.is_recorded = answer, True
    lost = [digest for digest in answer["missing_blobs"] if digest in entry.confirmed]
    entry.confirmed.difference_update(lost)
    return lost


def put_record(
    service: Service, job_id: str, body: bytes, headers: Optional[Dict[str, str]] = None
) -> Answer:
    """Send a record's bytes, and return what the service says of the job."""

    def is_whole(answer: Answer) -> bool:
        return str(answer.get("job_id")).lower() == job_id.lower() and isinstance(
            answer.get("missing_blobs"), list
        )

    path = "/jobs/" + quote(job_id, safe="")
    return service.call("PUT", path, gzip_bytes(body), headers or _JSON_HEADERS, is_whole)[1]


def gzip_bytes(content: bytes) -> bytes:
    """Return content in gzip form, the same bytes each time."""
    target = io.BytesIO()
    with gzip.GzipFile(fileobj=target, mode="wb", compresslevel=6, mtime=0) as stream:
        stream.write(content)
    return target.getvalue()


def _pause(attempt: int, wanted: Optional[float]) -> float:
    if wanted is not None:
        return wanted
    pause: float = FIRST_PAUSE_SECONDS * 2**attempt
    return pause * (0.5 + random.random())  # noqa: S311 - jitter, not secrecy
