"""What a catalog keeps of one file's metadata: asked of SAM or MetaCat, as a flat object of their own names.

Source: SAM `GET /files/name/<name>/metadata?format=json`; MetaCat `GET /data/file?name=<namespace:name>&with_metadata=yes`.
"""

from typing import Any
from urllib.parse import quote

import requests

from provenance.errors import NotFoundError, UnreachableError

_SECONDS = 30.0


def ask_metacat(url: str, did: str, token: str | None = None) -> dict[str, Any]:
    """Return the metadata of the file `namespace:name`, by dotted keys.

    Raises:
        NotFoundError: MetaCat does not know it.
        UnreachableError: no MetaCat answers there.
    """
    headers = {"X-Authentication-Token": token} if token else {}
    query = {"name": did, "with_metadata": "yes"}
    answer = _ask(f"{url.rstrip('/')}/data/file", did, params=query, headers=headers)
    metadata = answer.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def ask_sam(url: str, name: str) -> dict[str, Any]:
    """Return the metadata of a file, parameters among the fields as SAM has them; `url` ends in `/sam/<experiment>/api`.

    Raises:
        NotFoundError: SAM does not know it.
        UnreachableError: no SAM answers there.
    """
    return _ask(f"{url.rstrip('/')}/files/name/{quote(name, safe='')}/metadata", name, params={"format": "json"})


def _ask(address: str, name: str, **options: Any) -> dict[str, Any]:
    try:
        answer = requests.get(address, timeout=_SECONDS, **options)
        if answer.status_code == requests.codes.not_found:
            raise NotFoundError(f"The catalog at {address} does not know {name}.")
        answer.raise_for_status()
        document = answer.json()
    except (requests.RequestException, ValueError) as problem:
        raise UnreachableError(
            f"The catalog at {address} does not answer as one does: {type(problem).__name__}."
        ) from None
    if not isinstance(document, dict):
        raise NotFoundError(f"The catalog at {address} does not know {name}.")
    return document
