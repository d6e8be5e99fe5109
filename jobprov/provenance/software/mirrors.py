"""The service's own copy of a registered repository, which loses nothing that a job used.

A mirror is a bare repository. A fetch first stores the server's refs aside (`refs/prov/seen/`) and
compares them with the known ones. Old values that would be lost are kept under `refs/prov/pins/` or
`refs/prov/tagobj/`. Only then are the refs moved. So nothing is lost when a tag is moved or a branch
is deleted, and both are reported. Nothing is ever checked out.

Even so, a mirror is only a cache: what a bundle needs is stored as a canonical pack.
"""

import fcntl
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.fetching import fetch_commit, fetch_refs, list_remote
from jobprov.provenance.software.git_command import NETWORK, GitError, Limits, run_git
from jobprov.provenance.software.names import checked_oid
from jobprov.provenance.software.objects import RepositoryObjects
from jobprov.provenance.software.urls import RepositoryUrl, parse_url, public_address

PINS = "refs/prov/pins/"
TAG_OBJECTS = "refs/prov/tagobj/"
SEEN = "refs/prov/seen/"
KNOWN = ("refs/heads", "refs/tags")
_QUICK = Limits(wall_seconds=10)
_COMPACTING = ("gc.auto=6700", "gc.autoPackLimit=50", "gc.autoDetach=false")
"""Git's own limits of loose objects and packs, and that it ends before another fetch begins."""
_PAUSE_SECONDS = 0.05
_WAIT_SECONDS = 900.0
"""Between two attempts to take the lock: `flock` itself cannot wait with a time limit."""


@dataclass(frozen=True)
class RefObservation:
    """A ref that has changed.

    Attributes:
        ref: full name, `refs/heads/…` or `refs/tags/…`.
        old: the object id before; None for a new ref.
        new: the object id now; None for a deleted ref.
        change: `created`, `advanced` (a branch grew), `moved` (a tag, or a branch that lost
            commits) or `deleted`.
    """

    ref: str
    old: str | None
    new: str | None
    change: str


@dataclass(frozen=True)
class FetchReport:
    """The server's branches and tags after a fetch, and those that changed."""

    refs: dict[str, str]
    changes: tuple[RefObservation, ...]

    @property
    def moved_tags(self) -> list[RefObservation]:
        """The tags that name something else now, or are gone. They make jobs' code ambiguous."""
        tags = [change for change in self.changes if change.ref.startswith("refs/tags/")]
        return [change for change in tags if change.change in ("moved", "deleted")]


