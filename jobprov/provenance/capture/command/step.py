"""One command of a job: its name and role, and the files that its command line names."""

import os
import re
from typing import Dict, List, Optional, Sequence, Set, Tuple

from jobprov.provenance.capture.command import arguments
from jobprov.provenance.capture.command.glance import Glance
from jobprov.provenance.capture.files import private
from jobprov.provenance.capture.files.hashing import SMALL_BYTES, Clock, signature
from jobprov.provenance.capture.files.input_kinds import waiting_bytes
from jobprov.provenance.capture.files.standard_input import StandardInput
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import moment, without_empty
from jobprov.provenance.capture.record.json_objects import Entry, JsonObject
from jobprov.provenance.capture.running.execution import Outcome
from jobprov.provenance.capture.secrets.arguments import redact_arguments

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
    """One command of a job, or one program that a command started.

    Attributes:
        line: what its command line tells.
        candidates: [(argument, signature before)] that may be files.
        inputs: its input entries.
        absent: paths of inputs that were not there before it.
        contents: {path: bytes} of small inputs, as they were before it.
        folders: folders that it names.
        places: the same, with empty ones and those on the way to what it names.
        waiting: bytes that waited for it in a pipe on standard input.
        problems: [(fcl file, what its closure lacks)].
        standard_input: what it will read there, or None.
        stdin_digest: of what it found on its standard input, or None.
        surroundings: what is other for it than for the steps before it, or None.
        began: seconds since 1970.
    """

    def __init__(
        self,
        line: arguments.CommandLine,
        began: float,
        name: Optional[str] = None,
        role: Optional[str] = None,
    ) -> None:
        self.argv, self.line, self.began = line.argv, line, began
        self.candidates: List[Tuple[str, Optional[List[int]]]] = []
        self.standard_input: Optional[StandardInput] = None
        self.name = name or _usual_name(self.argv)
        self.role = role or _STAGES.get(self.name, "payload")
        self.inputs: List[Entry] = []
        self.absent: Set[str] = set()
        self.contents: Dict[str, bytes] = {}
        self.folders: List[str] = []
        self.places: List[str] = []
        self.waiting = 0
        self.problems: List[Tuple[str, str]] = []
        self.stdin_digest: Optional[str] = None
        self.surroundings: Optional[JsonObject] = None

    @classmethod
    def of_command(cls, glance: Glance, name: Optional[str], role: Optional[str]) -> "Step":
        """Return the step of a command that was looked at before it ran."""
        step = cls(glance.line, glance.began, name, role)
        step.candidates, step.standard_input = glance.candidates, glance.standard_input
        step.contents, step.waiting = glance.contents, glance.waiting
        step.absent = glance.absent
        step.folders, step.places = glance.folders, glance.places
        return step

    def leave_options(self, draft: Draft) -> None:
        """Take its options as those of a script: `project.sh -c stages.fcl -o reco.root`.

        What they lack as art's is of no interest.
        """
        main = self.line.config
        given_up = [sentence for name, sentence in self.problems if name == main]
        self.problems = [problem for problem in self.problems if problem[0] != main]
        of_sources = ["input {}: ".format(path) for path in self.line.sources]
        for note in list(draft.notes):
            if note in given_up or note.startswith(("source list: ", *of_sources)):
                draft.notes.remove(note)
        self.line = arguments.CommandLine(())

    def describe(self, outcome: Outcome) -> Entry:
        """Return the record's entry of this step."""
        entry = self._describe(outcome.code, outcome.began, outcome.ended)
        entry.update(stdin_sha256=self.stdin_digest, signal=outcome.signal)
        entry.update(self.surroundings or {})
        return without_empty(entry)

    def describe_program(self, exit_code: Optional[int], ended: float) -> Entry:
        """Return the record's entry where the step was only seen from outside."""
        return without_empty(self._describe(exit_code, self.began, ended))

    def _describe(self, exit_code: Optional[int], began: float, ended: float) -> Entry:
        argv = redact_arguments(self.argv)
        return {
            "name": self.name,
            "role": self.role,
            "argv": argv,
            "argv_encoded": _encoded(argv) or None,
            "exit_code": exit_code,
            "started_at": moment(began),
            "ended_at": moment(ended),
        }

    def found_outputs(self) -> List[str]:
        """Return the arguments that have become files, or other files, since the command began."""
        changed = []
        for path, before in self.candidates:
            if signature(path) not in (before, None) and not os.path.isdir(path):
                changed.append(path)
        return changed

    def has_large_standard_input(self, draft: Draft) -> bool:
        """Tell whether standard input is too large to be kept, so that only its digest is.

        Leave out what is secret.
        """
        stdin = self.standard_input
        if stdin is None:
            return False
        if stdin.path is not None and private.names_secret(stdin.path):
            draft.weaken("secret-removed", "standard input", stdin.path)
            self.standard_input = None
            return False
        if stdin.content is None:
            draft.note("standard input has more than {} bytes and is not kept".format(SMALL_BYTES))
            return True
        return False

    def hash_standard_input(self, clock: Clock) -> None:
        """Digest standard input.

        Nothing where it was changed, for then nobody can tell what the command found.
        """
        if self.standard_input is not None:
            digest = self.standard_input.digest(clock)
            if not self.standard_input.has_changed():
                self.stdin_digest = digest  # `settle_standard_input` tells the others

    def settle_standard_input(self, draft: Draft) -> None:
        """After the command, keep what it found on its standard input.

        Nothing where it did not read it.
        """
        read = self.waiting - waiting_bytes()
        if read > 0:
            what = "it was a pipe, of which the job read {} bytes and perhaps more".format(read)
            draft.weaken("input-missing", "standard input", what)
        stdin = self.standard_input
        if stdin is None or stdin.was_left():
            self.stdin_digest = None
            return
        if stdin.has_changed():
            is_kept = stdin.content is not None
            detail = "the record has what was there before" if is_kept else "it is not kept"
            draft.weaken("changed-while-running", "standard input", detail)
        if stdin.content is not None:
            self.stdin_digest = draft.add_source(stdin.content, "standard input")

    def seeds(self) -> List[Entry]:
        """Return seeds entries of `--seed N` on the command line."""
        entries = []
        for index, word in enumerate(self.argv):
            name, equals, value = word.partition("=")
            if name not in ("--seed", "--random-seed"):
                continue
            if not equals and index + 1 < len(self.argv):
                value = self.argv[index + 1]
            if value.isdigit():
                entries.append({"step": self.name, "seed": int(value), "source": "command line"})
        return entries


def _encoded(argv: Sequence[str]) -> Dict[str, str]:
    """Return the arguments that are no UTF-8, by position.

    With `%XX` for each byte but printable ASCII.
    """
    encoded = {}
    for place, word in enumerate(argv):
        if _SMUGGLED.search(word):
            encoded[str(place)] = _percent(word.encode("utf-8", "surrogateescape"))
    return encoded


def _percent(content: bytes) -> str:
    return "".join(chr(byte) if chr(byte) in _PLAIN else "%{:02X}".format(byte) for byte in content)


def _usual_name(argv: Sequence[str]) -> str:
    program = os.path.basename(argv[0])
    if arguments.INTERPRETERS.match(program):
        for word in argv[1:]:
            if not word.startswith("-") and os.path.isfile(word):
                return os.path.splitext(os.path.basename(word))[0] or "command"
    return program or "command"
