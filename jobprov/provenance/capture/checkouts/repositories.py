"""The git checkouts that a job's scripts and fcl lie in.

One software entry each, placed, named and described.
"""

# ruff: noqa: PLC0415 - git is loaded where a checkout is met, and its rest while the command runs

import os
from typing import Dict, List, Optional, Tuple

from jobprov.provenance.capture.checkouts.tops import find_checkout
from jobprov.provenance.capture.files.names import real_path
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.json_objects import Entry

_MOST_LINKS = 32


class Repositories:
    """The checkouts met so far; one record entry each.

    Attributes:
        entries: record entries by top folder; `finish` completes those that are new.
    """

    def __init__(self, draft: Draft) -> None:
        self.draft = draft
        self.entries: Dict[str, Entry] = {}
        for entry in draft.record.get("software", ()):
            if entry.get("checkout"):
                self.entries[entry["checkout"]] = entry
        self._tops: Dict[str, Optional[str]] = {}  # folder -> top folder of its checkout
        self._unfinished: List[Tuple[str, Entry]] = []

    def place(self, path: str) -> Dict[str, str]:
        """Return {software, path_in_repository} of a file; empty where it lies in no checkout."""
        real = real_path(path)
        top = find_checkout(os.path.dirname(real), self._tops)
        if top is None:
            return {}
        self._note_link(os.path.dirname(os.path.abspath(path)), os.path.dirname(real), top)
        return {
            "software": self._entry(top)["name"],
            "path_in_repository": os.path.relpath(real, top),
        }

    def add(self, folder: str) -> None:
        """Record the checkout that a folder lies in; a note where it lies in none."""
        real = os.path.realpath(folder)
        top = find_checkout(real, self._tops)
        if top is None:
            self.draft.weaken("capture-incomplete", folder, "it is in no git checkout")
        else:
            self._entry(top)
            self._note_link(os.path.abspath(folder), real, top)

    def finish(self) -> None:
        """Find out what does not change while the job runs.

        Requested ref, description, address, submodules.
        """
        if not self._unfinished:
            return
        from jobprov.provenance.capture.checkouts import origin

        pending, self._unfinished = self._unfinished, []
        for top, entry in pending:
            self.draft.attempt("git checkout " + top, origin.complete, top, entry, self.draft)

    def _note_link(self, given: str, real: str, top: str) -> None:
        """Note the symbolic link by which a folder of a checkout was reached.

        The job's words name the link.
        """
        link = _outermost_link(given, real, top)
        known = self.draft.record.get("folder_links", ())
        if link is None or link in known or len(known) >= _MOST_LINKS:
            return
        if _is_text(link["path"] + link["target"]):
            self.draft.extend("folder_links", [link])

    def _entry(self, top: str) -> Entry:
        if top not in self.entries:
            self.entries[top] = self._observe(top)
        return self.entries[top]

    def _observe(self, top: str) -> Entry:
        """Add the entry of a checkout as it is before the command, and its changed submodules."""
        from jobprov.provenance.capture.checkouts import worktree

        name = self._free_name(os.path.basename(top) or "root")
        entry: Entry = {
            "name": name,
            "evidence": "observed",
            "vcs": "git",
            "checkout": top,
        }
        self.entries[top] = entry
        self.draft.extend("software", [entry])
        inside = self.draft.attempt("git checkout " + top, worktree.observe, top, entry, self.draft)
        if inside is None and "revision" in entry:  # the note says why
            entry["left_out"] = [{"path": "", "why": "not looked at"}]
        if "revision" in entry:
            self._unfinished.append((top, entry))
        for folder in inside or ():
            self.add(folder)
        return entry

    def _free_name(self, name: str) -> str:
        taken = {entry["name"] for entry in self.draft.record.get("software", ())}
        free, number = name, 2
        while free in taken:
            free = "{}-{}".format(name, number)
            number += 1
        return free


def _outermost_link(given: str, real: str, top: str) -> Optional[Dict[str, str]]:
    """Return {path, target} of the link that is nearest to the top of a checkout, or None."""
    link = None
    while True:
        if given != real and os.path.realpath(given) == real:
            link = {"path": given, "target": real}
        if real == top or os.path.basename(given) != os.path.basename(real):
            return link
        given, real = os.path.dirname(given), os.path.dirname(real)


def _is_text(path: str) -> bool:
    """Tell whether a path is UTF-8; one that is not is written differently in a record."""
    try:
        return bool(path.encode("utf-8"))
    except UnicodeEncodeError:
        return False