class Mirror:
    """A registered repository, mirrored in a bare one.

    Instances hold no state, so that each use may make its own.
    """

    def __init__(
        self,
        folder: Path,
        url: RepositoryUrl,
        *,
        trusted_hosts: Collection[str] = (),
        limits: Limits = NETWORK,
    ) -> None:
        self.folder = folder
        self.url = url
        self._trusted_hosts = frozenset(trusted_hosts)
        self._limits = limits

    @classmethod
    def open_or_create(
        cls,
        folder: Path,
        url: str,
        *,
        is_local: bool = False,
        trusted_hosts: Collection[str] = (),
        limits: Limits = NETWORK,
    ) -> Self:
        """Return the mirror of `url` in `folder`. If there is none, an empty one is made.

        Nothing is fetched.

        Args:
            folder: the mirror's own; its parent is made if missing.
            url: as an operator registered it.
            is_local: whether the operator registered a path on this machine; if False, only https
                and ssh are allowed.
            trusted_hosts: hosts that may have private addresses.
            limits: of one fetch.

        Raises:
            SoftwareError: this is not a url, or of a kind that may not be fetched.
        """
        parsed = parse_url(url)
        allowed = {"file"} if is_local else {"https", "ssh"}
        if parsed.scheme not in allowed:
            advice = "register it by https or ssh, or as a local path"
            raise SoftwareError(
                f"Repository {parsed.public} is not fetched by {parsed.scheme}: {advice}."
            )
        folder = folder.resolve()
        folder.parent.mkdir(parents=True, exist_ok=True)
        with hold_lock(_lock_of(folder)):
            if not (folder / "HEAD").exists():
                options = ["--quiet", "--bare", "--template=", "--initial-branch=main"]
                run_git(["init", *options, "--", str(folder)])
        return cls(folder, parsed, trusted_hosts=trusted_hosts, limits=limits)

    def fetch(self) -> FetchReport:
        """Bring the mirror up to date, and return what changed. Other fetches of it wait.

        Raises:
            SoftwareError: the server does not answer, refuses, or sends what fails git's checks;
                the mirror is as before.
        """
        with hold_lock(_lock_of(self.folder)):
            before = self.refs()
            settings = self._settings()
            remote = list_remote(self.folder, self.url, settings=settings)
            if remote == before:
                return FetchReport(before, ())
            fetch_refs(self.folder, self.url, SEEN, settings=settings, limits=self._limits)
            fetched = self._refs_under(SEEN.rstrip("/"))
            now = {f"refs/{ref.removeprefix(SEEN)}": oid for ref, oid in fetched.items()}
            lacking = sorted(remote.keys() - now.keys())
            if lacking:
                advice = "a shallow clone cannot be mirrored, register the complete repository"
                message = f"Repository {self.url.public} lists {lacking[0]} but does not give it"
                raise SoftwareError(f"{message}: {advice}.")
            changes = compare_refs(before, now, is_ancestor=self._is_ancestor)
            self._apply(changes)
            self._compact_if_due()
            return FetchReport(now, tuple(changes))

    def fetch_commit(self, commit: str) -> bool:
        """Ask the server for a commit that no branch or tag reaches, and pin it.

        Return whether the mirror has it now.
        """
        with hold_lock(_lock_of(self.folder)):
            if not self.has_commit(commit):
                settings = self._settings()
                oid = checked_oid(commit)
                fetch_commit(self.folder, self.url, oid, settings=settings, limits=self._limits)
        if not self.has_commit(commit):
            return False
        self.pin(commit)
        return True

    def refs(self) -> dict[str, str]:
        """Return branches and tags as last fetched, as object ids by full ref.

        An annotated tag has the id of its tag object.
        """
        return self._refs_under(*KNOWN)

    def refs_named(self, *full_refs: str) -> dict[str, str]:
        """Return those of these branches and tags that exist, as `refs` does.

        The names must be well-formed.
        """
        wanted = [ref for ref in full_refs if ref.startswith(("refs/heads/", "refs/tags/"))]
        if not wanted:
            return {}  # without names, git would list all refs
        present = self._refs_under(*wanted)
        return {ref: present[ref] for ref in wanted if ref in present}

    def pin(self, commit: str) -> None:
        """Keep a commit and everything that it needs, whatever happens on the server.

        Raises:
            SoftwareError: the mirror does not have it, or it is not a commit.
        """
        self._keep(PINS, commit, "commit")

    def pin_tag_object(self, oid: str) -> None:
        """Keep an annotated tag object.

        Raises:
            SoftwareError: the mirror does not have it, or it is not a tag object.
        """
        self._keep(TAG_OBJECTS, oid, "tag")

    def has_commit(self, oid: str) -> bool:
        """Whether the mirror has the commit, reachable or not."""
        command = ["cat-file", "-e", f"{checked_oid(oid)}^{{commit}}"]
        answer = run_git(command, git_dir=self.folder, accept=(0, 1, 128))
        return answer.exit_code == 0

    def commits_between(self, first: str, last: str) -> list[str]:
        """Return the commits from `first` to `last`, including both; none if `first` is no ancestor.

        Raises:
            SoftwareError: git needs more than ten seconds.
        """
        if not self._is_ancestor(first, last):
            return []
        between = ["rev-list", "--ancestry-path", f"{checked_oid(first)}..{checked_oid(last)}"]
        return [first, *run_git(between, git_dir=self.folder, limits=_QUICK).lines]

    @contextmanager
    def objects(self) -> Iterator[RepositoryObjects]:
        """Yield the mirror's objects, for use by one thread."""
        with RepositoryObjects(self.folder) as objects:
            yield objects

    def _compact_if_due(self) -> None:
        """Repack the mirror where git finds that fetches have left many packs or loose objects.

        Objects that no ref or pin reaches are removed after two weeks.
        """
        command = ["gc", "--auto", "--quiet", "--prune=2.weeks.ago"]
        try:
            run_git(command, git_dir=self.folder, settings=_COMPACTING, limits=NETWORK)
        except GitError:
            return  # The fetch is complete, and the next one tries again

    def _settings(self) -> list[str]:
        """Return the settings that make git connect to the address that was checked.

        Otherwise git would look up the name again, and a hostile name server could now answer with
        an address in a private network.
        """
        if self.url.scheme == "file":
            return []
        address = public_address(self.url, trusted_hosts=self._trusted_hosts)
        if self.url.scheme != "https":
            return []  # ssh checks the server's host key, which the operator listed
        if ":" in address:
            address = f"[{address}]"
        return [f"http.curloptResolve={self.url.host}:{self.url.port or 443}:{address}"]

    def _refs_under(self, *prefixes: str) -> dict[str, str]:
        command = ["for-each-ref", "--format=%(objectname) %(refname)", "--", *prefixes]
        refs: dict[str, str] = {}
        for line in run_git(command, git_dir=self.folder).lines:
            oid, ref = line.split(" ", 1)
            refs[ref] = oid
        return refs

    def _is_ancestor(self, old: str, new: str) -> bool:
        arguments = ["merge-base", "--is-ancestor", checked_oid(old), checked_oid(new)]
        return run_git(arguments, git_dir=self.folder, accept=(0, 1, 128)).exit_code == 0

    def _apply(self, changes: list[RefObservation]) -> None:
        """Write the changed refs, after keeping old values that would be lost.

        Refs are deleted first: a branch `a` may have to make room for `a/b`.
        """
        with self.objects() as objects:

            def kind_of(oid: str) -> str:
                kind, _ = objects.read(oid)
                return kind

            keeping = _old_values_to_keep(changes, kind_of)
        first = [f"update {ref} {oid}\n" for ref, oid in keeping.items()]
        second = []
        for change in changes:
            if change.new is None:
                first.append(f"delete {change.ref} {change.old}\n")
            else:
                second.append(f"update {change.ref} {change.new}\n")
        self._update_refs(first)
        self._update_refs(second)
        run_git(["pack-refs", "--all"], git_dir=self.folder)

    def _update_refs(self, lines: list[str]) -> None:
        commands = os.fsencode("".join(lines))
        run_git(["update-ref", "--no-deref", "--stdin"], git_dir=self.folder, stdin=commands)

    def _keep(self, prefix: str, oid: str, kind: str) -> None:
        answer = run_git(["cat-file", "-t", checked_oid(oid)], git_dir=self.folder, accept=(0, 128))
        if answer.lines != [kind]:
            raise GitError(
                f"{oid} is not a {kind} in the mirror of {self.url.public}: it cannot be pinned."
            )
        run_git(["update-ref", "--no-deref", prefix + oid, oid], git_dir=self.folder)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")


