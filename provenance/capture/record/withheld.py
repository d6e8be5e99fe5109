"""Which of the variables that are withheld the job's code names: a rerun does not have them."""

import re
from typing import Iterator, List, Sequence, Set

from jobprov.provenance.capture.record.draft import Draft

_LARGEST_TEXT = 1 << 20


def read_by_code(draft: Draft, names: Sequence[str]) -> List[str]:
    """Return the names that a script or fcl file holds, other than to set or unset them."""
    if not names:
        return []
    words = "|".join(re.escape(name) for name in names)
    pattern = re.compile(r"(?<!unset )(?<!\w)({})(?!\w|=(?!=))".format(words).encode("utf-8"))
    found: Set[str] = set()
    for text in _texts(draft):
        found.update(name.decode("utf-8") for name in pattern.findall(text))
    return sorted(found)


def _texts(draft: Draft) -> Iterator[bytes]:
    files = list(draft.record.get("scripts", ()))
    for configuration in draft.record.get("configurations", ()):
        files += configuration.get("files", ())
    for file in files:
        blob = draft.blobs.get(file.get("sha256"))
        if isinstance(blob, str):
            try:
                with open(blob, "rb") as stream:
                    blob = stream.read(_LARGEST_TEXT + 1)
            except OSError:
                continue
        if blob and len(blob) <= _LARGEST_TEXT:
            yield blob
