"""What a command line tells: fcl, inputs, outputs, program and script files.

Source: the option tables of art's artapp (`art --help`); `lar`, `mu2e`, `nova`, `gm2` and `uboone`
share them. Other programs are read the same way once they name an fcl file by `-c`; else each
argument is judged by what lies there.
"""

import os
import re
from typing import Collection, Dict, List, Optional, Sequence, Tuple

from jobprov.provenance.capture.files import regular
from jobprov.provenance.capture.files.names import is_in_system_folder, is_url

ART_PROGRAMS = frozenset(
    ["art", "art_ut", "lar", "lar_ut", "mu2e", "nova", "gm2", "uboone", "gallery"]
)
INTERPRETERS = re.compile(
    r"^(?:python|perl|ruby|node|php|lua|tclsh|R(?:script)?|(?:ba|da|z|k|c|tc)?sh"
    r"|root(?:\.exe)?)[\d.]*$"
)
_SOURCES = ("-s", "--source")
_LISTS = ("-S", "--source-list")
_CONFIG = ("-c", "--config")
_OUTPUTS = ("-o", "--output", "-T", "--TFileName")
_DATABASES = ("--timing-db", "--memcheck-db")
_OVERRIDES = frozenset(
    [
        "-n",
        "--nevts",
        "-e",
        "--estart",
        "--nskip",
        "-j",
        "--nschedules",
        "--nthreads",
        "--parallelism",
        "--process-name",
        "--tmpdir",
        "--prune-config",
        "--errorOnSIGINT",
        "--errorOnMissingConsumes",
        "--rethrow-all",
        "--trace",
    ]
)
# art's options without a value: the word after one may be an input
_FLAGS = frozenset(
    [
        "--annotate",
        "--no-output",
        "--notrace",
        "--prefix-annotate",
        "--rethrow-all",
        "--rethrow-default",
        "--sam-inherit-file-type",
        "--sam-inherit-metadata",
        "--sam-inherit-run-type",
        "--status-bar",
        "--timing",
        "--trace",
    ]
)
_PREFIXES = frozenset(["env", "nice", "time", "timeout", "stdbuf", "nohup", "setarch", "taskset"])
_LONGEST_PATH = 4096
_LISTS_IN_FCL = re.compile(rb"([\w.]*)\bfileNames\s*:\s*\[([^\]]*)\]")
_TEXTS_IN_FCL = re.compile(rb'"([^"\n]+)"')
_COMMENTS_IN_FCL = re.compile(rb"(?:^|(?<=\s))(?:#|//).*", re.MULTILINE)
KERNEL_FOLDERS = ("/proc/", "/sys/", "/dev/")
# What is there is the machine's own, and another one has its own, too
_MACHINE_FOLDERS = (
    *KERNEL_FOLDERS,
    "/etc/",
    "/var/lib/",
    "/var/cache/",
    "/run/",
    "/var/run/",
)


