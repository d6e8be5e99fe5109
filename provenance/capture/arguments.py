"""What a command line tells: fcl, inputs, outputs, program and script files.

Source: the option tables of art's artapp (`art --help`); `lar`, `mu2e`, `nova`, `gm2` and `uboone`
share them. Other programs are read the same way once they name an fcl file by `-c`; else each
argument is judged by what lies there.
"""

import os
import re

from jobprov.provenance.capture import regular

ART_PROGRAMS = frozenset(
    ["art", "art_ut", "lar", "lar_ut", "mu2e", "nova", "gm2", "uboone", "gallery"]
)
INTERPRETERS = re.compile(
    r"^(?:python|perl|ruby|node|php|lua|tclsh|R(?:script)?|(?:ba|da|z|k|c|tc)?sh|root(?:\.exe)?)[\d.]*$"
)
DATA_SUFFIXES = (
    ".root",
    ".h5",
    ".hdf5",
    ".hepmc",
    ".hepmc3",
    ".lhe",
    ".parquet",
    ".npz",
    ".npy",
    ".raw",
    ".dat",
    ".art",
)
_ONE = {
    "-c": "config",
    "--config": "config",
    "-S": "lists",
    "--source-list": "lists",
    "-o": "outputs",
    "--output": "outputs",
    "-T": "outputs",
    "--TFileName": "outputs",
    "--config-out": "final",
    "--process-name": "process_name",
    "--sam-process-id": "sam_process_id",
    "--timing-db": "databases",
    "--memcheck-db": "databases",
}
_SEVERAL = ("lists", "outputs", "databases")
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
_PREFIXES = frozenset(["env", "nice", "time", "timeout", "stdbuf", "nohup", "setarch", "taskset"])


class CommandLine:
    """What was found in one command line; paths are as written.

    Attributes:
        is_art: whether it is art's or was written like art's.
        config: the fcl file's name as given, to be looked up.
        sources, outputs: names of files; an output may hold art's `%` patterns.
        final, process_name, sam_process_id: `--config-out`, `--process-name` and
            `--sam-process-id`.
        databases: `--timing-db` and `--memcheck-db`.
        overrides: the options that change the configuration, as given.
    """

    def __init__(self, argv):
        self.argv = argv
        self.is_art = bool(argv) and os.path.basename(argv[0]) in ART_PROGRAMS
        self.config = self.final = self.process_name = self.sam_process_id = None
        self.sources, self.lists, self.outputs, self.overrides, self.databases = [], [], [], [], []
        if not self.is_art:
            self.is_art = _names_fcl(argv)
        if self.is_art:
            self._read(argv[1:])

    def _read(self, words):
        index = 0
        while index < len(words):
            name, value, step = _split(words, index)
            kind = _ONE.get(name)
            if name in ("-s", "--source"):
                values, step = _values(words, index, value)
                self.sources.extend(values)
            elif kind in _SEVERAL:
                getattr(self, kind).append(value)
            elif kind in ("config", "final", "sam_process_id"):
                setattr(self, kind, value)
            elif name in _OVERRIDES:
                self.overrides.extend(words[index : index + step])
            else:
                step = 1
            if kind == "process_name":
                self.process_name = value
            index += step
        self.sources = [value for value in self.sources if value]
        self.databases, self.lists = (
            list(filter(None, self.databases)),
            list(filter(None, self.lists)),
        )
        self.outputs = [_without_label(value) for value in self.outputs if value]

    def listed_sources(self):
        """Return the inputs that the `-S` lists name.

        Raises OSError where a list cannot be read.
        """
        names = []
        for path in self.lists:
            content = regular.read(path) or b""
            lines = (line.strip() for line in os.fsdecode(content).splitlines())
            names.extend(line for line in lines if line and not line.startswith("#"))
        return names


def _names_fcl(argv):
    for index, word in enumerate(argv):
        if (
            word in ("-c", "--config")
            and argv[index + 1 : index + 2]
            and argv[index + 1].endswith(".fcl")
        ):
            return True
        if word.startswith(("--config=", "-c")) and word.endswith(".fcl"):
            return True
    return False


def _split(words, index):
    """Return (option, value, words used) at an index.

    `--name=value`, `--name value`, `-nvalue` and `-n value`.
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
    if index + 1 < len(words):
        return name, words[index + 1], 2
    return name, None, 1


def _values(words, index, first):
    """Return (values, words used) of an option that takes several values."""
    if "=" in words[index] or words[index] not in ("-s", "--source"):
        return [first], 1
    end = index + 1
    while end < len(words) and not words[end].startswith("-"):
        end += 1
    return words[index + 1 : end], end - index


def _without_label(value):
    """Return art's `-o [label:]file` without its label; a URL keeps its scheme."""
    label, colon, rest = value.partition(":")
    return rest if colon and re.match(r"^\w+$", label) and not rest.startswith("//") else value


def as_glob(pattern):
    """Return art's output pattern (`%l_%r_%#.root`, `%ifb`) as a glob.

    Other names are returned as they are.
    """
    return (
        re.sub(r"%(?:0?\d*)?(?:if[bdenps]|t[cor]|[lprRsS#])", "*", pattern)
        if "%" in pattern
        else pattern
    )


def program_files(argv, which):
    """Return the files of code in a command line.

    The program where it is a script or local, an interpreter's script.
    """
    if not argv:
        return []
    program = which(argv[0])
    files = []
    is_interpreter = bool(INTERPRETERS.match(os.path.basename(argv[0])))
    if program and not is_interpreter and (_is_script(program) or not _is_system(program)):
        files.append(program if os.sep not in argv[0] else argv[0])
    if is_interpreter:
        files.extend(_script_argument(argv[1:]))
    elif os.path.basename(argv[0]) in _PREFIXES:
        files = program_files(without_prefix(argv), which)
    return files


def which(program):
    """Return the path that a program's name stands for on PATH, or None (shutil, which has it too, loads slowly)."""
    if os.sep in program:
        return program if os.path.isfile(program) else None
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or ".", program)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return None


def without_prefix(argv):
    """Return a command line without the programs that only start another one (`env`, `timeout 9`, `nice`)."""
    while argv and os.path.basename(argv[0]) in _PREFIXES:
        argv = _after_prefix(argv[1:])
    return argv


def _script_argument(words):
    skip = False
    for word in words:
        if word in ("-c", "-e", "-m") and not skip:
            return []
        if skip or word in ("-W", "-X", "-o"):
            skip = not skip
            continue
        if not word.startswith("-") and os.path.isfile(word):
            return [word]
    return []


def _after_prefix(words):
    for index, word in enumerate(words):
        if not word.startswith("-") and "=" not in word and not re.match(r"^[\d.]+[smhd]?$", word):
            return words[index:]
    return []


def _is_script(path):
    with open(path, "rb") as stream:
        return stream.read(2) == b"#!"


def _is_system(path):
    return os.path.realpath(path).startswith(
        ("/usr/", "/bin/", "/sbin/", "/lib", "/opt/", "/cvmfs/", "/nix/")
    )
