"""What a gateway finds too large, sent in smaller pieces.

Only a gateway's own refusal counts here: what jobprov finds too large stays too large.
"""

from collections.abc import Callable
from http import HTTPStatus

from jobprov.provenance.answers.recording import BlobAnswer, PartAnswer
from jobprov.provenance.client.answers import GatewayError
from jobprov.provenance.errors import UnreachableError

SMALLEST_PART = 16 * 1024
"""A gateway that does not take so much takes nothing of use."""
_MOST_STANDSTILLS = 3

PutPart = Callable[[bytes, str], BlobAnswer | PartAnswer]
"""Sends bytes of a blob under a `Content-Range`."""


def is_too_large(refusal: GatewayError) -> bool:
    """Tell whether a gateway refuses a request for its size."""
    return refusal.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def put_in_parts(put: PutPart, data: bytes) -> BlobAnswer:
    """Send a blob in parts, which become half as large each time that a gateway refuses one.

    Raises:
        GatewayError: it refuses the smallest part, or for another reason.
        UnreachableError: the service keeps no part.
    """
    total = len(data)
    largest = total // 2
    standstills = 0
    answer = put(b"", f"bytes */{total}")
    while isinstance(answer, PartAnswer):
        start = min(answer.received_bytes, total - 1)
        end = min(start + largest, total)
        try:
            answer = put(data[start:end], f"bytes {start}-{end - 1}/{total}")
        except GatewayError as refusal:
            if not is_too_large(refusal) or end - start <= SMALLEST_PART:
                raise
            largest = max(SMALLEST_PART, (end - start) // 2)
            continue
        if isinstance(answer, PartAnswer) and answer.received_bytes <= start:
            standstills += 1
            if standstills == _MOST_STANDSTILLS:
                raise UnreachableError(
                    f"The service keeps no part of blob {answer.sha256}, so that it cannot be "
                    "sent past a gateway that finds it too large."
                )
    return answer
