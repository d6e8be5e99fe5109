"""The git checkouts that a job's scripts and fcl lie in: one software entry each, placed, named and described."""

import os
import re

from provenance.capture import redaction, worktree
from provenance.capture.draft import without_empty
from provenance.capture.git import text


class Repositories:
    """The checkouts met so far; one record entry each.

    Attributes:
        entries: record entries by top folder; `finish` completes those that are new.
    """

    def __init__(self, draft):
        self.draft = draft
        self.entries = {entry["checkout"]: entry for entry in draft.record.get("software", ()) if entry.get("checkout")}
        self._tops = {}  # folder -> top folder of its checkout, or None
        self._unfinished = []

    def place(self, path):
        """Return {software, path_in_repository} of a file; empty where it lies in no checkout."""
        real = os.path.realpath(path)
        top = self._top(os.path.dirname(real))
        if top is None:
            return {}
        return {"software": self._entry(top)["name"], "path_in_repository": os.path.relpath(real, top)}

    def add(self, folder):
        """Record the checkout that a folder lies in; a note where it lies in none."""
        top = self._top(os.path.realpath(folder))
        if top is None:
            self.draft.note("{} is in no git checkout".format(folder))
        else:
            self._entry(top)

    def finish(self):
        """Find out what does not change while the job runs: asked ref, description, address, submodules."""
        pending, self._unfinished = self._unfinished, []
        for top, entry in pending:
            self.draft.attempt("git checkout " + top, _complete, top, entry, self.draft)

    def _top(self, folder):
        """Return the nearest folder above that holds `.git`, without starting git."""
        if folder not in self._tops:
            if os.path.exists(os.path.join(folder, ".git")):
                self._tops[folder] = folder
            else:
                parent = os.path.dirname(folder)
                self._tops[folder] = None if parent == folder else self._top(parent)
        return self._tops[folder]

    def _entry(self, top):
        if top not in self.entries:
            entry = {
                "name": self._free_name(os.path.basename(top) or "root"),
                "evidence": "observed",
                "vcs": "git",
                "checkout": top,
            }
            self.entries[top] = entry
            self.draft.extend("software", [entry])
            if self.draft.attempt("git checkout " + top, worktree.observe, top, entry, self.draft) is not None:
                self._unfinished.append((top, entry))
        return self.entries[top]

    def _free_name(self, name):
        taken = {entry["name"] for entry in self.draft.record.get("software", ())}
        candidates = [name] + ["{}-{}".format(name, number) for number in range(2, 1000)]
        return next(candidate for candidate in candidates if candidate not in taken)


def _complete(top, entry, draft):
    address = _address(top)
    entry["repository"] = address or top
    name = re.sub(r"\.git$", "", (address or top).rstrip("/").replace(":", "/").rsplit("/", 1)[-1])
    if name and name != entry["name"]:
        _rename(entry, name, draft)
    entry.update(without_empty(_asked_ref(top, entry)))
    entry.update(without_empty({"describe": text(top, "describe", "--tags", "--always", "--long")}))
    entry.update(without_empty({"submodules": _submodules(top)}))
    if "tree" in entry and "objects_sha256" not in entry:
        worktree.keep_unpushed(top, entry, draft)


def _rename(entry, name, draft):
    """Call the software by its repository, not by the folder that it lay in."""
    if any(other["name"] == name for other in draft.record.get("software", ()) if other is not entry):
        return
    old, entry["name"] = entry["name"], name
    users = list(draft.record.get("scripts", ()))
    for configuration in draft.record.get("configurations", ()):
        users.extend(configuration["files"])
    for user in users:
        if user.get("software") == old:
            user["software"] = name


def _address(top):
    """Return the remote's address without credentials: of the upstream, of origin, or of the only remote."""
    remotes = (text(top, "remote") or "").split()
    upstream = text(top, "rev-parse", "--abbrev-ref", "HEAD@{upstream}") if remotes else None
    wanted = [(upstream or "").split("/", 1)[0], "origin"] + (remotes if len(remotes) == 1 else [])
    remote = next((name for name in wanted if name in remotes), None)
    address = text(top, "config", "--get", "remote.{}.url".format(remote)) if remote else None
    return redaction.redact_text(re.sub(r"(?<=://)[^/@]*@", "", address)) if address else None


def _asked_ref(top, entry):
    branch = text(top, "symbolic-ref", "--short", "-q", "HEAD")
    if branch:
        return {"requested_ref": branch, "ref_kind": "branch"}
    tags = (text(top, "tag", "--points-at", "HEAD") or "").split()
    moves = re.findall(r"checkout: moving from \S+ to (\S+)", text(top, "reflog", "-5", "--format=%gs") or "")
    asked = moves[0] if moves else None
    if tags:
        return {"requested_ref": asked if asked in tags else tags[0], "ref_kind": "tag"}
    return {"requested_ref": entry["revision"], "ref_kind": "commit"}


def _submodules(top):
    lines = (
        (text(top, "submodule", "status") or "").splitlines()
        if os.path.exists(os.path.join(top, ".gitmodules"))
        else []
    )
    found = []
    for line in lines:
        match = re.match(r"^[ +\-U]?([0-9a-f]{40,64}) (.+?)(?: \(.*\))?$", line)
        if match:
            path = match.group(2)
            address = text(top, "config", "-f", ".gitmodules", "--get", "submodule.{}.url".format(path))
            found.append(
                without_empty(
                    {"path": path, "revision": match.group(1), "repository": address and redaction.redact_text(address)}
                )
            )
    return found or None
