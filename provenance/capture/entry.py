"""An entry of the spool, opened to be sent.

What the service finds a secret in is taken out here, and the rest goes.
"""

import hashlib
import json

from jobprov.provenance.capture import excerpts, redaction
from jobprov.provenance.capture.spool import encode


class Entry:
    """An opened entry of the spool: its record, and its blobs by digest.

    Attributes:
        known: digests of the record's excerpts that the service knows; None where it does not take
            excerpts.
    """

    known = None

    def __init__(self, archive):
        self._archive = archive
        self._replaced = {}
        self._excerpts = None, []
        self.record_bytes = archive.read("record.json")
        self.record = json.loads(self.record_bytes.decode("utf-8"))
        names = (name for name in archive.namelist() if name.startswith("blobs/"))
        self.digests = [name[6:] for name in names]

    def excerpts(self):
        """Return the excerpts of the record as it is now."""
        if self._excerpts[0] is not self.record_bytes:
            self._excerpts = self.record_bytes, excerpts.find(self.record, self.record_bytes)
        return self._excerpts[1]

    def blob(self, digest):
        """Return a blob's bytes."""
        if digest in self._replaced:
            return self._replaced[digest]
        return self._archive.read("blobs/" + digest)

    def withhold(self, digest, rule):
        """Put redacted bytes in a blob's place, name them in the record, and return their digest."""
        content, hits = redaction.redact(self.blob(digest))
        if not hits:
            content = b"[withheld: the service found a secret in this file]\n"
        new = hashlib.sha256(content).hexdigest()
        self._replaced[new] = content
        text = self.record_bytes.decode("utf-8").replace(digest, new)
        self.record = json.loads(text)
        notes = self.record.setdefault("extra", {}).setdefault("hook_notes", [])
        notes.append(
            "a blob was redacted, since the service found a secret in it ({}): {}".format(rule, new)
        )
        self.record_bytes = encode(self.record)
        return new

    def withhold_fields(self, paths):
        """Take out of the record what the service names as secrets, by field path."""
        for path in sorted(paths):
            self.record = _without(self.record, path)
        notes = self.record.setdefault("extra", {}).setdefault("hook_notes", [])
        notes.append(
            "the service found secrets, which were taken out: {}".format(
                ", ".join(sorted(paths))[:1000]
            )
        )
        self.record_bytes = encode(self.record)


def _without(value, path):
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
