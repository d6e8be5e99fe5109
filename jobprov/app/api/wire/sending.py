"""Sending bytes: whole or in part (Range), with an ETag that is their digest."""

from typing import BinaryIO

from flask import Response, request
from werkzeug.wsgi import wrap_file

from jobprov.app.wiring import get_service


def send_blob(sha256: str) -> Response:
    """Return a blob's bytes, to be saved under their digest; honours Range and If-None-Match.

    Raises:
        BlobMissingError, BlobDamagedError: from the archive.
    """
    store = get_service().store
    return send_stream(
        store.open(sha256),
        store.size(sha256),
        "application/octet-stream",
        etag=sha256,
        name=sha256,
    )


def send_stream(
    stream: BinaryIO, size_bytes: int, content_type: str, *, etag: str, name: str | None = None
) -> Response:
    """Return `size_bytes` bytes of a seekable stream; `etag` is their digest.

    With a name, browsers save it rather than show it. Whoever keeps a copy asks before they show
    it again: the bytes may be erased by then, or the reader's rights over.
    """
    answer = Response(
        wrap_file(request.environ, stream), content_type=content_type, direct_passthrough=True
    )
    answer.content_length = size_bytes
    answer.set_etag(etag)
    answer.headers["Cache-Control"] = "private, no-cache"
    if name is not None:
        answer.headers.set("Content-Disposition", "attachment", filename=name)
    answer.make_conditional(request, accept_ranges=True, complete_length=size_bytes)
    return answer
