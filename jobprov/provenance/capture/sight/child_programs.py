"""What a program that the job started uses, read from outside as soon as it is seen.

Its words count in its own folder and with its own variables. Small files are read at once, since a
job may remove what it has used.
"""

import itertools
import os
import re
import stat
import time
from typing import Dict, FrozenSet, Iterator, List, Optional, Pattern, Sequence, Set, Tuple

from jobprov.provenance.capture.command import arguments, closure
from jobprov.provenance.capture.command.glance import Script, read_script
from jobprov.provenance.capture.files import leaving, private
from jobprov.provenance.capture.files.hashing import (
    SMALL_BYTES,
    Clock,
    OutOfTimeError,
    hash_file,
)
from jobprov.provenance.capture.files.names import file_name, is_url, normal_path
from jobprov.provenance.capture.running.children import Child, read_environment
from jobprov.provenance.capture.secrets.programs import secret_files
from jobprov.provenance.capture.secrets.variables import withhold_values

_MOST_WORDS = 1000  # of one command line that are looked at
_MOST_FILES, _MOST_SCRIPTS, _MOST_FOLDERS = 5000, 200, 8
_WHILE_IT_RUNS = 1e7  # seconds
_KEPT_BYTES = 4 << 20  # of small files that are held in memory, in case the job removes them
# Programs that copy files, and the words that begin a copy where a program does other things too
_COPIERS: Dict[str, Sequence[str]] = {
    "cp": (),
    "mv": (),
    "rsync": (),
    "scp": (),
    "ifdh": ("cp", "mv", "rename"),
    "xrdcp": (),
    "gfal-copy": (),
    "globus-url-copy": (),
    "www_cp.sh": (),  # these two are what `ifdh cp` runs
    "dd": (),
}
# Clients that remove files in a storage, and the words that begin it where they do other things too
_REMOVERS: Dict[str, Sequence[str]] = {
    "ifdh": ("rm",),
    "gfal-rm": (),
    "rm": (),
    "unlink": (),
}
# Options by which they copy folders, whatever else these letters mean to one of them
_DEEP = re.compile(r"(?:-[A-Za-z]*[rRa][A-Za-z]*|--recursive|--archive)$")
# Programs that fetch files from addresses, and the options that name the file
_FETCHERS = {
    "curl": re.compile(r"(?:-\w*[oT]|--output|--upload-file)$"),
    "wget": re.compile(r"(?:-\w*O|--output-document)$"),
}
_FILE_SCHEME, _RUCIO_SCHEME = "file://", "rucio://"
_OF_PRODUCTS = ("SETUP_", "SPACK_", "MUSE_")  # variables that are the same for most programs
_MOST_SETUPS = 20
# What a program's C library reads of the machine, whatever the job is: users, name services,
# libraries. Jobs have their folders elsewhere, some of them below /var/lib
_OF_THE_MACHINE = ("/etc/", "/run/", "/var/run/", "/var/cache/", "/var/lib/sss/")


class SeenFile:
    """A file that a program named or held open, as it was when it was seen.

    Attributes:
        path: absolute.
        size_bytes: as found; None of one that is gone.
        sha256, checksum: None where it was not hashed.
        content: its bytes, where they may leave the worker node and are held in memory.
        may_leave: whether they may.
    """

    __slots__ = ("checksum", "content", "may_leave", "path", "sha256", "size_bytes")

    def __init__(self, path: str, size_bytes: Optional[int]) -> None:
        self.path, self.size_bytes = path, size_bytes
        self.sha256: Optional[str] = None
        self.checksum: Optional[str] = None
        self.content: Optional[bytes] = None
        self.may_leave = False


