"""Sending a blob in parts: one that is large, or larger than a gateway lets pass.

The service keeps what arrives of a part (http.md, "A large blob in parts"), so that a cut costs
only what was on its way, also where another process goes on. Loaded only where it is needed.
"""

import time
from typing import Any, Dict, Optional, Tuple

from jobprov.provenance.capture.record.json_objects import Answer
from jobprov.provenance.capture.sending.service import (
    CONTINUE,
    TOO_LARGE,
    Service,
    UnansweredError,
)

_SMALLEST = 16 * 1024
"""A gateway that does not take so much takes nothing of use."""
_MOST_STANDSTILLS = 3
_PAUSE_SECONDS = 0.5


def put_in_parts(
    service: Service,
    digest: str,
    content: bytes,
    headers: Dict[str, str],
    failure: Optional[UnansweredError] = None,
) -> None:
    """Send a blob with the headers that it has as a whole.

    Return once the service says that it has it.

    `failure` is why it did not pass as a whole; it is raised where parts would not pass either.
    """
    largest = service.largest_body or len(content)
    if failure is not None:
        largest = _smaller(service, failure, len(content))
    _Parts(service, digest, content, headers).send(largest)


class _Parts:
    """A blob on its way in parts.

    What the service answers to each part says where the next one begins.
    """

    def __init__(
        self, service: Service, digest: str, content: bytes, headers: Dict[str, str]
    ) -> None:
        self._service, self._digest, self._content = service, digest, content
        self._headers = headers
        self._total = len(content)

    def send(self, largest: int) -> None:
        """Send what the service lacks, at most `largest` bytes at once, fewer if need be."""
        is_there, arrived = self._ask()
        standstills = 0
        while not is_there:
            before = arrived
            try:
                is_there, arrived = self._put(arrived, largest)
            except UnansweredError as error:
                largest = _smaller(self._service, error, min(largest, self._total - before))
                if error.status is None:
                    time.sleep(_PAUSE_SECONDS)  # the service may still be reading what arrived
                is_there, arrived = self._ask()
                if error.status == TOO_LARGE:
                    continue
            standstills = 0 if arrived > before else standstills + 1
            if not is_there and standstills == _MOST_STANDSTILLS:
                raise UnansweredError(
                    "PUT /blobs/{}: {} of {} bytes arrived".format(
                        self._digest, arrived, self._total
                    )
                )

    def _ask(self) -> Tuple[bool, int]:
        """Return whether the blob is there, and else how much of it, from the first byte on."""
        return self._call(b"", "bytes */{}".format(self._total))

    def _put(self, start: int, largest: int) -> Tuple[bool, int]:
        start = min(start, self._total - 1)
        end = min(start + largest, self._total)
        part = memoryview(self._content)[start:end]
        return self._call(part, "bytes {}-{}/{}".format(start, end - 1, self._total))

    def _call(self, body: Any, content_range: str) -> Tuple[bool, int]:
        headers = dict(self._headers, **{"Content-Range": content_range})
        status, answer = self._service.call(
            "PUT", "/blobs/" + self._digest, body, headers, self._is_whole
        )
        return status != CONTINUE, int(answer.get("received_bytes") or 0)

    def _is_whole(self, answer: Answer) -> bool:
        received = answer.get("received_bytes", 0)
        return (
            answer.get("sha256") == self._digest
            and isinstance(received, int)
            and 0 <= received <= self._total
        )


def _smaller(service: Service, failure: UnansweredError, size: int) -> int:
    """Return how large the next part may be after one of that size did not pass.

    Raises the failure where smaller parts are no use.
    """
    is_too_large = failure.status == TOO_LARGE
    is_other_refusal = failure.is_barred() and not is_too_large
    if is_other_refusal or failure.pause is not None or size <= _SMALLEST:
        raise failure
    smaller = max(_SMALLEST, size // 2)
    if is_too_large:  # a broken line may have another cause
        service.largest_body = smaller
    return smaller
