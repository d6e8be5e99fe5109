"""What a command is about to use, as it lies there just before the command may change it.

Read, and not yet worked on.

This is all that a job waits for, so it loads as little as it can: bytes of scripts and fcl, digests
of small inputs, and what its arguments name. The record is made of it while the command runs.
"""

import os
import stat
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterable,
    List,
    Optional,
    Sequence,
    Set,
    Tuple,
)

from jobprov.provenance.capture.checkouts.tops import find_checkout
from jobprov.provenance.capture.command import arguments, closure
from jobprov.provenance.capture.files import input_kinds, regular, stamps
from jobprov.provenance.capture.files.hashing import (
    SMALL_BYTES,
    Clock,
    OutOfTimeError,
    hash_file,
    signature,
)
from jobprov.provenance.capture.files.names import (
    from_here,
    guess_role,
    is_data,
    is_url,
    is_within,
    real_path,
)

if TYPE_CHECKING:
    from jobprov.provenance.capture.files.standard_input import StandardInput
    from jobprov.provenance.capture.options import Options

_SECONDS = 5.0  # for hashing small inputs while the command waits
_HELD_BYTES = 2 << 20  # of small inputs, in memory
_LONGEST_NAME, _MOST_FOLDERS = 1000, 20
# What these read although no word names it
_UNNAMED_FILES = {
    "make": ("GNUmakefile", "makefile", "Makefile"),
    "gmake": ("GNUmakefile", "makefile", "Makefile"),
    "snakemake": ("Snakefile", "workflow/Snakefile"),
}
_LARGEST_REF, _HEAD_BYTES, _MOST_WORDS = 4096, 1 << 16, 100


class Script:
    """A script file as it was before a command.

    Attributes:
        path: as it was named.
        mode: its permissions in octal; empty where it is not kept.
        content: its bytes, or None where it is not kept.
        why_not: a sentence why it is not kept.
    """

    def __init__(self, path: str, mode: str = "", content: Optional[bytes] = None) -> None:
        self.path, self.mode, self.content = path, mode, content
        self.why_not = ""

    def named_from_here(self) -> "Script":
        """Return it with a path relative to the working folder, where it lies below."""
        script = Script(from_here(self.path), self.mode, self.content)
        script.why_not = self.why_not
        return script