class FileReader:
    """Reads files when they are seen: small ones at once, large ones when there is time.

    Each file is read once, and hashing small ones takes some seconds at most. Large ones have as
    long as the job runs.

    Attributes:
        large: files that are still to be hashed.
    """

    def __init__(self, began: float, own_folder: str, hash_seconds: float) -> None:
        self.large: List[SeenFile] = []
        self._began, self._own_folder = began, own_folder
        self._seconds_for_small, self._room = hash_seconds, _KEPT_BYTES
        self._clock_for_large = Clock(_WHILE_IT_RUNS)
        self._files: Dict[Tuple[str, int, int, int], SeenFile] = {}
        self._latest: Dict[str, SeenFile] = {}
        self._scripts: Set[Tuple[str, int, int, int]] = set()
        self._contents: Dict[bytes, bytes] = {}
        self._variables: Dict[FrozenSet[Tuple[str, str]], Dict[str, str]] = {}

    def read_input(self, path: str) -> Optional[SeenFile]:
        """Return a file that was there before the job and may be its input; else None."""
        if is_url(path) or is_no_input(path):
            return None
        status = _status(path)
        if status is None or status.st_ctime >= self._began or private.is_in_environment(path):
            return None
        return self.read(path)

    def is_new(self, path: str) -> bool:
        """Tell whether a file has changed since the job began."""
        status = _status(path)
        return status is not None and status.st_ctime >= self._began

    def read(self, path: str) -> Optional[SeenFile]:
        """Return a regular file, read; None where there is none, or where it is private."""
        status = _status(path)
        if status is None or private.is_private(path):
            return None
        key = _key(path, status)
        if key not in self._files and len(self._files) < _MOST_FILES:
            self._files[key] = self._latest[path] = SeenFile(path, status.st_size)
            if status.st_size > SMALL_BYTES:
                self.large.append(self._files[key])
            else:
                self._read_small(self._files[key], status)
        return self._files.get(key)

    def find(self, path: str) -> Optional[SeenFile]:
        """Return what was read last at a path, or None."""
        return self._latest.get(path)

    def read_script(self, path: str) -> List[Script]:
        """Return a script that the job brought, as a list of one, the first time.

        Empty where it was returned already, and for scripts of the system.
        """
        status = _status(path)
        if status is None or arguments.is_system(path) or private.is_private(path):
            return []
        if private.is_in_environment(path):
            return []
        key = _key(path, status)
        if key in self._scripts or len(self._scripts) >= _MOST_SCRIPTS:
            return []
        self._scripts.add(key)
        try:
            return [read_script(path)]
        except OSError:
            return []  # removed meanwhile

    def share(self, contents: Dict[str, bytes]) -> Dict[str, bytes]:
        """Return the same contents, with equal ones held once: steps share most of their fcl."""
        shared = {}
        for path, content in contents.items():
            shared[path] = self._contents.setdefault(content, content)
        return shared

    def share_variables(self, variables: Dict[str, str]) -> Dict[str, str]:
        """Return those of the first program with the same products; none where none is set up."""
        marks = marks_of_products(variables)
        if not marks or (marks not in self._variables and len(self._variables) >= _MOST_SETUPS):
            return {}
        return self._variables.setdefault(marks, variables)

    def hash_next(self) -> None:
        """Hash the next of the files that were too large to be hashed when they were seen."""
        self._hash(self.large.pop(0), self._clock_for_large)

    def stop_hashing(self, seconds: float) -> None:
        """Hash large files for some more seconds at most."""
        self._clock_for_large.limit(seconds)

    def _read_small(self, file: SeenFile, status: os.stat_result) -> None:
        begun = time.monotonic()
        self._hash(file, Clock(self._seconds_for_small))
        self._seconds_for_small -= time.monotonic() - begun
        try:
            file.may_leave = leaving.may_leave(file.path, status, self._own_folder)
            if file.sha256 is not None and file.may_leave and status.st_size <= self._room:
                with open(file.path, "rb") as stream:
                    file.content = stream.read(status.st_size)
                self._room -= status.st_size
        except OSError:
            pass  # removed meanwhile

    def _hash(self, file: SeenFile, clock: Clock) -> None:
        """Hash a file; without the time for it, it is told without digests."""
        try:
            _, file.sha256, file.checksum = hash_file(file.path, clock)
        except (OSError, OutOfTimeError):
            pass


class Copy:
    """A copy that a program makes.

    Attributes:
        source, target: absolute paths, or addresses; a source may be the name of a file of Rucio.
        file: the source, where it is a file; of an address, what came from there, once seen.
        began: when the program began, in seconds since 1970.
        is_new: whether the source has changed since the job began.
        is_deep: whether it may be a folder, of which nobody could see what is in it.
    """

    def __init__(
        self,
        source: str,
        target: str,
        file: Optional[SeenFile],
        began: float,
        *,
        is_new: bool,
        is_deep: bool = False,
    ) -> None:
        self.source, self.target, self.file, self.began = source, target, file, began
        self.is_new, self.is_deep = is_new, is_deep


