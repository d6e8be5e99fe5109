"""Bodies of questions, which may be long, but not without end."""

from flask import request

from jobprov.provenance.errors import BadInputError


def read_body(most_bytes: int) -> bytes:
    """Return the body of the request.

    Raises:
        BadInputError: it is longer.
    """
    body = request.stream.read(most_bytes + 1)
    if len(body) > most_bytes:
        raise BadInputError(f"The question is longer than {most_bytes:,} bytes; ask for less.")
    return body
