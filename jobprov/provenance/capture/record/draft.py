"""A job record in the making: fields, bytes that it names by digest, notes of what is missing."""

import hashlib
import os
from typing import Any, Callable, Dict, Iterable, List, Optional, Sequence, Union

from jobprov.provenance.capture.record.fields import without_empty
from jobprov.provenance.capture.record.json_objects import Record
from jobprov.provenance.capture.secrets.texts import redact, redact_lines, redact_text

_MOST_NOTES = 200
_LONGEST_NOTE = 500


class Draft:
    """Collects one record.

    Attributes:
        record: the JSON object so far, after record.md.
        blobs: digest -> bytes, or the path of a file that still holds them.
        notes: sentences that end up in `extra.hook_notes`.
    """

    def __init__(
        self, record: Optional[Record] = None, notes: Optional[Sequence[str]] = None
    ) -> None:
        self.record: Record = record or {}
        self.blobs: Dict[str, Union[bytes, str]] = {}
        self.notes: List[str] = list(notes or [])

    def note(self, sentence: str) -> None:
        """Keep a sentence about something that is missing, once, at most 200 of them."""
        sentence = redact_text(str(sentence))[:_LONGEST_NOTE]
        if sentence not in self.notes and len(self.notes) < _MOST_NOTES:
            self.notes.append(sentence)

    def weaken(self, kind: str, name: str, detail: str) -> None:
        """Keep what a rerun will not have, or have otherwise, once; `kind` is the code of a gap."""
        words = [redact_text(word)[:_LONGEST_NOTE] for word in (name, detail)]
        weakness = {"kind": kind, "name": words[0], "detail": words[1]}
        weaknesses = self.record.setdefault("weaknesses", [])
        if weakness not in weaknesses and len(weaknesses) < _MOST_NOTES:
            weaknesses.append(weakness)

    def need(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the function returns; None where it fails, and the record is incomplete."""
        try:
            return function(*arguments)
        except Exception as error:
            self.miss(what, error)
            return None

    def miss(self, what: str, error: BaseException) -> None:
        """Keep that something could not be recorded."""
        reason = "{}: {}".format(type(error).__name__, error)
        self.weaken("capture-incomplete", what, reason.rstrip(": "))

    def attempt(self, what: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Return what the function returns.

        None and a note where it fails: a rerun needs none of it.

        Capture never stops a job.
        """
        try:
            return function(*arguments)
        except Exception as error:
            self.note("{}: {}: {}".format(what, type(error).__name__, error))
            return None

    def add_text(self, content: bytes, what: str) -> str:
        """Keep text as a blob, redacted, and return its digest."""
        return self._add_redacted(*redact(content), what)

    def _add_redacted(self, redacted: bytes, rules: Sequence[str], what: str) -> str:
        if rules:
            self.note("{}: secrets were taken out ({})".format(what, ", ".join(rules)))
        return self.add_bytes(redacted)

    def add_source(self, content: bytes, what: str) -> str:
        """Keep as `add_text` does what a rerun runs or reads: without secrets it does otherwise."""
        redacted, rules = redact(content)
        if rules:
            self.weaken("secret-removed", what, ", ".join(rules))
        return self.add_bytes(redacted)

    def add_bytes(self, content: bytes) -> str:
        """Keep bytes as a blob and return their digest."""
        digest = hashlib.sha256(content).hexdigest()
        self.blobs[digest] = content
        return digest

    def add_file(self, digest: str, path: str) -> None:
        """Keep a file as a blob.

        It is read, and checked against the digest, when the record is spooled.
        """
        self.blobs.setdefault(digest, os.path.abspath(path))

    def add_listing(self, field: str, lines: Iterable[str], what: str) -> None:
        """Keep lines in a listing of the environment, joined with those of earlier steps."""
        environment = self.record.setdefault("environment", {})
        earlier = self.take(environment.get(field)).decode("utf-8", "surrogateescape").splitlines()
        content = "".join(line + "\n" for line in sorted(set(lines).union(earlier)))
        redacted = redact_lines(content.encode("utf-8", "surrogateescape"))
        environment[field] = self._add_redacted(*redacted, what)

    def add_log(self, name: str, step: Optional[str], content: bytes, *, is_cut: bool) -> None:
        """Keep a log, redacted; where the record has one of that name, under a name of its own."""
        name = name.replace("/", "_")
        taken = [log["name"] for log in self.record.get("logs", ())]
        if name in taken:
            same = [other for other in taken if other.startswith(name)]
            name = "{}-{}".format(name, 1 + len(same))
        digest = self.add_text(content, "log " + name)
        entry = {
            "name": name,
            "step": step,
            "sha256": digest,
            "size_bytes": len(self.blobs[digest]),
            "is_truncated": is_cut,
        }
        self.extend("logs", [without_empty(entry)])

    def extend(self, field: str, entries: Optional[Sequence[Any]]) -> None:
        """Append to a list field of the record; an empty addition leaves the field missing."""
        if entries:
            self.record.setdefault(field, []).extend(entries)

    def read(self, digest: Optional[str]) -> bytes:
        """Return the bytes of a blob; none where it is not here."""
        blob = self.blobs.get(digest, b"") if digest else b""
        if isinstance(blob, bytes):
            return blob
        with open(blob, "rb") as stream:
            return stream.read()

    def take(self, digest: Optional[str]) -> bytes:
        """Return the bytes of a blob and forget it: something newer takes its place."""
        content = self.read(digest)
        self.blobs.pop(digest or "", None)
        return content
