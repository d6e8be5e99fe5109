"""An entry of the spool, opened to be sent.

What the service finds a secret in is taken out here, and the rest goes.
"""

import hashlib
import io
import json
import re
import zipfile
import zlib
from typing import IO, Any, Dict, FrozenSet, Iterable, List, Optional, Set

from jobprov.provenance.capture.record import excerpts
from jobprov.provenance.capture.record.encoding import encode
from jobprov.provenance.capture.record.json_objects import Answer, JsonObject, Record
from jobprov.provenance.capture.secrets.texts import redact
from jobprov.provenance.capture.sending.service import LaterError, RefusedError, UnansweredError

# What Python raises for a zip, or for the JSON in it, that is not as it was written; also for one
# by a later version.
DAMAGES = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, RuntimeError)
_DIGEST = re.compile("^[0-9a-f]{64}$")
_LONGEST_LIST = 1000  # characters of field paths in a note


def unreadable(error: Exception) -> RefusedError:
    """Return what is said of an entry that is damaged: no service will ever take it."""
    sentence = "the spooled entry cannot be read: {}"
    return RefusedError(sentence.format(error or type(error).__name__))


class Entry:
    """An opened entry of the spool: its record, and its blobs by digest.

    Attributes:
        record, record_bytes, job_id: the record, and as it is sent.
        delivery: what the spool says of sending it.
        digests: of its blobs.
        known: digests of the record's excerpts that the service knows; None where it does not take
            excerpts.
        is_recorded: whether the service has the record, so that it may not change any more.
        answer: the service's to the record, once it was sent.
        confirmed: digests of the blobs that the service says it has.
        waiting: why the others could not be sent, by digest.
        refused: why the service will never take a blob, by digest.

    Every method raises RefusedError where the entry is damaged.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self.known: Optional[FrozenSet[str]] = None
        self.answer: Answer = {}
        self.confirmed: Set[str] = set()
        self.waiting: Dict[str, LaterError] = {}
        self.refused: Dict[str, str] = {}
        self._archive = archive
        self._redacted: Dict[str, bytes] = {}
        self._replaced: Dict[str, str] = {}
        self._excerpts: List[excerpts.Excerpt] = []
        self._excerpted = b""  # the bytes of the record that `_excerpts` are of
        self.record_bytes = self._read("record.json")
        try:
            self.record: Record = json.loads(self.record_bytes.decode("utf-8"))
            self.delivery: JsonObject = json.loads(self._read("delivery.json").decode("utf-8"))
            self.job_id = str(self.record["job_id"])
            self.is_recorded = bool(self.delivery.get("is_recorded"))
        except DAMAGES as error:
            raise unreadable(error) from error
        self.digests = [name[6:] for name in archive.namelist() if name.startswith("blobs/")]
        for digest in self.digests:
            if not _DIGEST.match(digest):
                raise unreadable(ValueError("{!r} is not a digest".format(digest)))

    def close(self) -> None:
        """Close the entry; what is read of its blobs after that fails."""
        self._archive.close()

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
        return self._read("blobs/" + digest)

    def open_blob(self, digest: str) -> IO[bytes]:
        """Return a blob as a stream."""
        if digest in self._redacted:
            return io.BytesIO(self._redacted[digest])
        return self._archive.open("blobs/" + digest)

    def size(self, digest: str) -> int:
        """Return how many bytes a blob has."""
        if digest in self._redacted:
            return len(self._redacted[digest])
        return self._archive.getinfo("blobs/" + digest).file_size

    def package(self, digest: str) -> Optional[str]:
        """Return which package brought a file, as the record has it; None of any other blob."""
        packages = self.record.get("extra", {}).get("packaged", {})
        package = packages.get(digest)
        return re.sub("[^ -~]", "?", package) if isinstance(package, str) else None

    def wait(self, digest: str, error: LaterError) -> None:
        """Note that a blob, or what was put in its place, could not be sent."""
        self.waiting.setdefault(self._replaced.get(digest, digest), error)

    def refuse(self, digest: str, error: RefusedError) -> None:
        """Note that the service will never take a blob."""
        self.refused[digest] = str(error)

    def unconfirmed(self) -> List[str]:
        """Return the digests of the blobs that the service may still lack, and would take."""
        settled = self.confirmed.union(self.refused)
        return [digest for digest in self.digests if digest not in settled]

    def are_all_barred(self) -> bool:
        """Tell whether a gateway refuses every blob that waits."""
        errors = self.waiting.values()
        return all(isinstance(error, UnansweredError) and error.is_barred() for error in errors)

    def _read(self, name: str) -> bytes:
        try:
            return self._archive.read(name)
        except DAMAGES as error:
            raise unreadable(error) from error

    def withhold(self, digest: str, rule: str) -> str:
        """Put redacted bytes in a blob's place, name them in the record, return their digest."""
        content, hits = redact(self.blob(digest))
        if not hits:
            content = b"[withheld: the service found a secret in this file]\n"
        new = hashlib.sha256(content).hexdigest()
        self._redacted[new] = content
        for first, last in [(digest, digest), *self._replaced.items()]:
            if last == digest:
                self._replaced[first] = new
        self.digests = [new if other == digest else other for other in self.digests]
        self.record = json.loads(self.record_bytes.decode("utf-8").replace(digest, new))
        for name in _names_of_source(self.record, new):
            self._weaken(name, rule)
        self._note(
            "a blob was redacted, since the service found a secret in it ({}): {}".format(rule, new)
        )
        return new

    def withhold_fields(self, paths: Iterable[str]) -> None:
        """Take out of the record what the service names as secrets, by field path."""
        paths = sorted(paths)
        for path in paths:
            self.record = _without(self.record, path)
            if path.startswith("command.") and ".argv" in path:
                self._weaken(path, "a rule of the service")
        listed = ", ".join(paths)[:_LONGEST_LIST]
        self._note("the service found secrets, which were taken out: {}".format(listed))

    def _weaken(self, name: str, detail: str) -> None:
        weakness = {"kind": "secret-removed", "name": name, "detail": detail}
        self.record.setdefault("weaknesses", []).append(weakness)

    def _note(self, sentence: str) -> None:
        self.record.setdefault("extra", {}).setdefault("hook_notes", []).append(sentence)
        self.record_bytes = encode(self.record)


def _names_of_source(record: Record, digest: str) -> List[str]:
    """Return what a rerun runs or reads that has a digest, in words."""
    lists = [("script", record.get("scripts")), ("input", record.get("inputs"))]
    lists += [("fcl file", each.get("files")) for each in record.get("configurations", ())]
    names = []
    for what, files in lists:
        for file in files or ():
            if file.get("sha256") == digest:
                names.append("{} {}".format(what, file.get("path") or file.get("name")))
    command = record.get("command", {})
    if digest in [part.get("stdin_sha256") for part in [command, *command.get("steps", ())]]:
        names.append("standard input")
    return names


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
