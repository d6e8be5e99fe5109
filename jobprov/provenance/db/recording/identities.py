"""One set of checksums and a size under which a file was seen, in a form that compares.

Source: record.md: catalog checksums are `algorithm:value`; sha256 is one more of them here.
"""

import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from jobprov.provenance.records.files.checksums import normal_checksum

_KEY_BYTES = 11
"""How many bytes a key has, so that entries of PostgreSQL's index have no padding.

Before it stand four bytes of the file's key and one of length.
"""


class FileKey(NamedTuple):
    """What names a file, in the order of its unique constraint.

    The experiment stands there by its integer key.
    """

    name: str
    namespace: str
    experiment_id: int


class SeenIdentity(NamedTuple):
    """A file with the size and checksums that somebody saw.

    Attributes:
        file: whose.
        size_bytes: None where not said.
        checksums: `algorithm:value` words, normalised, sorted, joined by blanks; '' where none.
        campaign: of the job that saw it, where no checksum tells it from a file of the same name in
            another campaign; else ''.
        key: bytes that name all of the above.
    """

    file: FileKey
    size_bytes: int | None
    checksums: str
    campaign: str
    key: bytes


def see_identity(
    file: FileKey,
    size_bytes: int | None,
    checksums: Iterable[str] | None,
    sha256: str | None,
    *,
    campaign: str | None = None,
) -> SeenIdentity:
    """Return the identity that one mention, claim or sighting of a file describes.

    `campaign` is of the job that saw it; None where it names none, or no job saw it.
    """
    normal = {normal_checksum(checksum) for checksum in checksums or ()}
    if sha256:
        normal.add(f"sha256:{sha256}")
    joined = " ".join(sorted(normal))
    scope = "" if joined or campaign is None else campaign
    text = f"{file.experiment_id}\0{file.namespace}\0{file.name}\0{size_bytes}\0{joined}"
    if scope:
        text += f"\0{scope}"
    return SeenIdentity(
        file,
        size_bytes,
        joined,
        scope,
        hashlib.sha256(text.encode(errors="surrogatepass")).digest()[:_KEY_BYTES],
    )
