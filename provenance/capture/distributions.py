"""Which Python ran a program, and the distributions that lay in its site-packages.

Names and versions from folder names.

One small text, a line each: kind, name, version and location, parted by tabs, sorted. The
interpreter is asked for its version without its site module; nothing of the job's own is imported.
What only a `.pth` file adds is not seen.

Sources: the core metadata folders (`NAME-VERSION.dist-info`, PEP 376;
`NAME-VERSION[-pyX.Y].egg-info`), `pyvenv.cfg` (PEP 405), Debian's dist-packages.
"""

import os
import re
import subprocess

from jobprov.provenance.capture import arguments
from jobprov.provenance.capture.arguments import which

_PYTHON = re.compile(r"^(?:python|pypy)[\d.]*$")
_FOLDER = re.compile(r"^(.+?)-([^-]+?)(?:-py\d[\d.]*)?(?:-[\w.]+)?\.(?:dist-info|egg-info|egg)$")
_NAMELESS = re.compile(r"^([^-]+)\.(?:dist-info|egg-info)$")
_ASK = (
    "import sys; sys.stdout.write('\\n'.join([getattr(getattr(sys, 'implementation', None), 'name', 'cpython'),"
    " sys.version.split()[0], sys.executable, sys.prefix]))"
)
_SECONDS = 10
_MOST_FOLDERS, _MOST_LINES = 50, 5000


def list_packages(argv, environment):
    """Return the lines about a Python program's interpreter and its distributions.

    Empty where no Python runs it.

    Raises OSError and ValueError where the interpreter cannot be asked.
    """
    python = find_interpreter(argv)
    if python is None:
        return set()
    name, version, executable, prefix = _ask(python)
    lines = {"interpreter\t{}\t{}\t{}".format(name, version, executable)}
    for folder in site_folders(executable, prefix, version, environment)[:_MOST_FOLDERS]:
        for distribution in distributions(folder):
            lines.add("\t".join(("pip", *distribution, folder)))
            if len(lines) >= _MOST_LINES:
                return lines
    return lines


def find_interpreter(argv):
    """Return the path of the Python that a command line starts, by its name or by a script's first line, or None."""
    words = arguments.without_prefix(argv)
    if not words:
        return None
    if _PYTHON.match(os.path.basename(words[0])):
        return which(words[0])
    program = which(words[0])
    asked = _first_line(program) if program else None
    return which(asked) if asked and _PYTHON.match(os.path.basename(asked)) else None


def site_folders(executable, prefix, version, environment):
    """Return the folders that hold distributions, in the order of the import path, those that exist."""
    short = "python" + ".".join(version.split(".")[:2])
    settings = _settings(os.path.dirname(os.path.dirname(executable)))
    found = [folder for folder in environment.get("PYTHONPATH", "").split(os.pathsep) if folder]
    if settings is not None:
        found += _below(os.path.dirname(os.path.dirname(executable)), short)
    if settings is None or settings.get("include-system-site-packages", "").lower() == "true":
        if not environment.get("PYTHONNOUSERSITE"):
            found += _below(
                environment.get("PYTHONUSERBASE") or os.path.expanduser("~/.local"), short
            )
        if prefix == "/usr":
            found += _below("/usr/local", short)
        found += _below(prefix, short)
    known = {}
    for folder in found:
        if os.path.isdir(folder):
            known.setdefault(os.path.realpath(folder), folder)  # lib64 is often a link to lib
    return [known[real] for real in known]


def distributions(folder):
    """Return [(name, version)] of the distributions in a folder.

    The version is empty where nothing tells it.
    """
    found = []
    for name in sorted(os.listdir(folder)):
        match = _FOLDER.match(name)
        if match:
            found.append((match.group(1), match.group(2)))
        elif _NAMELESS.match(name):
            found.append(
                (_NAMELESS.match(name).group(1), _told_version(os.path.join(folder, name)))
            )
    return found


def _ask(python):
    """Return [implementation, version, executable, prefix] as the interpreter tells them."""
    process = subprocess.Popen(
        [python, "-E", "-S", "-c", _ASK],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        told = (
            process.communicate(timeout=_SECONDS)[0].decode("utf-8", "surrogateescape").split("\n")
        )
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise OSError("{} does not tell its version".format(python)) from None
    if process.returncode or len(told) != 4:  # noqa: PLR2004 - the four that were asked for
        raise ValueError("{} does not tell its version".format(python))
    return told


def _below(prefix, short):
    """Return where distributions lie below a prefix; the last is Debian's."""
    places = [
        (library, site)
        for site in ("site-packages", "dist-packages")
        for library in ("lib", "lib64")
    ]
    folders = [os.path.join(prefix, library, short, site) for library, site in places]
    return [*folders, os.path.join(prefix, "lib", "python3", "dist-packages")]


def _settings(folder):
    """Return what pyvenv.cfg in a folder says, or None where there is none."""
    path = os.path.join(folder, "pyvenv.cfg")
    if not os.path.isfile(path):
        return None
    with open(path, encoding="utf-8", errors="replace") as stream:
        pairs = (line.partition("=") for line in stream.read(65536).splitlines())
        return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _first_line(path):
    """Return the program that a script's first line asks for; behind `env` the one it looks up."""
    with open(path, "rb") as stream:
        line = stream.read(512).split(b"\n", 1)[0]
    if not line.startswith(b"#!"):
        return None
    words = os.fsdecode(line[2:]).split()
    if words and os.path.basename(words[0]) == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    return words[0] if words else None


def _told_version(path):
    inside = (
        [os.path.join(path, name) for name in ("METADATA", "PKG-INFO")]
        if os.path.isdir(path)
        else [path]
    )
    for file in inside:
        if os.path.isfile(file):
            with open(file, "rb") as stream:
                match = re.search(rb"^Version:[ \t]*(\S+)", stream.read(4096), re.MULTILINE)
            if match:
                return match.group(1).decode("utf-8", "replace")
    return ""
