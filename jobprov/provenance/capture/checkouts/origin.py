"""Where a checkout comes from: remote, the ref that was asked for, description, submodules."""

import os
import re
from typing import Dict, List, Optional

from jobprov.provenance.capture.checkouts import history, worktree
from jobprov.provenance.capture.checkouts.git import text
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.fields import without_empty
from jobprov.provenance.capture.record.json_objects import Entry
from jobprov.provenance.capture.secrets.texts import redact_text


def complete(top: str, entry: Entry, draft: Draft) -> None:
    """Add to a software entry its remote, the requested ref, description and submodules."""
    address = _address(top)
    entry["repository"] = address or top
    name = _repository_name(entry["repository"])
    if name and name != entry["name"]:
        _rename(entry, name, draft)
    entry.update(_requested_ref(top, entry))
    history.describe(top, entry)
    entry.update(without_empty({"submodules": _submodules(top) or None}))
    if "tree" in entry and "objects_sha256" not in entry:
        worktree.keep_unpushed(top, entry, draft)


def _repository_name(address: str) -> str:
    return re.sub(r"\.git$", "", address.rstrip("/").replace(":", "/").rsplit("/", 1)[-1])


def _rename(entry: Entry, name: str, draft: Draft) -> None:
    """Call the software by its repository, not by the folder that it lay in."""
    for other in draft.record.get("software", ()):
        if other is not entry and other["name"] == name:
            return
    old, entry["name"] = entry["name"], name
    users = list(draft.record.get("scripts", ()))
    for configuration in draft.record.get("configurations", ()):
        users.extend(configuration["files"])
    for user in users:
        if user.get("software") == old:
            user["software"] = name


def _address(top: str) -> Optional[str]:
    """Return the remote's address without credentials.

    Of the upstream, of origin, or of the only remote.
    """
    remotes = (text(top, "remote") or "").split()
    if not remotes:
        return None
    upstream = text(top, "rev-parse", "--abbrev-ref", "HEAD@{upstream}") or ""
    wanted = [upstream.split("/", 1)[0], "origin"]
    if len(remotes) == 1:
        wanted += remotes
    for remote in wanted:
        if remote in remotes:
            address = text(top, "config", "--get", "remote.{}.url".format(remote))
            return redact_text(re.sub(r"(?<=://)[^/@]*@", "", address)) if address else None
    return None


def _requested_ref(top: str, entry: Entry) -> Dict[str, str]:
    """Return the branch, else the tag that was checked out by name, else the commit."""
    branch = text(top, "symbolic-ref", "--short", "-q", "HEAD")
    if branch:
        return {"requested_ref": branch, "ref_kind": "branch"}
    tags = (text(top, "tag", "--points-at", "HEAD") or "").split()
    if not tags:
        return {"requested_ref": entry["revision"], "ref_kind": "commit"}
    history = text(top, "reflog", "-5", "--format=%gs") or ""
    moves = re.findall(r"checkout: moving from \S+ to (\S+)", history)
    is_tag = bool(moves) and moves[0] in tags
    return {"requested_ref": moves[0] if is_tag else tags[0], "ref_kind": "tag"}


def _submodules(top: str) -> List[Entry]:
    if not os.path.exists(os.path.join(top, ".gitmodules")):
        return []
    submodules = []
    for line in (text(top, "submodule", "status") or "").splitlines():
        match = re.match(r"^([ +\-U]?)([0-9a-f]{40,64}) (.+?)(?: \(.*\))?$", line)
        if match:
            flag, revision, path = match.groups()
            address = text(
                top, "config", "-f", ".gitmodules", "--get", "submodule.{}.url".format(path)
            )
            repository = redact_text(address) if address else None
            fields = {"path": path, "revision": revision, "repository": repository}
            if flag == "-":
                fields["is_checked_out"] = False
            submodules.append(without_empty(fields))
    return submodules
