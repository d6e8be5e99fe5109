"""An entry of the spool, opened to be sent.

What the service finds a secret in is taken out here, and the rest goes.
"""

import hashlib
import json
import zipfile
from typing import Any, Dict, FrozenSet, Iterable, List, Optional

from jobprov.provenance.capture.record import excerpts, redaction
from jobprov.provenance.capture.record.encoding import encode

_LONGEST_LIST = 1000  # characters of field paths in a note


class Entry:
    """An opened entry of the spool: its record, and its blobs by digest.

    Attributes:
        record, record_bytes: the record, and as it is sent.
        digests: of its blobs.
        known: digests of the record's excerpts that the service knows; None where it does not take
            excerpts.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.known: Optional[FrozenSet[str]] = None
        self._archive = archive
        self._redacted: Dict[str, bytes] = {}
        self._excerpts: List[excerpts.Excerpt] = []
        self._excerpted = b""  # the bytes of the record that `_excerpts` are of
        self.record_bytes = archive.read("record.json")
        self.record: Dict[str, Any] = json.loads(self.record_bytes.decode("utf-8"))
        self.digests = [name[6:] for name in archive.namelist() if name.startswith("blobs/")]

    def excerpts(self) -> List[excerpts.Excerpt]:
        """Return the excerpts of the record as it is now."""
        if self._excerpted is not self.record_bytes:
            self._excerpted = self.record_bytes
            self._excerpts = excerpts.find(self.record, self.record_bytes)
        return self._excerpts

    def blob(self, digest: str) -> bytes:
        """Return a blob's bytes."""
        if digest in self._redacted:
            return self._redacted[digest]
        return self._archive.read("blobs/" + digest)

    def withhold(self, digest: str, rule: str) -> str:
        """Put redacted bytes in a blob's place, name them in the record, and return their digest."""
        content, hits = redaction.redact(self.blob(digest))
        if not hits:
            content = b"[withheld: the service found a secret in this file]\n"
        new = hashlib.sha256(content).hexdigest()
        self._redacted[new] = content
        self.record = json.loads(self.record_bytes.decode("utf-8").replace(digest, new))
        self._note(
            "a blob was redacted, since the service found a secret in it ({}): {}".format(rule, new)
        )
        return new

    def withhold_fields(self, paths: Iterable[str]) -> None:
        """Take out of the record what the service names as secrets, by field path."""
        paths = sorted(paths)
        for path in paths:
            self.record = _without(self.record, path)
        listed = ", ".join(paths)[:_LONGEST_LIST]
        self._note("the service found secrets, which were taken out: {}".format(listed))

    def _note(self, sentence: str) -> None:
        self.record.setdefault("extra", {}).setdefault("hook_notes", []).append(sentence)
        self.record_bytes = encode(self.record)


def _without(value: Any, path: str) -> Any:
    """Return the value with the text at a path, such as `software[0].repository`, replaced.

    Names may hold dots.
    """
    if not path:
        return "<redacted:service>"
    if isinstance(value, list):
        number, _, rest = path[1:].partition("]")
        if number.isdigit() and int(number) < len(value):
            value[int(number)] = _without(value[int(number)], rest.lstrip("."))
    elif isinstance(value, dict):
        for key in sorted(value, key=len, reverse=True):
            if path == key or path.startswith((key + ".", key + "[")):
                value[key] = _without(value[key], path[len(key) :].lstrip("."))
                break
    return value