class ChildProgram:
    """One program that the job started.

    Attributes:
        child: its process.
        line: what its command line tells.
        is_step: whether it is art, or one that the experiment names as a step.
        scripts: those that it runs, by their absolute paths.
        closures: [(fcl file as named, its include closure)], as `Glance.closures`.
        inputs: files that its command line names.
        named: absolute paths that words of its command line may be; none of art and copiers.
        copies: what it copies.
        renames: [(source, target)] of what it renames in a storage, a file or a folder.
        removed: what it removes in a storage.
        variables: of a program that is a step, or the first one for which products were set up.
    """

    def __init__(self, child: Child, step_programs: Sequence[str], reader: FileReader) -> None:
        self.child, self._folder = child, child.working_directory
        argv = arguments.without_prefix(child.argv)
        name = os.path.basename(argv[0]) if argv else ""
        self.line = arguments.CommandLine(argv, step_programs)
        self.is_step = self.line.is_art
        self.scripts: List[Script] = []
        self.closures: List[Tuple[str, closure.Closure]] = []
        self.inputs: List[SeenFile] = []
        self.named: List[str] = []
        self.copies: List[Copy] = []
        self.renames: List[Tuple[str, str]] = []
        self.removed: List[str] = []
        self.variables = read_environment(child)
        withhold_values(self.variables)
        if not self.is_step:
            self.variables = reader.share_variables(self.variables)
        self._script = ""
        self._listed: Optional[List[str]] = None
        if self.line.config:
            path = child.fhicl_file_path
            folders = closure.search_path({} if path is None else {"FHICL_FILE_PATH": path})
            if child.inside_folder:
                folders = [self.place(folder) for folder in folders]
            includes = closure.Closure(self.line.config, folders, self._folder)
            includes.contents = reader.share(includes.contents)
            self.closures.append((self.line.config, includes))
            self.line.add_sources_in(includes.main_content(), self._folder)
        words = argv[1:]
        for file in secret_files(os.fsencode(" ".join(argv[:_MOST_WORDS]))):
            private.withhold(self.place(os.fsdecode(file)))
        if arguments.INTERPRETERS.match(name):
            self._read_script(argv, reader)
            name = os.path.basename(self._script)
            words = _after(words, name)  # `python3 /usr/bin/gfal-copy …`
        self._read_words(name, words, argv, reader)

    def _read_words(
        self, name: str, words: Sequence[str], argv: Sequence[str], reader: FileReader
    ) -> None:
        """Read what a program of this name uses; `words` are its own, behind its name."""
        if name in _REMOVERS:
            self._read_removals(words, _REMOVERS[name])
        if name == "rucio" and "upload" in words:
            self._read_uploads(_after(words, "upload")[:_MOST_WORDS], reader)
        elif name == "rucio":
            self._read_downloads(words[:_MOST_WORDS], reader)
        elif name in _FETCHERS:
            self._read_web_transfers(words[:_MOST_WORDS], _FETCHERS[name], reader)
        elif name in _COPIERS:
            self._read_copies(words, _COPIERS[name], reader)
        else:
            self._read_inputs(argv, reader)

    def place(self, path: str) -> str:
        """Return a path of its command line as an absolute one; an address stays as it is."""
        if path.startswith(_FILE_SCHEME):
            path = path[len(_FILE_SCHEME) :]
        if is_url(path):
            return path
        folder = self.child.inside_folder or self._folder
        return self.child.here(normal_path(os.path.join(folder, path)))

    def sources(self) -> List[str]:
        """Return the inputs that art's options name, as absolute paths or addresses."""
        if self._listed is None:  # once, when it is seen: a script may move its list away
            try:
                self._listed = self.line.listed_sources(self._folder)
            except OSError:
                pass  # the list is not there: art fails by itself
        return [self.place(name) for name in [*self.line.sources, *(self._listed or ())]]

    def outputs(self) -> List[str]:
        """Return the outputs that art's options name, as absolute paths, patterns or addresses."""
        return [self.place(name) for name in self.line.outputs]

    def _read_script(self, argv: Sequence[str], reader: FileReader) -> None:
        for name in arguments.script_argument(argv[1:], self._folder):
            self._script = self.place(name)
            self.scripts = reader.read_script(self._script)

    def _read_inputs(self, argv: Sequence[str], reader: FileReader) -> None:
        """Read the files that its words name.

        What art's options name is an input in any case, of other words what was there before.
        """
        if self.line.is_art:
            files = [reader.read(path) for path in self.sources() if not is_url(path)]
        else:
            every = list(dict.fromkeys(argv[1:_MOST_WORDS]))
            words = [_value(word) for word in every]
            for word in every:
                if word.startswith("@"):  # `hadd merged.root @files`
                    words += _listed(self.place(word[1:]))
            self.named = [self.place(word) for word in words]
            files = [reader.read_input(path) for path in self.named if path != self._script]
        self.inputs = [file for file in files if file is not None]

    def _read_downloads(self, words: Sequence[str], reader: FileReader) -> None:
        """Read `download [--dir FOLDER] SCOPE:NAME…`, which makes FOLDER/SCOPE/NAME."""
        if "download" not in words:
            return
        folders = ["", *(_value(word) for word in words if ":" not in word)]
        for word in words:
            scope, _, name = word.partition(":")
            for folder in folders[-_MOST_FOLDERS:] if name else ():
                source = "{}/{}/{}".format(_RUCIO_SCHEME, scope, name)  # of whichever RSE
                for path in (os.path.join(folder, scope, name), os.path.join(folder, name)):
                    self._add_copy(source, self.place(path), reader)

    def _read_uploads(self, words: Sequence[str], reader: FileReader) -> None:
        """Read `upload --rse RSE [--scope SCOPE] [--name NAME] [--pfn ADDRESS] FILE…`.

        Where RSE has a file only Rucio knows, so its place is `rucio://RSE/SCOPE/NAME`.
        """
        options: Dict[str, str] = {}
        for place, word in enumerate(words):
            option, _, value = word.partition("=")
            options[option] = value or "".join(words[place + 1 : place + 2])
        rse = options.get("--rse") or options.get("--rse-name") or ""
        folders = [_RUCIO_SCHEME + rse, options.get("--scope") or ""]
        lfn = options.get("--name") or options.get("--lfn")
        for word in words:
            file = reader.read(self.place(word))
            if file is not None:  # no option, nor a dataset
                name = lfn or os.path.basename(file.path)
                target = options.get("--pfn") or "/".join([*filter(None, folders), name])
                self._add_copy(file.path, target, reader)

    def _read_copies(self, words: Sequence[str], verbs: Sequence[str], reader: FileReader) -> None:
        """Read `[VERB] [OPTIONS] SOURCE… TARGET`, or `if=SOURCE of=TARGET`.

        ifdh's `cp -f LIST` has a source and a target in each line of the list, its
        `cp A B ';' C D` has several such groups.
        """
        plain = [word for word in words if not word.startswith("-")]
        if plain and plain[-1].startswith("of="):  # dd's
            plain = [word[3:] for word in plain if word.startswith(("if=", "of="))]
        is_deep = any(map(_DEEP.match, words))
        verb = ""
        if verbs:
            verb = plain.pop(0) if plain else ""
            if verb not in verbs:
                return
            if "-f" in words:
                for line in _listed(self.place("".join(plain[:1]))):
                    names = line.split()
                    self._add_copy(self.place(names[0]), self.place(names[-1]), reader)
                return
        is_folder = bool(verbs) and "-D" in words  # of ifdh
        for group in _groups(plain) if verbs else [plain]:
            for name in group[:-1][:_MOST_WORDS]:
                source, target = self.place(name), self.place(group[-1])
                if verb in ("mv", "rename"):
                    inside = os.path.join(target, os.path.basename(source))
                    self.renames.append((source, inside if is_folder else target))
                if is_deep and not is_folder and not os.path.isfile(source):
                    self._add_folder(source, target, reader)
                else:
                    target = _target_of(source, target, is_folder=is_folder)
                    self._add_copy(source, target, reader, is_deep=is_deep)

    def _read_removals(self, words: Sequence[str], verbs: Sequence[str]) -> None:
        plain = [word for word in words if not word.startswith("-")]
        if not verbs or (plain and plain.pop(0) in verbs):
            self.removed = [self.place(word) for word in plain[:_MOST_WORDS]]

    def _add_folder(self, source: str, target: str, reader: FileReader) -> None:
        """Add what copies a folder: into the target, or as the target where there was none.

        Where nobody can look what is in it, what comes will tell.
        """
        inside = os.path.join(target, os.path.basename(source))
        folder = inside if os.path.isdir(inside) else target
        if not os.path.isdir(source):
            self._add_copy(source, target, reader, is_deep=True)
        for path in itertools.islice(_files_below(source), _MOST_WORDS):
            self._add_copy(path, folder + path[len(source) :], reader)

    def _read_web_transfers(
        self, words: Sequence[str], names_file: Pattern[str], reader: FileReader
    ) -> None:
        """Read `curl [-o FILE] ADDRESS` or `wget [-O FILE] ADDRESS`, and `curl -T FILE ADDRESS`.

        Without such an option the file has the address's last name, in the folder of `-P`.
        """
        file, folder = "", ""
        for place, value in enumerate(words[1:]):
            if names_file.match(words[place]):
                file = value
            elif words[place] in ("-P", "--directory-prefix", "--output-dir"):
                folder = value
        for address in filter(is_url, words):
            name = file or file_name(address)
            here = self.place(os.path.join(folder, name))
            if "-T" in words or "--upload-file" in words:
                self._add_copy(here, address, reader)
            else:
                self._add_copy(address, here, reader)

    def _add_copy(
        self, source: str, target: str, reader: FileReader, *, is_deep: bool = False
    ) -> None:
        if os.path.exists(source) and not os.path.isfile(source):
            return  # `cp /dev/null old.txt`
        is_new = reader.is_new(source)  # first: what is removed meanwhile is none that lay there
        file = None if is_url(source) else reader.read(source)
        began = self.child.began
        self.copies.append(Copy(source, target, file, began, is_new=is_new, is_deep=is_deep))