class CommandLine:
    """What was found in one command line; paths are as written.

    Attributes:
        is_art: whether it is art's or was written like art's.
        is_program: whether it is of a program that takes art's options, by its name.
        config: the fcl file's name as given, to be looked up.
        sources, outputs: names of files; an output may hold art's `%` patterns.
        lists: files that list more sources.
        final, process_name, sam_process_id: `--config-out` or `--debug-config`, `--process-name`
            and `--sam-process-id`.
        databases: `--timing-db` and `--memcheck-db`.
        overrides: the options that change the configuration, as given.
    """

    def __init__(self, argv: Sequence[str], programs: Collection[str] = ()) -> None:
        """Read a command line; `programs` are further ones that take art's options."""
        self.argv = argv
        self.config: Optional[str] = None
        self.final: Optional[str] = None
        self.process_name: Optional[str] = None
        self.sam_process_id: Optional[str] = None
        self.sources: List[str] = []
        self.lists: List[str] = []
        self.outputs: List[str] = []
        self.databases: List[str] = []
        self.overrides: List[str] = []
        name, words = _program_and_words(argv)
        self.is_program = name in ART_PROGRAMS or name in programs
        self.is_art = self.is_program or _names_fcl(argv)
        if self.is_art:
            self._read(words)

    def _read(self, words: Sequence[str]) -> None:
        index, may_be_value = 0, False
        bare: List[str] = []
        while index < len(words):
            name, value, count = _split(words, index)
            is_option, is_known = name.startswith("-"), True
            if name in _SOURCES:
                values, count = _values(words, index, value)
                self.sources += values
            elif name in _OVERRIDES:
                self.overrides += words[index : index + count]
                if name == "--process-name":
                    self.process_name = value
            elif not self._take(name, value):
                count, is_known = 1, name in _FLAGS  # else the next word may be its value
                if not is_option and name and not may_be_value:
                    bare.append(name)
            may_be_value = is_option and not is_known and name == words[index]
            index += count
        if self.is_program and self.config:
            self.sources += bare  # `nova -c reco.fcl raw.root`

    def _take(self, name: str, value: Optional[str]) -> bool:
        """Take the value of an option; tell whether the option is known."""
        if name in _CONFIG:
            self.config = value
        elif name in ("--config-out", "--debug-config"):
            self.final = value
        elif name == "--sam-process-id":
            self.sam_process_id = value
        elif name in _LISTS:
            self.lists += [value] if value else []
        elif name in _DATABASES:
            self.databases += [value] if value else []
        elif name in _OUTPUTS:
            self.outputs += [_without_label(value)] if value else []
        else:
            return False
        return True

    def listed_sources(self, folder: str = "") -> List[str]:
        """Return the inputs that the `-S` lists name; the lists lie in a folder, or in ours.

        Raises OSError where a list cannot be read.
        """
        names = []
        for path in self.lists:
            names += read_list(os.path.join(folder, path))
        return names

    def add_sources_in(self, fcl: bytes, folder: str = "") -> None:
        """Add the inputs that a main fcl file names.

        Those are `source.fileNames`, and the `fileNames` of mixing modules. Of each list the last
        one counts, and an option's instead of the source's. Names that lie neither in the folder
        nor elsewhere by their whole path are left to the modules' own search.
        """
        lists: Dict[bytes, List[str]] = {}
        for prefix, names in _LISTS_IN_FCL.findall(_COMMENTS_IN_FCL.sub(b"", fcl)):
            lists[prefix or b"source."] = list(map(os.fsdecode, _TEXTS_IN_FCL.findall(names)))
        if self.sources or self.lists:
            lists.pop(b"source.", None)
        for names_in_list in lists.values():
            for name in names_in_list:
                is_placed = is_url(name) or os.path.isabs(name)
                if is_placed or os.path.exists(os.path.join(folder, name)):
                    self.sources.append(name)


def read_list(path: str) -> List[str]:
    """Return the files that a list names, a line each; raises OSError where it cannot be read."""
    content = os.fsdecode(regular.read(path) or b"")
    # art leaves out comments, too
    names = [line.split("#", 1)[0].strip() for line in content.splitlines()]
    return [name for name in names if name]


def _program_and_words(argv: Sequence[str]) -> Tuple[str, Sequence[str]]:
    """Return the name of a program, or of the script that an interpreter runs, and its words."""
    names = [os.path.basename(word) for word in argv[:2]]
    if len(names) > 1 and INTERPRETERS.match(names[0]) and not names[1].startswith("-"):
        return names[1], argv[2:]
    return (names[0] if names else ""), argv[1:]


def _names_fcl(argv: Sequence[str]) -> bool:
    """Tell whether a command line has `-c NAME.fcl`; what a shell is given by `-c` has spaces.

    What is written after `--`, or before it, is for a wrapper: `fife_wrap … --exe lar -- -c x.fcl`.
    """
    if "--" in argv:
        return False
    for index, word in enumerate(argv):
        following = argv[index + 1] if index + 1 < len(argv) else ""
        if word in _CONFIG and following.endswith(".fcl") and " " not in following:
            return True
        if word.startswith(("--config=", "-c")) and word.endswith(".fcl"):
            return True
    return False