class Glance:
    """What was there before a command.

    Attributes:
        began: seconds since 1970.
        working_directory: the folder that the job runs in, or None where it is gone.
        line: what the command line tells.
        scripts: those of the command line, and those that options name.
        closures: [(fcl file as named, its include closure)].
        named: [(path, role)] of the inputs.
        absent: paths of those that were not there yet: the command fetches them.
        candidates: [(argument, signature)] that may be files.
        folders: folders that arguments name, and that hold files.
        places: folders that arguments name, or in which they name a file, with files or without.
        hashed: {path: (size, SHA-256, checksum)} of small inputs.
        contents: {path: bytes} of the smallest of these, in case the command changes them.
        standard_input: what the command will read there, or None.
        waiting: bytes that wait for it in a pipe there.
        tops: top folders of the git checkouts that scripts and fcl lie in.
        commits: of these checkouts.
        heads: [(size, first bytes)] of the job's own programs.
        notes: sentences about what could not be looked at.
        failures: [(what, why)] of what was there and could not be read.
    """

    def __init__(
        self,
        argv: Sequence[str],
        options: "Options",
        environment: Dict[str, str],
        *,
        is_bare: bool = False,
    ) -> None:
        """Look at what a command is about to use; where it is bare, at the words alone."""
        self.argv, self.began = argv, stamps.now()
        self.line = arguments.CommandLine(argv, options.program)
        self.scripts: List[Script] = []
        self.closures: List[Tuple[str, closure.Closure]] = []
        self.named: List[Tuple[str, str]] = []
        self.absent: Set[str] = set()
        self.candidates: List[Tuple[str, Optional[List[int]]]] = []
        self.folders: List[str] = []
        self.places: List[str] = []
        self.hashed: Dict[str, Tuple[int, str, str]] = {}
        self.tops: Set[str] = set()
        self.commits: List[str] = []
        self.heads: List[Tuple[int, bytes]] = []
        self.contents: Dict[str, bytes] = {}
        self.notes: List[str] = []
        self.failures: List[Tuple[str, BaseException]] = []
        self._folders: Dict[str, Optional[str]] = {}  # folder -> top folder of its checkout
        self.working_directory: Optional[str] = self._try("working folder", os.getcwd)
        self.standard_input: "Optional[StandardInput]" = None
        self.waiting = 0
        if not is_bare:
            self._look(options, environment)

    def _look(self, options: "Options", environment: Dict[str, str]) -> None:
        self._look_at_standard_input()
        self._look_at_scripts(options.script)
        self._look_at_configurations(options.config, environment)
        self._name_inputs(options)
        self._hash_inputs()
        self.heads = self._try("programs", heads_of_programs, self.argv) or []
        self.commits = commits_of(self.tops)

    def _look_at_standard_input(self) -> None:
        if input_kinds.name_kind() == "closed":
            return
        if self._try("standard input", input_kinds.is_pipe):
            self.notes.append(
                "standard input is a pipe and left to the job: what is read of it is not recorded"
            )
            self.waiting = input_kinds.waiting_bytes()
        elif self._try("standard input", input_kinds.is_file):
            from jobprov.provenance.capture.files import standard_input  # noqa: PLC0415

            looked = self._try("standard input", standard_input.look, self.argv)
            self.standard_input, why_not = looked or (None, None)
            if why_not:
                self.notes.append(why_not)

    def _look_at_scripts(self, further: Sequence[str]) -> None:
        scripts = self._try("scripts of the command line", arguments.program_files, self.argv) or []
        for path in dict.fromkeys(scripts + list(further)):
            script = self._try("script " + path, read_script, path)
            if script is not None:
                self.scripts.append(script)
                self._note_checkout(path)

    def _look_at_configurations(self, further: Sequence[str], environment: Dict[str, str]) -> None:
        mains = [self.line.config] if self.line.config else []
        mains += [name for name in further if name != self.line.config]
        folders = closure.search_path(environment)
        for main in mains:
            includes = self._try("configuration " + main, closure.Closure, main, folders)
            if includes is not None:
                self.closures.append((main, includes))
                if main == self.line.config:
                    self.line.add_sources_in(includes.main_content())
                for entry in includes.files:
                    self._note_checkout(entry["path"])

    def _name_inputs(self, options: "Options") -> None:
        self.named = [(path, "primary") for path in options.paths("input")]
        self.named += [(path, "shared") for path in options.paths("shared-input")]
        if not options.input:
            listed = self._try("source list", self.line.listed_sources) or []
            self.named += [(path, "primary") for path in self.line.sources + listed]
        self.places = self._try("folders", find_places, self.argv) or []
        # art names its inputs by options of their own
        if not self.line.is_art:
            self.candidates = find_candidates(self.argv, self._known_paths(options))
            self.folders = self._try("folders", find_folders, self.argv) or []
            self._name_candidates(options)
            self.candidates += self._try("standard output", find_redirected) or []

    def _name_candidates(self, options: "Options") -> None:
        """Count arguments that are files as inputs.

        Where inputs are named, configurations alone.
        """
        for path, state in self.candidates:
            role = guess_role(path)
            if state and (not options.input or role == "configuration"):
                self.named.append((path, role))
                # what SQLite has not put into the database yet: reading it removes this
                more = [path + end for end in ("-wal", "-journal") if os.path.isfile(path + end)]
                self.named += [(name, "configuration") for name in more]

    def _known_paths(self, options: "Options") -> Set[str]:
        """Return the paths whose part in the job is known already."""
        known = {path for path, _ in self.named}
        known.update(options.paths("output"), self.line.outputs, options.log)
        for _, includes in self.closures:
            known.update(entry["path"] for entry in includes.files)
        known.update(script.path for script in self.scripts if script.content is not None)
        return known

    def _hash_inputs(self) -> None:
        clock, room = Clock(_SECONDS), _HELD_BYTES
        for path, _ in self.named:
            if path in self.hashed or is_url(path):
                continue
            try:
                status = os.stat(path)
                if stat.S_ISREG(status.st_mode) and status.st_size <= SMALL_BYTES:
                    self.hashed[path] = hash_file(path, clock)
                    if self.hashed[path][0] <= room:
                        self.contents[path] = regular.read(path, room) or b""
                        room -= len(self.contents[path])
            except (OSError, ValueError):  # noted when the record is made
                if not os.path.lexists(path):
                    self.absent.add(path)
            except OutOfTimeError:
                return

    def _note_checkout(self, path: str) -> None:
        top = find_checkout(os.path.dirname(real_path(path)), self._folders)
        if top is not None:
            self.tops.add(top)

    def _try(self, what: str, function: Callable[..., Any], *words: Any) -> Any:
        """Return what the function returns; None where it fails."""
        try:
            return function(*words)
        except FileNotFoundError as error:  # the command will not find it either
            self.notes.append("{}: {}".format(what, error))
        except Exception as error:
            self.failures.append((what, error))
        return None


