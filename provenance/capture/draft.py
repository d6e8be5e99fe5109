"""A job record in the making: its fields, the bytes that it names by digest, and notes about what could not be had."""

import hashlib
import os
from datetime import datetime, timezone

from jobprov.provenance.capture import redaction

_MOST_NOTES = 200
_YEAR_2200 = 7258118400


def now():
    """Return the present moment as RFC 3339 text in UTC, to the microsecond."""
    return moment(datetime.now(timezone.utc).timestamp())


def moment(seconds):
    """Return seconds since 1970 as RFC 3339 text in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment_if_kept(value):
    """Return seconds since 1970 as `moment` does.

    None for what is no number, or outside the years that a record may name.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return moment(value) if is_number and 0 <= value < _YEAR_2200 else None


def without_empty(fields):
    """Return the fields that are known: None stays out, it is never invented."""
    return {name: value for name, value in fields.items() if value is not None}


class Draft:
    """Collects one record.

    Attributes:
        record: the JSON object so far, after record.md.
        blobs: digest -> bytes, or the path of a file that still holds them.
        notes: sentences that end up in `extra.hook_notes`.
        baseline: what has to be remembered from before a command, by step; never sent.
    """

    def __init__(self, record=None, notes=None):
        self.record = record or {}
        self.blobs = {}
        self.notes = list(notes or [])

    def note(self, sentence):
        """Keep a sentence about something that is missing, once, at most 200 of them."""
        sentence = redaction.redact_text(str(sentence))[:500]
        if sentence not in self.notes and len(self.notes) < _MOST_NOTES:
            self.notes.append(sentence)

    def attempt(self, what, function, *arguments):
        """Return what the function returns; None and a note where it fails.

        Capture never stops a job.
        """
        try:
            return function(*arguments)
        except Exception as error:
            self.note("{}: {}: {}".format(what, type(error).__name__, error))
            return None

    def add_text(self, content, what):
        """Keep text as a blob, redacted, and return its digest."""
        clean, rules = redaction.redact(content)
        if rules:
            self.note("{}: secrets were taken out ({})".format(what, ", ".join(rules)))
        return self.add_bytes(clean)

    def add_bytes(self, content):
        """Keep bytes as a blob and return their digest."""
        digest = hashlib.sha256(content).hexdigest()
        self.blobs[digest] = content
        return digest

    def add_file(self, digest, path):
        """Keep a file as a blob; its bytes are read, and checked against the digest, when the record is spooled."""
        self.blobs.setdefault(digest, os.path.abspath(path))

    def take(self, digest):
        """Return the bytes of a blob and forget it: something newer takes its place.

        Nothing where there is none.
        """
        held = self.blobs.pop(digest, b"")
        if isinstance(held, bytes):
            return held
        with open(held, "rb") as stream:
            return stream.read()

    def extend(self, field, entries):
        """Append to a list field of the record; an empty addition leaves the field missing."""
        if entries:
            self.record.setdefault(field, []).extend(entries)