def compare_refs(
    before: Mapping[str, str], now: Mapping[str, str], *, is_ancestor: Callable[[str, str], bool]
) -> list[RefObservation]:
    """Return what changed, sorted by ref. `is_ancestor(old, new)` tells growth from a rewrite."""
    changes = []
    for ref in sorted(before.keys() | now.keys()):
        old, new = before.get(ref), now.get(ref)
        if old != new:
            changes.append(_observe(ref, old, new, is_ancestor))
    return changes


def _old_values_to_keep(
    changes: Iterable[RefObservation], kind_of: Callable[[str], str]
) -> dict[str, str]:
    """Return the refs that keep old values which no other ref would reach any more.

    Return the object id by name of the new ref; `kind_of` returns the type of an object.
    """
    lost: set[str] = set()
    for change in changes:
        if change.old is not None and change.change in ("moved", "deleted"):
            lost.add(change.old)
    keeping: dict[str, str] = {}
    for oid in sorted(lost):
        prefix = TAG_OBJECTS if kind_of(oid) == "tag" else PINS
        keeping[f"{prefix}{oid}"] = oid
    return keeping


def _observe(
    ref: str, old: str | None, new: str | None, is_ancestor: Callable[[str, str], bool]
) -> RefObservation:
    if old is None:
        return RefObservation(ref, old, new, "created")
    if new is None:
        return RefObservation(ref, old, new, "deleted")
    has_grown = ref.startswith("refs/heads/") and is_ancestor(old, new)
    return RefObservation(ref, old, new, "advanced" if has_grown else "moved")


@contextmanager
def hold_lock(path: Path) -> Iterator[None]:
    """Hold a lock by an empty file, which is not removed afterwards.

    Raises:
        SoftwareError: somebody else held it for `_WAIT_SECONDS`.
    """
    until = time.monotonic() + _WAIT_SECONDS
    with path.open("ab") as file:
        while not _is_taken(file.fileno()):
            if time.monotonic() > until:
                raise SoftwareError(
                    f"{path} is held by another fetch for {_WAIT_SECONDS:g} seconds: "
                    "try again later."
                )
            time.sleep(_PAUSE_SECONDS)
        yield


def _is_taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