def _target_of(source: str, target: str, *, is_folder: bool) -> str:
    """Return where a copy of a source lies: in the target where that is a folder.

    At an address nobody can look whether it is one: what has no suffix where the source has one
    counts as a folder.
    """
    if is_url(target):
        if os.path.splitext(source)[1] and not os.path.splitext(target)[1]:
            is_folder = True
    elif os.path.isdir(target):
        is_folder = True
    return os.path.join(target, os.path.basename(source)) if is_folder else target


def _files_below(folder: str) -> Iterator[str]:
    """Yield the files below a folder, but for hidden ones, such as a checkout's own."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield os.path.join(parent, name)


def _groups(words: Sequence[str]) -> List[List[str]]:
    """Return the groups of words that a `;` parts."""
    groups: List[List[str]] = [[]]
    for word in words:
        if word == ";":
            groups.append([])
        else:
            groups[-1].append(word)
    return groups


def is_no_input(path: str) -> bool:
    """Tell whether a file is the machine's own, or of installed software; a rerun has its own."""
    return path.startswith(_OF_THE_MACHINE) or arguments.is_system(path)


def marks_of_products(variables: Dict[str, str]) -> FrozenSet[Tuple[str, str]]:
    """Return the variables that tell which products are set up."""
    return frozenset(item for item in variables.items() if item[0].startswith(_OF_PRODUCTS))


def _key(path: str, status: os.stat_result) -> Tuple[str, int, int, int]:
    """Return what is different once a file has changed."""
    return path, status.st_ino, status.st_size, int(status.st_mtime * 1e6)


def _status(path: str) -> Optional[os.stat_result]:
    """Return the status of a regular file, or None; the kernel's files change at each reading."""
    if path.startswith(arguments.KERNEL_FOLDERS):
        return None
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status if stat.S_ISREG(status.st_mode) else None


def _after(words: Sequence[str], name: str) -> Sequence[str]:
    """Return the words after that of a script's name."""
    for index, word in enumerate(words):
        if os.path.basename(word) == name:
            return words[index + 1 :]
    return ()


def _listed(path: str) -> List[str]:
    """Return what a list names; nothing where there is none."""
    try:
        return arguments.read_list(path)
    except OSError:
        return []


def _value(word: str) -> str:
    """Return a word, or the value of `--name=value`."""
    return word.split("=", 1)[1] if word.startswith("--") and "=" in word else word
