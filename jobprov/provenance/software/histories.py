"""The commits and tags beside a commit with which git describes it as it did where a job ran.

Commits come without their trees. All of a short history are kept; of a long one those since the
tags that describe the commit, unless these are too many as well. The hook chooses alike
(`capture/checkouts/history.py`) from a checkout that no server knows.
"""

from collections.abc import Iterable, Sequence

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.records.job_record import Software
from jobprov.provenance.software.git_command import run_git
from jobprov.provenance.software.mirrors import Mirror
from jobprov.provenance.software.names import is_oid
from jobprov.provenance.software.object_form import parse_commit
from jobprov.provenance.software.objects import Objects
from jobprov.provenance.software.packs.reading import PackedObject

MOST_COMMITS = 1000


def find_history(
    software: Software, commit: str, mirror: Mirror | None, uploaded: Sequence[PackedObject]
) -> list[str]:
    """Return the earlier commits that a pack holds beside its own.

    None if the record does not say how long the history was.
    """
    if software.history is None:
        return []
    own = {packed.oid: packed.content for packed in uploaded if packed.kind == "commit"}
    if mirror is None:
        return list(own)
    unpushed, pushed = _split(commit, own, mirror)
    if not pushed:
        return unpushed
    commits = _list(mirror, pushed)
    if software.history.is_shallow:
        # A shallow clone: the newest ones, as far as their number shows
        return [*unpushed, *commits[: max(0, (software.history.commits or 1) - len(unpushed))]]
    if len(commits) + len(unpushed) <= MOST_COMMITS:
        return [*unpushed, *commits]
    since = _since_tags(mirror, pushed, software)
    return [*unpushed, *since] if len(since) + len(unpushed) <= MOST_COMMITS else []


def tag_objects(
    software: Software, objects: Objects, uploaded: Iterable[PackedObject]
) -> list[str]:
    """Return the ids of the tag objects that the record names and that are here."""
    own = {packed.oid for packed in uploaded if packed.kind == "tag"}
    named = [tag.object for tag in software.tags or () if is_oid(tag.object)]
    tags = []
    for oid, header in zip(named, objects.headers(named), strict=True):
        if oid in own or (header is not None and header.kind == "tag"):
            tags.append(oid)
    return tags


def _split(commit: str, own: dict[str, bytes], mirror: Mirror) -> tuple[list[str], list[str]]:
    """Return the commits that were never pushed, and those in the mirror that they are based on."""
    unpushed: list[str] = []
    pushed: list[str] = []
    waiting = [commit]
    while waiting:
        oid = waiting.pop()
        if oid in unpushed or oid in pushed:
            continue
        if mirror.has_commit(oid):
            pushed.append(oid)
        elif oid in own:
            unpushed.append(oid)
            waiting += parse_commit(own[oid]).parents
    return unpushed, pushed


def _list(mirror: Mirror, tips: Sequence[str], *without: str) -> list[str]:
    arguments = ["rev-list", f"--max-count={MOST_COMMITS + 1}", *tips, "--not", *without]
    return run_git(arguments, git_dir=mirror.folder).lines


def _since_tags(mirror: Mirror, tips: Sequence[str], software: Software) -> list[str]:
    """Return the commits since each of the tags, and those that the tags name."""
    commits: dict[str, None] = {}
    for tag in software.tags or ():
        if not is_oid(tag.object):
            continue
        try:
            arguments = ["rev-parse", "--verify", "--end-of-options", f"{tag.object}^{{commit}}"]
            target = run_git(arguments, git_dir=mirror.folder).lines[-1]
        except SoftwareError:
            continue  # a tag that was never pushed
        commits |= dict.fromkeys(_list(mirror, tips, target))
        commits[target] = None
    return list(commits)
