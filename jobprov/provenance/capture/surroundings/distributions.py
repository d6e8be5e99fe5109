"""Which Python ran a program, and the distributions in its site-packages.

Names and versions from folder names.

One small text, a line each: kind, name, version and location, parted by tabs, sorted; of a wheel
also the digest of its RECORD, as far as the wheel itself brought that. The
interpreter is asked for its version without its site module; nothing of the job's own is imported.
What only a `.pth` file adds is not seen.

Sources: the core metadata folders (`NAME-VERSION.dist-info`, PEP 376;
`NAME-VERSION[-pyX.Y].egg-info`), `pyvenv.cfg` (PEP 405), Debian's dist-packages.
"""

import hashlib
import os
import re
from typing import Dict, Iterable, List, Optional, Sequence, Set, Tuple

from jobprov.provenance.capture.asking import ask
from jobprov.provenance.capture.command import arguments
from jobprov.provenance.capture.command.arguments import which
from jobprov.provenance.capture.running.children import Child

_PYTHON = re.compile(r"^(?:python|pypy)[\d.]*$")
_FOLDER = re.compile(r"^(.+?)-([^-]+?)(?:-py\d[\d.]*)?(?:-[\w.]+)?\.(?:dist-info|egg-info|egg)$")
_NAMELESS = re.compile(r"^([^-]+)\.(?:dist-info|egg-info)$")
_QUESTION = (
    "import sys; sys.stdout.write('\\n'.join([getattr(getattr(sys, 'implementation', None),"
    " 'name', 'cpython'),"
    " sys.version.split()[0], sys.executable, sys.prefix]))"
)
_BROUGHT = re.compile(rb"^(?!\.\./|[^/\n]*\.dist-info/)[^\n]*,sha256=[^\n]*\n", re.MULTILINE)
_SECONDS, _LARGEST_RECORD = 10, 16 << 20
_MOST_FOLDERS, _MOST_LINES, _MOST_PYTHONS = 50, 5000, 4
_TOUCHED = re.compile(rb"^(/[^\t]*/(?:python|pypy)[\d.]*)\t(?:file|link)\t", re.MULTILINE)


def list_packages(argv: Sequence[str], environment: Dict[str, str]) -> Set[str]:
    """Return the lines about a Python program's interpreter and its distributions.

    Empty where no Python runs it.

    Raises ValueError where the interpreter cannot be asked.
    """
    python = find_interpreter(argv)
    if python is None:
        return set()
    name, version, executable, prefix = _ask(python)
    lines = {"interpreter\t{}\t{}\t{}".format(name, version, executable)}
    for folder in site_folders(executable, prefix, version, environment)[:_MOST_FOLDERS]:
        for distribution in distributions(folder):
            lines.add("\t".join(("pip", distribution[0], distribution[1], folder, distribution[2])))
            if len(lines) >= _MOST_LINES:
                return lines
    return lines


def list_packages_of_children(
    children: Iterable[Child], touched: bytes, known: Sequence[str], environment: Dict[str, str]
) -> Set[str]:
    """Return the lines about the Pythons that a command's scripts started, some of them at most.

    `touched` is the listing of a trace, `known` are the lines that are there already.
    """
    paths = [_program_of(child) for child in children]
    paths += [os.fsdecode(path) for path in _TOUCHED.findall(touched)]
    # python, python3 and python3.13 of one folder are the same
    folders = {os.path.dirname(line.split("\t")[3]) for line in known if _is_interpreter(line)}
    lines: Set[str] = set()
    for path in paths:
        if path is None or os.path.dirname(path) in folders or len(folders) > _MOST_PYTHONS:
            continue
        folders.add(os.path.dirname(path))
        lines |= list_packages([path], environment)
    return lines


def _is_interpreter(line: str) -> bool:
    return line.startswith("interpreter\t")


def _program_of(child: Child) -> Optional[str]:
    """Return a child's Python as the child called it: /proc follows the link of a venv."""
    name = child.argv[0] if child.argv else ""
    if not _PYTHON.match(os.path.basename(child.program)):
        return None
    if os.sep in name:
        return os.path.join(child.working_directory, name)
    return which(name, child.search_path) or child.program


def find_interpreter(argv: Sequence[str]) -> Optional[str]:
    """Return the path of the Python that a command line starts, or None.

    By its name or by a script's first line.
    """
    words = arguments.without_prefix(argv)
    if not words:
        return None
    if _PYTHON.match(os.path.basename(words[0])):
        return which(words[0])
    program = which(words[0])
    interpreter = _interpreter(program) if program else None
    if interpreter and _PYTHON.match(os.path.basename(interpreter)):
        return which(interpreter)
    return None