def _split(words: Sequence[str], index: int) -> Tuple[str, Optional[str], int]:
    """Return (option, value, words used).

    An option is `--name=value`, `--name value`, `-nvalue` or `-n value`.
    """
    word = words[index]
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        if equals:
            return name, value, 1
    elif re.match(r"^-[A-Za-z].", word):
        return word[:2], word[2:], 1
    else:
        name = word
    if index + 1 < len(words) and name not in _FLAGS:
        return name, words[index + 1], 2
    return name, None, 1


def _values(words: Sequence[str], index: int, first: Optional[str]) -> Tuple[List[str], int]:
    """Return (values, words used) of an option that takes several values."""
    if words[index] not in _SOURCES:  # the value stands in the same word
        return [first] if first else [], 1
    end = index + 1
    while end < len(words) and not words[end].startswith("-"):
        end += 1
    return [word for word in words[index + 1 : end] if word], end - index


def _without_label(value: str) -> str:
    """Return art's `-o [label:]file` without its label; a URL keeps its scheme."""
    label, colon, rest = value.partition(":")
    has_label = colon and re.match(r"^\w+$", label) and not rest.startswith("//")
    return rest if has_label else value


def program_files(argv: Sequence[str]) -> List[str]:
    """Return the files of code in a command line.

    A program that is a script or local, an interpreter's script.
    """
    if not argv:
        return []
    program_name = os.path.basename(argv[0])
    if INTERPRETERS.match(program_name):
        return script_argument(argv[1:])
    if program_name in _PREFIXES:
        return program_files(without_prefix(argv))
    program = which(argv[0])
    if program and (_is_script(program) or not is_system(program)):
        return [argv[0] if os.sep in argv[0] else program]
    return []


def which(program: str, search_path: Optional[str] = None) -> Optional[str]:
    """Return the path that a program's name stands for on PATH, or None.

    Another search path than our own may be given. (shutil, which has it too, loads slowly.)
    """
    if os.sep in program:
        return program if os.path.isfile(program) else None
    if search_path is None:
        search_path = os.environ.get("PATH", os.defpath)
    for folder in search_path.split(os.pathsep):
        path = os.path.join(folder or ".", program)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def without_prefix(argv: Sequence[str]) -> Sequence[str]:
    """Return a command line without programs that only start another one.

    Such as `env`, `timeout 9`, `nice`.
    """
    start = 0
    while start < len(argv) and os.path.basename(argv[start]) in _PREFIXES:
        start += 1
        while start < len(argv) and _is_of_prefix(argv[start]):
            start += 1
    return argv[start:]


def script_argument(words: Sequence[str], folder: str = "") -> List[str]:
    """Return the script that an interpreter is given in a folder, or in ours, as a list of one.

    Empty where code stands in the arguments.
    """
    is_value = False
    for word in words:
        if is_value:
            is_value = False
        elif word in ("-c", "-e", "-m"):
            return []
        elif word in ("-I", "-O", "-W", "-X", "-o"):
            is_value = True
        elif not word.startswith(("-", "+")):
            # What follows a script that is not here, since its subshell went elsewhere, is its own
            return [word] if os.path.isfile(os.path.join(folder, word)) else []
    return []


def _is_of_prefix(word: str) -> bool:
    """Tell whether a word is an option, variable or time behind `env`, `nice` or `timeout`."""
    return word.startswith("-") or "=" in word or bool(re.match(r"^[\d.]+[smhd]?$", word))


def _is_script(path: str) -> bool:
    with open(path, "rb") as stream:
        return stream.read(2) == b"#!"


def is_system(path: str) -> bool:
    """Tell whether a path leads into a folder of the system, or of installed software."""
    is_path = len(path) <= _LONGEST_PATH  # the kernel takes no longer one
    return is_in_system_folder(os.path.realpath(path) if is_path else path)


def is_of_machine(path: str) -> bool:
    """Tell whether a path lies in a folder of the system, of software or of the machine's state.

    The job's own folder is none, though HTCondor may have it below /var/lib.
    """
    is_of_state = path.startswith(_MACHINE_FOLDERS) and not path.startswith(os.getcwd() + "/")
    return is_of_state or is_in_system_folder(path)
