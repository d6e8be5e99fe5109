"""Sending small blobs together: one call for hundreds of them, where the service has that call.

Each blob is taken or refused by itself. What does not arrive so, for whatever reason, is left to be
sent alone, where the service, or whoever stands between, says what is wrong with it.

Source: docs/reference/http.md, `POST /api/v1/blobs/batch`.
"""

import json
from typing import Any, List, Sequence

from jobprov.provenance.capture.record.json_objects import Answer
from jobprov.provenance.capture.sending.entry import Entry
from jobprov.provenance.capture.sending.service import (
    TOO_LARGE,
    LaterError,
    RefusedError,
    Service,
    UnansweredError,
)

_HEADERS = {"Content-Type": "application/octet-stream"}
_LARGEST, _MOST_BYTES, _MOST_BLOBS = (
    1 << 17,
    1 << 20,
    250,
)  # a batch takes no longer than a blob may
_SMALLEST = 16 * 1024  # a gateway that does not take so much takes no batch
_LINE_BYTES = 400  # what the head says of one
_HERE = (200, 201)
_OF_WHO_SENDS = (401, 403)


def send_together(entry: Entry, service: Service, digests: Sequence[str]) -> None:
    """Send the small ones of some blobs; those that arrived are then confirmed at the entry.

    Raises RefusedError where the service does not take anything from this sender.
    """
    waiting = [digest for digest in digests if entry.size(digest) <= _LARGEST]
    while len(waiting) > 1 and service.batch_bytes:
        batch = _first_batch(entry, waiting, min(_MOST_BYTES, service.batch_bytes))
        if len(batch) == 1 or _send(entry, service, batch):
            del waiting[: len(batch)]


def _first_batch(entry: Entry, digests: Sequence[str], room: int) -> List[str]:
    """Return the first digests, one at least, whose blobs fit into a body of so many bytes."""
    batch: List[str] = []
    for digest in digests[:_MOST_BLOBS]:
        room -= entry.size(digest) + _LINE_BYTES
        if batch and room < 0:
            break
        batch.append(digest)
    return batch


def _send(entry: Entry, service: Service, digests: List[str]) -> bool:
    """Send a batch; tell whether it is done with.

    Where it is too large for a gateway, the next one is half as large.
    """
    head: List[Any] = []
    contents: List[bytes] = []
    for digest in digests:
        content = entry.blob(digest)
        head.append([digest, len(content), entry.package(digest)])
        contents.append(content)
    body = json.dumps(head, separators=(",", ":")).encode("ascii") + b"\n" + b"".join(contents)
    try:
        answer = service.call(
            "POST", "/blobs/batch", body, _HEADERS, lambda answer: _digests(answer) == digests
        )[1]
    except RefusedError as error:
        if error.status in _OF_WHO_SENDS:
            raise
        service.batch_bytes = 0
    except LaterError as error:
        is_too_large = isinstance(error, UnansweredError) and error.status == TOO_LARGE
        service.batch_bytes = len(body) // 2 if is_too_large and len(body) > _SMALLEST else 0
    else:
        taken = [each["sha256"] for each in answer["results"] if each["status"] in _HERE]
        entry.confirmed.update(taken)
        return True
    return False


def _digests(answer: Answer) -> List[Any]:
    """Return what an answer is about: digests, with a status for each.

    Nothing where it is another answer.
    """
    results = answer.get("results")
    digests: List[Any] = []
    for result in results if isinstance(results, list) else ():
        if not isinstance(result, dict) or not isinstance(result.get("status"), int):
            return []
        digests.append(result.get("sha256"))
    return digests