def site_folders(
    executable: str, prefix: str, version: str, environment: Dict[str, str]
) -> List[str]:
    """Return the folders that hold distributions and exist, in the order of the import path."""
    short = "python" + ".".join(version.split(".")[:2])
    folders = [folder for folder in environment.get("PYTHONPATH", "").split(os.pathsep) if folder]
    own_prefix = os.path.dirname(os.path.dirname(executable))
    virtual = _settings(own_prefix)
    if virtual is not None:
        folders += _below(own_prefix, short)
    if virtual is None or virtual.get("include-system-site-packages", "").lower() == "true":
        folders += _system_folders(prefix, short, environment)
    folders_by_place: Dict[str, str] = {}
    for folder in folders:
        if os.path.isdir(folder):
            # lib64 is often a link to lib
            folders_by_place.setdefault(os.path.realpath(folder), folder)
    return list(folders_by_place.values())


def _system_folders(prefix: str, short: str, environment: Dict[str, str]) -> List[str]:
    """Return the folders that an interpreter outside of any virtual environment searches."""
    folders = []
    if not environment.get("PYTHONNOUSERSITE"):
        base = environment.get("PYTHONUSERBASE") or os.path.expanduser("~/.local")
        folders += _below(base, short)
    # Debian's Python puts what is installed by hand there
    if prefix == "/usr":
        folders += _below("/usr/local", short)
    return folders + _below(prefix, short)


def distributions(folder: str) -> List[Tuple[str, str, str]]:
    """Return [(name, version, digest of RECORD)] of the distributions in a folder.

    The version is empty where nothing tells it, and the digest `-` without a RECORD.
    """
    versions = []
    for name in sorted(os.listdir(folder)):
        match = _FOLDER.match(name)
        nameless = _NAMELESS.match(name)
        record = record_digest(os.path.join(folder, name, "RECORD"))
        if match:
            versions.append((match.group(1), match.group(2), record))
        elif nameless:
            version = _version_inside(os.path.join(folder, name))
            versions.append((nameless.group(1), version, record))
    return versions


def record_digest(path: str) -> str:
    """Return the SHA-256 of a RECORD's sorted lines that the wheel brought; `-` without a file.

    The same for every installation of a wheel: not counted are lines without a digest (compiled
    files), files outside the folder (scripts, which name the interpreter), and what pip adds to
    the metadata.
    """
    try:
        with open(path, "rb") as stream:
            # pip ends lines with CR LF, other installers as the wheel does
            content = stream.read(_LARGEST_RECORD).replace(b"\r\n", b"\n")
    except OSError:
        return "-"
    return hashlib.sha256(b"".join(sorted(_BROUGHT.findall(content)))).hexdigest()


def _ask(python: str) -> List[str]:
    """Return [implementation, version, executable, prefix] as the interpreter tells them."""
    answers = (ask([python, "-E", "-S", "-c", _QUESTION], _SECONDS) or "").split("\n")
    if len(answers) != 4:  # noqa: PLR2004 - the four that were asked for
        raise ValueError("{} does not tell its version".format(python))
    return answers


def _below(prefix: str, short: str) -> List[str]:
    """Return where distributions lie below a prefix; the last is Debian's."""
    folders = []
    for site in ("site-packages", "dist-packages"):
        folders.append(os.path.join(prefix, "lib", short, site))
        folders.append(os.path.join(prefix, "lib64", short, site))
    folders.append(os.path.join(prefix, "lib", "python3", "dist-packages"))
    return folders


def _settings(folder: str) -> Optional[Dict[str, str]]:
    """Return the settings in a folder's pyvenv.cfg, or None where there is none."""
    path = os.path.join(folder, "pyvenv.cfg")
    if not os.path.isfile(path):
        return None
    settings = {}
    with open(path, encoding="utf-8", errors="replace") as stream:
        for line in stream.read(65536).splitlines():
            name, _, value = line.partition("=")
            settings[name.strip().lower()] = value.strip()
    return settings


def _interpreter(path: str) -> Optional[str]:
    """Return the program in a script's first line; behind `env` the one it looks up."""
    with open(path, "rb") as stream:
        line = stream.read(512).split(b"\n", 1)[0]
    if not line.startswith(b"#!"):
        return None
    words = os.fsdecode(line[2:]).split()
    if words and os.path.basename(words[0]) == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return words[0] if words else None


def _version_inside(path: str) -> str:
    """Return the version in a distribution's metadata; an empty text where there is none."""
    files = [path]
    if os.path.isdir(path):
        files = [os.path.join(path, name) for name in ("METADATA", "PKG-INFO")]
    for file in files:
        if os.path.isfile(file):
            with open(file, "rb") as stream:
                match = re.search(rb"^Version:[ \t]*(\S+)", stream.read(4096), re.MULTILINE)
            if match:
                return match.group(1).decode("utf-8", "replace")
    return ""
