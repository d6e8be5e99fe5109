"""Folders that the job names and to which it may have copied files, found when it has ended."""

import os
from typing import Collection, Dict, Iterable, List, Set

from jobprov.provenance.capture.files import private
from jobprov.provenance.capture.sight.named_folders import is_in_own

_MOST_PLACES, _MOST_ENTRIES = 100, 2000
_LONGEST_WORD = 1000


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
            if not private.is_private(folder) and os.path.isdir(folder):
                folders[folder] = None
                if not any(own.startswith(folder + os.sep) for own in own_folders):
                    folders.update(dict.fromkeys(_changed_below(folder, began)))
    return [folder for folder in folders if not is_in_own(folder, own_folders)]


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
