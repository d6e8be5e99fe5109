"""Folders that the job names, by its words, its scripts or its variables: it may store its files there."""

import os
import re
from typing import Collection, Dict, Iterable, List, Mapping, Set

from jobprov.provenance.capture.command import arguments
from jobprov.provenance.capture.files import folders as own
from jobprov.provenance.capture.files import leaving

_MOST_PLACES, _MOST_ENTRIES = 100, 2000
_LONGEST_WORD = 1000
_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?(\w+)=[\"']?([\w${}./:@%+,-]*)")
_WORD = re.compile(r"[\w${}./:@%+,-]*/[\w${}./:@%+,-]*")
_VARIABLE = re.compile(r"\$\{?(\w+)\}?")
_SCRATCH = ("/tmp/", "/var/tmp/", "/dev/")  # noqa: S108 - named to be left out
_SCRATCH_VARIABLES = ("TMPDIR", "TMP", "TEMP", "HOME", "PWD", "OLDPWD")


def words_of_variables() -> List[str]:
    """Return the values of the job's variables that may be storage folders."""
    return [
        value
        for name, value in os.environ.items()
        if name not in _SCRATCH_VARIABLES and not name.startswith("JOBPROV_")
    ]


def is_left_out(path: str, own_folders: Collection[str], skipped: Collection[str]) -> bool:
    """Tell whether a path lies where no job keeps its outputs: the system's, spool, or scratch."""
    if arguments.is_system(path):
        return True
    if any(path.startswith(folder + "/") for folder in skipped):
        return True  # what strace writes there
    scratch = [*_SCRATCH, os.environ.get("TMPDIR", "/tmp").rstrip("/") + "/"]  # noqa: S108
    for folder in scratch:
        is_home = any(path.startswith(folder) for path in own_folders)
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
        if not folder or folder in found or any(_is_at(folder, each) for each in own_folders):
            continue
        if is_left_out(folder + "/", own_folders, skipped) or leaving.is_private(folder):
            continue
        if os.path.isdir(folder) and own.is_own(folder) and os.access(folder, os.W_OK):
            found[folder] = None
    return list(found)[:_MOST_PLACES]


def _may_be_path(word: str) -> bool:
    return word.startswith("/") and len(word) <= _LONGEST_WORD and not set("\n\0:") & set(word)


def _is_at(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder + os.sep)


def further_folders(words: Iterable[str], own_folders: Collection[str], began: float) -> List[str]:
    """Return the folders that words name, by themselves or of a file, but for those of the job.

    Those in them that have changed since the job began are more: a file came there. Not those beside
    the job's own folder, which are other jobs'.
    """
    folders: Dict[str, None] = {}
    known: Set[str] = set(own_folders)
    for word in words:
        if not word.startswith("/") or "\n" in word or len(word) > _LONGEST_WORD:
            continue
        path = "/" + word.lstrip("/")  # `normpath` leaves two of them
        for folder in (os.path.normpath(path), os.path.normpath(os.path.dirname(path))):
            if folder in known:
                continue
            known.add(folder)
            if not leaving.is_private(folder) and os.path.isdir(folder):
                folders[folder] = None
                if not any(own.startswith(folder + os.sep) for own in own_folders):
                    folders.update(dict.fromkeys(_changed_below(folder, began)))
    return [folder for folder in folders if folder not in own_folders]


def _changed_below(folder: str, began: float) -> List[str]:
    """Return the folders in one, the first thousand, to which something came since a moment."""
    changed: List[str] = []
    try:
        with os.scandir(folder) as entries:
            for number, entry in enumerate(entries):
                if number >= _MOST_ENTRIES or len(changed) >= _MOST_PLACES:
                    break
                if entry.is_dir(follow_symlinks=False) and entry.stat().st_mtime >= began:
                    changed.append(entry.path)
    except OSError:
        pass  # gone, or not ours to read
    return changed


def words_of_script(content: bytes, variables: Mapping[str, str]) -> List[str]:
    """Return the absolute paths that a shell script writes, as far as its variables are known.

    A variable that is set to plain words counts from there on; others leave their words out.
    """
    known = dict(variables)
    words: List[str] = []
    for line in content.decode("utf-8", "replace").splitlines():
        assigned = _ASSIGNMENT.match(line)
        if assigned is not None:
            known[assigned.group(1)] = _expanded(assigned.group(2), known)
        for word in _WORD.findall(line):
            path = _expanded(word, known)
            if path.startswith("/") and "$" not in path:
                words.append(path)
    return words


def _expanded(word: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda name: variables.get(name.group(1), name.group()), word)
