"""The git checkouts that a job's scripts and fcl lie in.

One software entry each, placed, named and described.
"""

# ruff: noqa: PLC0415 - git is loaded where a checkout is met, and its rest while the command runs

import os

from jobprov.provenance.capture.glance import find_checkout

_MOST_LINKS = 32


class Repositories:
    """The checkouts met so far; one record entry each.

    Attributes:
        entries: record entries by top folder; `finish` completes those that are new.
    """

    def __init__(self, draft):
        self.draft = draft
        self.entries = {
            entry["checkout"]: entry
            for entry in draft.record.get("software", ())
            if entry.get("checkout")
        }
        self._tops = {}  # folder -> top folder of its checkout, or None
        self._unfinished = []

    def place(self, path):
        """Return {software, path_in_repository} of a file; empty where it lies in no checkout."""
        real = os.path.realpath(path)
        top = self._top(os.path.dirname(real))
        if top is None:
            return {}
        self._note_link(os.path.dirname(os.path.abspath(path)), os.path.dirname(real), top)
        return {
            "software": self._entry(top)["name"],
            "path_in_repository": os.path.relpath(real, top),
        }

    def add(self, folder):
        """Record the checkout that a folder lies in; a note where it lies in none."""
        real = os.path.realpath(folder)
        top = self._top(real)
        if top is None:
            self.draft.note("{} is in no git checkout".format(folder))
        else:
            self._entry(top)
            self._note_link(os.path.abspath(folder), real, top)

    def finish(self):
        """Find out what does not change while the job runs.

        Asked ref, description, address, submodules.
        """
        from jobprov.provenance.capture import checkout

        pending, self._unfinished = self._unfinished, []
        for top, entry in pending:
            self.draft.attempt("git checkout " + top, checkout.complete, top, entry, self.draft)

    def _note_link(self, given, real, top):
        """Note where a symbolic link leads by which a folder of a checkout was reached.

        The job's words name the link.
        """
        found = None
        while True:
            if given != real and os.path.realpath(given) == real:
                found = {"path": given, "target": real}
            if real == top or os.path.basename(given) != os.path.basename(real):
                break
            given, real = os.path.dirname(given), os.path.dirname(real)
        known = self.draft.record.get("folder_links", ())
        if (
            found
            and found not in known
            and len(known) < _MOST_LINKS
            and _is_text(found["path"] + found["target"])
        ):
            self.draft.extend("folder_links", [found])

    def _top(self, folder):
        return find_checkout(folder, self._tops)

    def _entry(self, top):
        if top not in self.entries:
            entry = {
                "name": self._free_name(os.path.basename(top) or "root"),
                "evidence": "observed",
                "vcs": "git",
                "checkout": top,
            }
            from jobprov.provenance.capture import worktree

            self.entries[top] = entry
            self.draft.extend("software", [entry])
            if (
                self.draft.attempt("git checkout " + top, worktree.observe, top, entry, self.draft)
                is not None
            ):
                self._unfinished.append((top, entry))
            if "tree" in entry:
                for folder in (
                    self.draft.attempt("submodules of " + top, worktree.changed_submodules, top)
                    or ()
                ):
                    self.add(folder)
        return self.entries[top]

    def _free_name(self, name):
        taken = {entry["name"] for entry in self.draft.record.get("software", ())}
        candidates = [name] + ["{}-{}".format(name, number) for number in range(2, 1000)]
        return next(candidate for candidate in candidates if candidate not in taken)


def _is_text(path):
    """Tell whether a path is UTF-8; one that is not stands otherwise in a record."""
    try:
        return bool(path.encode("utf-8"))
    except UnicodeEncodeError:
        return False
