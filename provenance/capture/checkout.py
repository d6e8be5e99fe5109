"""What a checkout is called: its remote's address, the ref that somebody asked for, and how git describes its commit."""

import os
import re

from jobprov.provenance.capture import redaction, worktree
from jobprov.provenance.capture.draft import without_empty
from jobprov.provenance.capture.git import text


def complete(top, entry, draft):
    """Add to a software entry the remote's address, the ref that was asked for, a description and the submodules."""
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
    if any(
        other["name"] == name for other in draft.record.get("software", ()) if other is not entry
    ):
        return
    old, entry["name"] = entry["name"], name
    users = list(draft.record.get("scripts", ()))
    for configuration in draft.record.get("configurations", ()):
        users.extend(configuration["files"])
    for user in users:
        if user.get("software") == old:
            user["software"] = name


def _address(top):
    """Return the remote's address without credentials.

    Of the upstream, of origin, or of the only remote.
    """
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
    moves = re.findall(
        r"checkout: moving from \S+ to (\S+)", text(top, "reflog", "-5", "--format=%gs") or ""
    )
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
            address = text(
                top, "config", "-f", ".gitmodules", "--get", "submodule.{}.url".format(path)
            )
            found.append(
                without_empty(
                    {
                        "path": path,
                        "revision": match.group(1),
                        "repository": address and redaction.redact_text(address),
                    }
                )
            )
    return found or None
