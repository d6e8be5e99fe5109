"""What a command is about to use, as it lies there just before the command may change it.

Read, and not yet worked on.

This is all that a job waits for, so it loads as little as it can: bytes of scripts and fcl, digests
of small inputs, and what its arguments name. The record is made of it while the command runs.
"""

import os
import re
import stat
import time

from jobprov.provenance.capture import arguments, closure, standard_input
from jobprov.provenance.capture.hashing import (
    SMALL_BYTES,
    Clock,
    OutOfTimeError,
    hash_file,
    signature,
)

_SECONDS = 5.0  # for hashing small inputs while the command waits
_LONGEST_NAME = 1000
_URL = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)


class Glance:
    """What was there before a command.

    Attributes:
        began: seconds since 1970.
        working_directory: the folder that the job runs in, or None where it is gone.
        line: what the command line tells.
        scripts: [(path, mode, content)]; content is None, and mode a reason, where it is not kept.
        closures: [(fcl file as named, its include closure)].
        named: [(path, role)] of the inputs.
        candidates: [(argument, signature)] that may be files.
        hashed: {path: (size, SHA-256, checksum)} of small inputs.
        standard_input: what the command will read there, or None.
        tops: top folders of the git checkouts that scripts and fcl lie in.
        notes: sentences about what could not be looked at.
    """

    def __init__(self, argv, options, environment):
        self.argv, self.line, self.began = argv, arguments.CommandLine(argv), time.time()
        self.scripts, self.closures, self.named, self.candidates = [], [], [], []
        self.hashed, self.tops, self.notes, self._folders = {}, set(), [], {}
        self.working_directory = self._try("working folder", os.getcwd)
        self.standard_input, why = self._try("standard input", standard_input.look, argv) or (
            None,
            None,
        )
        self.notes += [why] if why else []
        self._look_at_scripts(options.script)
        self._look_at_configurations(options.config, environment)
        self._name_inputs(options)
        self._hash_inputs()

    def _look_at_scripts(self, further):
        found = (
            self._try(
                "scripts of the command line", arguments.program_files, self.argv, arguments.which
            )
            or []
        )
        for path in dict.fromkeys(found + list(further)):
            read = self._try("script " + path, read_script, path)
            if read is not None:
                self.scripts.append((path, *read))
                self._note_checkout(path)

    def _look_at_configurations(self, further, environment):
        mains = ([self.line.config] if self.line.config else []) + [
            name for name in further if name != self.line.config
        ]
        for main in mains:
            found = self._try(
                "configuration " + main, closure.Closure, main, closure.search_path(environment)
            )
            if found is not None:
                self.closures.append((main, found))
                for entry in found.files:
                    self._note_checkout(entry["path"])

    def _name_inputs(self, options):
        named = [(path, "primary") for path in options.input] + [
            (path, "shared") for path in options.shared_input
        ]
        if not options.input:
            listed = self._try("source list", self.line.listed_sources) or []
            named += [(path, "primary") for path in self.line.sources + listed]
        known = (
            {path for path, _ in named}
            | set(options.output)
            | set(self.line.outputs)
            | set(options.log)
        )
        known.update(entry["path"] for _, found in self.closures for entry in found.files)
        known.update(path for path, _, content in self.scripts if content is not None)
        self.candidates = [] if self.line.is_art else found_on_command_line(self.argv, known)
        for path, state in self.candidates:
            role = guess_role(path)
            if state and (not options.input or role == "configuration"):
                named.append((path, role))
        self.named = named

    def _hash_inputs(self):
        clock = Clock(_SECONDS)
        for path, _ in self.named:
            if path in self.hashed or _URL.match(path):
                continue
            try:
                status = os.stat(path)
                if stat.S_ISREG(status.st_mode) and status.st_size <= SMALL_BYTES:
                    self.hashed[path] = hash_file(path, clock)
            except (OSError, ValueError):
                continue  # said when the record is made
            except OutOfTimeError:
                return

    def _note_checkout(self, path):
        top = find_checkout(os.path.dirname(os.path.realpath(path)), self._folders)
        if top is not None:
            self.tops.add(top)

    def _try(self, what, function, *words):
        try:
            return function(*words)
        except Exception as error:
            self.notes.append("{}: {}: {}".format(what, type(error).__name__, error))
            return None


def read_script(path):
    """Return (mode, content) of a script; (a sentence, None) where it is none to keep.

    Raises OSError.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        return "script {} is no regular file".format(path), None
    if status.st_size > SMALL_BYTES:
        return "script {} has {} bytes, more than are kept".format(path, status.st_size), None
    with open(path, "rb") as stream:
        return "{:04o}".format(stat.S_IMODE(status.st_mode)), stream.read()


def find_checkout(folder, known):
    """Return the nearest folder above that holds `.git`, without starting git, or None.

    `known` remembers answers.
    """
    if folder not in known:
        if os.path.exists(os.path.join(folder, ".git")):
            known[folder] = folder
        else:
            parent = os.path.dirname(folder)
            known[folder] = None if parent == folder else find_checkout(parent, known)
    return known[folder]


def found_on_command_line(argv, known):
    """Return [(argument, signature)] for arguments that may be files.

    Present ones by inode and time, others None.
    """
    candidates = []
    for word in argv[1:]:
        path = word.split("=", 1)[1] if word.startswith("--") and "=" in word else word
        if (
            not path
            or path.startswith("-")
            or path in known
            or len(path) > _LONGEST_NAME
            or "\n" in path
        ):
            continue
        if os.path.isfile(path) or (not os.path.exists(path) and _may_be_file(path)):
            candidates.append((path, signature(path)))
    return candidates


def guess_role(path):
    """Return the role of an input that only stood on the command line.

    Data by its suffix, else configuration.
    """
    return (
        "primary"
        if os.path.splitext(path)[1].lower() in arguments.DATA_SUFFIXES
        else "configuration"
    )


def _may_be_file(path):
    is_data = os.path.splitext(path)[1].lower() in arguments.DATA_SUFFIXES
    return is_data or ("/" in path and os.path.isdir(os.path.dirname(path)))