def read_script(path: str) -> Script:
    """Return a script as it is now; raises OSError."""
    script = Script(path)
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        script.why_not = "script {} is no regular file".format(path)
    elif status.st_size > SMALL_BYTES:
        script.why_not = "script {} has {} bytes, more than are kept".format(path, status.st_size)
    else:
        script.mode = "{:04o}".format(stat.S_IMODE(status.st_mode))
        with open(path, "rb") as stream:
            script.content = stream.read()
    return script


def find_candidates(argv: Sequence[str], known: Set[str]) -> List[Tuple[str, Optional[List[int]]]]:
    """Return [(argument, signature)] for arguments that may be files.

    Present ones by inode and time, others None.
    """
    candidates = []
    for path in _values(argv):
        if path not in known and _may_be_name(path) and _may_be_file(path):
            candidates.append((path, signature(path)))
    return candidates


def find_redirected() -> List[Tuple[str, None]]:
    """Return the file of data to which standard output goes, as an argument that will be a file.

    So a shell's `> merged.dat` does; text, and what errors go to as well, is a log.
    """
    path = os.path.realpath("/proc/self/fd/1")
    is_one = os.path.sameopenfile(1, 2)
    is_file = os.path.isfile(path) and is_data(path) and not path.endswith(".txt")
    return [(from_here(path), None)] if is_file and not is_one else []


def find_folders(argv: Sequence[str]) -> List[str]:
    """Return the arguments that are folders with something in them, not those around this one."""
    here = os.getcwd()
    folders = []
    for path in dict.fromkeys(_values(argv)):
        is_folder = _may_be_name(path) and os.path.isdir(path)
        if not is_folder or arguments.is_system(os.path.join(path, "x")):
            continue
        if not is_within(here, os.path.realpath(path)) and os.listdir(path):
            folders.append(path)
    return folders[:_MOST_FOLDERS]


def find_places(argv: Sequence[str]) -> List[str]:
    """Return the folders that arguments name, or that are there on the way to what they name."""
    places: Dict[str, None] = {}
    for word in filter(_may_be_name, _values(argv)):
        folder = word if "/" in word and not is_url(word) else ""
        while folder and not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        places[os.path.abspath(folder)] = None
    return list(places)[:_MOST_FOLDERS]


def _values(argv: Sequence[str]) -> List[str]:
    """Return the words of a command line, of `--name=value` the value."""
    words = []
    for word in argv[1:]:
        is_option = word.startswith("--") and "=" in word
        words.append(word.split("=", 1)[1] if is_option else word)
    return words


def _may_be_name(word: str) -> bool:
    """Tell whether a word may name a file: it is no option and no text."""
    if not word or word.startswith("-"):
        return False
    return len(word) <= _LONGEST_NAME and "\n" not in word


def _may_be_file(path: str) -> bool:
    """Tell whether a path is a file, or may become one while the command runs."""
    if os.path.exists(path):
        return os.path.isfile(path)
    return is_data(path) or ("/" in path and os.path.isdir(os.path.dirname(path)))


def heads_of_programs(argv: Sequence[str]) -> List[Tuple[int, bytes]]:
    """Return size and beginning of the job's own programs that a command line names.

    And of the files that a program reads although no word names them. They tell one version of a
    program from another, also when the command changes it.
    """
    argv = arguments.without_prefix(argv)
    if not argv:
        return []
    files = list(_UNNAMED_FILES.get(os.path.basename(argv[0]), ()))
    for word in [argv[0], *" ".join(argv[1:]).split()][:_MOST_WORDS]:
        is_own = "/" in word and not arguments.is_system(os.path.abspath(word))
        if is_own and os.access(word, os.X_OK):
            files.append(word)
    heads = []
    for path in filter(os.path.isfile, files):
        try:
            with open(path, "rb") as stream:
                heads.append((os.path.getsize(path), stream.read(_HEAD_BYTES)))
        except OSError:
            continue  # it may be run, and not be read
    return heads


def commits_of(tops: Iterable[str]) -> List[str]:
    """Return the commits of checkouts without starting git; a branch where that is packed."""
    return [_commit(os.path.join(top, ".git")) for top in tops]


def _commit(folder: str) -> str:
    head = _line(os.path.join(folder, "HEAD"))
    if not head.startswith("ref: "):
        return head
    return _line(os.path.join(folder, head[5:])) or head


def _line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(_LARGEST_REF).strip()
    except OSError:
        return ""
