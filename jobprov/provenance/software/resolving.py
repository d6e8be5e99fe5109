"""Resolves a tag, branch or commit of a record to commit and tree, in a mirror as it is now.

A name that cannot be resolved is a result, not an error: the job stays recorded, with a gap.

Source: gitrevisions(7) for the order in which a short name is read: tag before branch.
"""

from dataclasses import dataclass
from datetime import datetime

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.git_command import run_git
from jobprov.provenance.software.mirrors import Mirror
from jobprov.provenance.software.names import is_abbreviated_oid, is_oid, is_ref_name, is_sha256_oid
from jobprov.provenance.software.object_form import parse_commit, tagged_object
from jobprov.provenance.software.objects import MissingObjectError, RepositoryObjects

_MAX_TAGS_OF_TAGS = 20
ANNOTATED_TAG, TAG, BRANCH, COMMIT = "annotated tag", "tag", "branch", "commit"


@dataclass(frozen=True)
class ResolvedRef:
    """What a name means in a mirror.

    Attributes:
        ref_kind: `annotated tag`, `tag`, `branch` or `commit`.
        full_ref: `refs/tags/…` or `refs/heads/…`; None for a commit id.
        tag_objects: ids of the annotated tag objects on the way to the commit, outermost first.
        commit: full id.
        tree: full id of its tree.
        parents: full ids.
        describe: nearest tag, from `git describe --tags`. Only for people, since it changes with
            the tags.
        committed_at: UTC; None if the commit's date cannot be read.
        subject: first line of the commit's message.
        is_reachable: whether a branch or tag of the server leads to the commit today.
    """

    ref_kind: str
    full_ref: str | None
    tag_objects: tuple[str, ...]
    commit: str
    tree: str
    parents: tuple[str, ...]
    describe: str | None
    committed_at: datetime | None
    subject: str
    is_reachable: bool

    @property
    def tag_object(self) -> str | None:
        """The tag object that the ref names; None if the ref is not an annotated tag."""
        return self.tag_objects[0] if self.tag_objects else None


@dataclass(frozen=True)
class UnresolvedRef:
    """A name that means nothing in a mirror; `reason` is one sentence for people."""

    reason: str


def resolve(mirror: Mirror, name: str) -> ResolvedRef | UnresolvedRef:
    """Return what a tag, branch, full ref or commit id means in a mirror.

    A commit id may be abbreviated to seven digits or more. A name that is both a tag and a branch
    means the tag, as in git.
    """
    try:
        ref_and_id = _look_up(mirror, name)
        if isinstance(ref_and_id, UnresolvedRef):
            return ref_and_id
        full_ref, oid = ref_and_id
        with mirror.objects() as objects:
            return _resolved(mirror, objects, name, full_ref, oid)
    except MissingObjectError as error:
        return UnresolvedRef(str(error))


def resolve_and_pin(mirror: Mirror, name: str) -> ResolvedRef | UnresolvedRef:
    """Return what a name means, and keep its commit and tag objects in the mirror for ever."""
    resolved = resolve(mirror, name)
    if isinstance(resolved, ResolvedRef):
        mirror.pin(resolved.commit)
        for oid in resolved.tag_objects:
            mirror.pin_tag_object(oid)
    return resolved


def _look_up(mirror: Mirror, name: str) -> tuple[str | None, str] | UnresolvedRef:
    """Return (full ref or None, object id) of a name: tag before branch before abbreviated id."""
    where = mirror.url.public
    if is_sha256_oid(name):
        return UnresolvedRef("Ids of git's SHA-256 format are not supported yet.")
    if is_oid(name):
        return None, name
    if not is_ref_name(name):
        return UnresolvedRef(f"{name[:80]!r} cannot be the name of a tag, branch or commit.")
    branch = name.removeprefix("origin/")
    refs = mirror.refs_named(
        name, f"refs/tags/{name}", f"refs/heads/{name}", f"refs/heads/{branch}"
    )
    if refs:
        return next(iter(refs.items()))
    oid = _whole_oid(mirror, name) if is_abbreviated_oid(name) else None
    if oid:
        return None, oid
    return UnresolvedRef(f"Repository {where} has no tag, branch or commit {name!r}.")


def _whole_oid(mirror: Mirror, beginning: str) -> str | None:
    """The only commit whose id begins so; None if there is none, or several."""
    arguments = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{beginning}^{{commit}}"]
    answer = run_git(arguments, git_dir=mirror.folder, accept=(0, 1, 128))
    return answer.lines[-1] if answer.exit_code == 0 and answer.lines else None


def _resolved(
    mirror: Mirror, objects: RepositoryObjects, name: str, full_ref: str | None, oid: str
) -> ResolvedRef | UnresolvedRef:
    """Follow annotated tags to the commit; return it with its fields."""
    kind, content = objects.read(oid)
    tag_objects: list[str] = []
    while kind == "tag" and len(tag_objects) < _MAX_TAGS_OF_TAGS:
        tag_objects.append(oid)
        oid = tagged_object(content)
        kind, content = objects.read(oid, f"under tag object {tag_objects[-1]}")
    if kind != "commit":
        where = f"in repository {mirror.url.public}"
        return UnresolvedRef(f"{name!r} names a {kind} {where}, not a commit.")
    try:
        fields = parse_commit(content)
    except SoftwareError as error:
        return UnresolvedRef(str(error))
    return ResolvedRef(
        ref_kind=_kind_of(full_ref, tag_objects),
        full_ref=full_ref,
        tag_objects=tuple(tag_objects),
        commit=oid,
        tree=fields.tree,
        parents=fields.parents,
        describe=_describe(mirror, oid),
        committed_at=fields.committed_at,
        subject=fields.subject,
        is_reachable=_is_reachable(mirror, oid),
    )


def _kind_of(full_ref: str | None, tag_objects: list[str]) -> str:
    if full_ref is None:
        return ANNOTATED_TAG if tag_objects else COMMIT
    if full_ref.startswith("refs/heads/"):
        return BRANCH
    return ANNOTATED_TAG if tag_objects else TAG


def _describe(mirror: Mirror, commit: str) -> str | None:
    """The nearest tag. With 12 digits, as git's own choice grows with the number of objects."""
    answer = run_git(
        ["describe", "--tags", "--abbrev=12", commit], git_dir=mirror.folder, accept=(0, 128)
    )
    return answer.lines[0] if answer.exit_code == 0 and answer.lines else None


def _is_reachable(mirror: Mirror, commit: str) -> bool:
    arguments = ["for-each-ref", "--count=1", f"--contains={commit}", "--format=%(refname)", "--"]
    return bool(run_git([*arguments, "refs/heads", "refs/tags"], git_dir=mirror.folder).lines)
