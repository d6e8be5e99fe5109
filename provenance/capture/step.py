"""One command of a job: its name and role, and the files that its command line turns out to name."""

import os
import re

from jobprov.provenance.capture import arguments, redaction
from jobprov.provenance.capture.draft import moment, without_empty
from jobprov.provenance.capture.hashing import signature

_SMUGGLED = re.compile("[\udc80-\udcff]")  # bytes that Python could not decode (PEP 383)
_PLAIN = frozenset(map(chr, range(0x20, 0x7F))) - {"%"}
_STAGES = {
    "setup": "setup",
    "copy_in": "stage_in",
    "stage_in": "stage_in",
    "copy_out": "stage_out",
    "stage_out": "stage_out",
}


class Step:
    """One command of a job, made from the glance before it.

    Attributes:
        line: what its command line tells.
        candidates: [(argument, signature before)] that may be files.
        inputs: its input entries.
        standard_input: what it will read there, or None.
        stdin_digest: of what it found on its standard input, or None.
        began: seconds since 1970.
    """

    def __init__(self, seen, name, role):
        self.argv, self.line, self.candidates, self.began = (
            seen.argv,
            seen.line,
            seen.candidates,
            seen.began,
        )
        self.name = name or _usual_name(self.argv)
        self.role = role or _STAGES.get(self.name, "payload")
        self.inputs, self.standard_input, self.stdin_digest = [], seen.standard_input, None

    def describe(self, outcome):
        """Return the record's entry of this step."""
        argv = redaction.redact_arguments(self.argv)
        return without_empty(
            {
                "name": self.name,
                "role": self.role,
                "argv": argv,
                "argv_encoded": _encoded(argv),
                "stdin_sha256": self.stdin_digest,
                "exit_code": outcome.code,
                "signal": outcome.signal,
                "started_at": moment(outcome.began),
                "ended_at": moment(outcome.ended),
            }
        )

    def found_outputs(self):
        """Return the arguments that have become files, or other files, since the command began."""
        return [path for path, before in self.candidates if signature(path) not in (before, None)]

    def drop_outputs_from_inputs(self):
        """Take out what only looked like an input: it was there from an earlier run and is written anew."""
        written = set(self.found_outputs())
        self.inputs = [entry for entry in self.inputs if entry.get("path") not in written]

    def seeds(self):
        """Return seeds entries of `--seed N` on the command line."""
        found = []
        for index, word in enumerate(self.argv):
            name, equals, value = word.partition("=")
            if name in ("--seed", "--random-seed"):
                value = value if equals else "".join(self.argv[index + 1 : index + 2])
                if value.isdigit():
                    found.append({"step": self.name, "seed": int(value), "source": "command line"})
        return found


def _encoded(argv):
    """Return arguments that are no UTF-8, by position, `%XX` for each byte but printable ASCII.

    None without any.
    """
    odd = {str(place): word for place, word in enumerate(argv) if _SMUGGLED.search(word)}
    return {
        place: _percent(word.encode("utf-8", "surrogateescape")) for place, word in odd.items()
    } or None


def _percent(content):
    return "".join(chr(byte) if chr(byte) in _PLAIN else "%{:02X}".format(byte) for byte in content)


def _usual_name(argv):
    program = os.path.basename(argv[0])
    if arguments.INTERPRETERS.match(program):
        script = next(
            (word for word in argv[1:] if not word.startswith("-") and os.path.isfile(word)), None
        )
        program = os.path.splitext(os.path.basename(script))[0] if script else program
    return program or "command"
