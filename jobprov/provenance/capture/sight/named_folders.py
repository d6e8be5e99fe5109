"""Folders that the job names by words, scripts or variables: it may store its files there."""

import collections
import os
import re
from typing import Collection, Dict, Iterable, Iterator, List, Mapping, MutableMapping, Tuple

from jobprov.provenance.capture.command import arguments
from jobprov.provenance.capture.files import folders as own
from jobprov.provenance.capture.files import private
from jobprov.provenance.capture.files.names import is_within

_MOST_PLACES = 100
_MOST_WORDS = 10000  # of one script
LONGEST_WORD = 1000  # what is longer is no path, also as the value of a variable
# Compiled where a script is read
_ASSIGNMENT = r"\s*(?:export\s+)?(\w+)=[\"']?([\w${}./:@%+,-]*)"
_WORD = r"[\w${}./:@%+,-]+"
_VARIABLE = r"\$\{?(\w+)\}?"
_SCRATCH = ("/tmp/", "/var/tmp/", "/dev/")  # noqa: S108 - named to be left out
_UNPACKED = "INPUT_TAR_DIR_LOCAL"  # and …_1, …_2: one for each --tar_file_name
_SCRATCH_VARIABLES = ("TMPDIR", "TMP", "TEMP", "HOME", "PWD", "OLDPWD")


def unpacked_folders() -> List[str]:
    """Return the folders in which jobsub unpacked what came with the submission."""
    named = [value for name, value in sorted(os.environ.items()) if name.startswith(_UNPACKED)]
    return [folder for folder in named if os.path.isabs(folder)]


def words_of_variables() -> List[str]:
    """Return the values of the job's variables that may be storage folders."""
    return [
        value
        for name, value in os.environ.items()
        if name not in _SCRATCH_VARIABLES and not name.startswith("JOBPROV_")
    ]


def words_of_command(argv: Iterable[str]) -> List[str]:
    """Return the words of a command line, and those of scripts in it: `sh -c "cp a $OUT/"`."""
    words = list(argv)
    scripts = "\n".join(word for word in words if " " in word)
    return words + words_of_script(os.fsencode(scripts), os.environ)


def is_left_out(path: str, own_folders: Collection[str], skipped: Collection[str]) -> bool:
    """Tell whether a path lies where no job keeps its outputs: the system's, spool, or scratch."""
    if arguments.is_system(path):
        return True
    if any(is_within(path, folder) for folder in skipped):
        return True  # what strace writes there
    scratch = [*_SCRATCH, os.environ.get("TMPDIR", "/tmp").rstrip("/") + "/"]  # noqa: S108
    for folder in scratch:
        is_home = any((own_folder + "/").startswith(folder) for own_folder in own_folders)
        if path.startswith(folder) and not is_home:  # a job in /tmp keeps its outputs there
            return True
    return False


def storage_folders(
    words: Iterable[str], own_folders: Collection[str], skipped: Collection[str]
) -> List[str]:
    """Return the folders among words in which the job may store files, but for its own."""
    found: Dict[str, None] = {}
    for word in words:
        folder = os.path.normpath(word) if _may_be_path(word) else ""
        if not folder or folder in found or is_in_own(folder, own_folders):
            continue
        if is_left_out(folder + "/", own_folders, skipped) or private.is_private(folder):
            continue
        if os.path.isdir(folder) and own.is_own(folder) and os.access(folder, os.W_OK):
            found[folder] = None
    return list(found)[:_MOST_PLACES]


def _may_be_path(word: str) -> bool:
    return word.startswith("/") and len(word) <= LONGEST_WORD and not set("\n\0:") & set(word)


def is_in_own(folder: str, own_folders: Collection[str]) -> bool:
    """Tell whether a folder is one of the job's own or lies below, whatever links lead to it."""
    real = os.path.realpath(folder)
    return any(is_within(real, os.path.realpath(each)) for each in own_folders)


def words_of_script(content: bytes, variables: MutableMapping[str, str]) -> List[str]:
    """Return the paths that a shell script writes, as far as its variables are known.

    A variable that is set to plain words counts from there on; others leave their words out.
    """
    words: Dict[str, None] = {}
    for line, known in lines_of_script(content, variables):
        for word in re.findall(_WORD, line.replace("file://", " ")):
            path = expanded(word, known) if "/" in word or "$" in word else "$"
            if "$" not in path and len(path) <= LONGEST_WORD:
                words[path] = None
    return list(words)[:_MOST_WORDS]


def lines_of_script(
    content: bytes, variables: MutableMapping[str, str]
) -> Iterator[Tuple[str, Mapping[str, str]]]:
    """Yield the lines of a shell script but empty ones, each with the variables known there."""
    assigned: Dict[str, str] = {}
    known = collections.ChainMap(assigned, variables)
    for line in filter(None, content.decode("utf-8", "replace").splitlines()):
        assignment = re.match(_ASSIGNMENT, line)
        if assignment is not None:
            name, word = assignment.groups()
            value = expanded(word, known)
            assigned[name] = value if len(value) <= LONGEST_WORD else "$" + name
        yield line, known


def expanded(word: str, variables: Mapping[str, str]) -> str:
    """Return a word with the variables that are known; as it is where it would be no path then."""
    if len(word) > LONGEST_WORD:
        return word
    path = re.sub(_VARIABLE, lambda name: variables.get(name.group(1), name.group()), word)
    return path if len(path) <= LONGEST_WORD else word
