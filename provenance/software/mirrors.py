"""The service's own copy of one registered repository, which forgets nothing that a job used.

A mirror is a bare folder. A fetch first brings the server's refs aside (`refs/prov/seen/`),
compares them with the known ones, keeps every old value that would be lost under `refs/prov/pins/`
or `refs/prov/tagobj/`, and only then moves the refs: a moved tag or a deleted branch takes nothing
away and is reported. Nothing is ever checked out.

A mirror is a cache all the same: what a bundle needs is stored as a canonical pack.
"""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.fetching import fetch_commit, fetch_refs, list_remote
from jobprov.provenance.software.folder_lock import hold_lock
from jobprov.provenance.software.git_command import NETWORK, GitError, Limits, run_git
from jobprov.provenance.software.names import checked_oid
from jobprov.provenance.software.objects import RepositoryObjects
from jobprov.provenance.software.ref_changes import RefObservation, compare_refs, old_values_to_keep
from jobprov.provenance.software.urls import RepositoryUrl, parse_url, public_address

PINS = "refs/prov/pins/"
TAG_OBJECTS = "refs/prov/tagobj/"
SEEN = "refs/prov/seen/"
KNOWN = ("refs/heads", "refs/tags")
_QUICK = Limits(wall_seconds=10)


@dataclass(frozen=True)
class FetchReport:
    """What a fetch found: the server's branches and tags now, and how they differ from what was known."""

    refs: dict[str, str]
    changes: tuple[RefObservation, ...]

    @property
    def moved_tags(self) -> list[RefObservation]:
        """The tags that now name something else or are gone.

        Jobs that used them need to be marked.
        """
        return [
            seen
            for seen in self.changes
            if seen.ref.startswith("refs/tags/") and seen.change in ("moved", "deleted")
        ]


class Mirror:
    """One registered repository, mirrored in a bare folder.

    Instances hold no state and may be made for each use.
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
        """Return the mirror of `url` in `folder`, made empty where there is none.

        Nothing is fetched.

        Args:
            folder: the mirror's own; its parent is made.
            url: as an operator registered it.
            is_local: the operator registered a path on this machine; without this only https and
                ssh are taken.
            trusted_hosts: hosts that may have private addresses.
            limits: of one fetch.

        Raises:
            SoftwareError: the url is none, or is of a kind that may not be fetched.
        """
        read = parse_url(url)
        allowed = {"file"} if is_local else {"https", "ssh"}
        if read.scheme not in allowed:
            raise SoftwareError(
                f"Repository {read.public} is not fetched by {read.scheme}: register it by https or ssh, "
                "or as a local path."
            )
        folder = folder.resolve()
        folder.parent.mkdir(parents=True, exist_ok=True)
        with hold_lock(_lock_of(folder)):
            if not (folder / "HEAD").exists():
                run_git(
                    [
                        "init",
                        "--quiet",
                        "--bare",
                        "--template=",
                        "--initial-branch=main",
                        "--",
                        str(folder),
                    ]
                )
        return cls(folder, read, trusted_hosts=trusted_hosts, limits=limits)

    def fetch(self) -> FetchReport:
        """Bring the mirror up to date, and return what changed.

        One fetch at a time for each mirror.

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
            now = {
                "refs/" + ref.removeprefix(SEEN): oid
                for ref, oid in self._refs_under(SEEN.rstrip("/")).items()
            }
            if lacking := sorted(remote.keys() - now.keys()):
                raise SoftwareError(
                    f"Repository {self.url.public} lists {lacking[0]} but does not give it: a shallow clone cannot be "
                    "mirrored, register the complete repository."
                )
            changes = compare_refs(before, now, is_ancestor=self._is_ancestor)
            self._apply(changes)
            return FetchReport(now, tuple(changes))

    def fetch_commit(self, commit: str) -> bool:
        """Ask the server for one commit that no branch or tag reaches and pin it.

        Return whether it is here now.
        """
        with hold_lock(_lock_of(self.folder)):
            if not self.has_commit(commit):
                fetch_commit(
                    self.folder,
                    self.url,
                    checked_oid(commit),
                    settings=self._settings(),
                    limits=self._limits,
                )
        if not self.has_commit(commit):
            return False
        self.pin(commit)
        return True

    def refs(self) -> dict[str, str]:
        """Return branches and tags as last fetched: object id by full ref.

        A tag object's own id for annotated tags.
        """
        return self._refs_under(*KNOWN)

    def refs_named(self, *full_refs: str) -> dict[str, str]:
        """Return those of the given branches and tags (well-formed names) that there are, as `refs` does."""
        known = [ref for ref in full_refs if ref.startswith(("refs/heads/", "refs/tags/"))]
        found = self._refs_under(*known) if known else {}
        return {ref: found[ref] for ref in known if ref in found}

    def pins(self) -> list[str]:
        """Return the ids of the commits that are kept for ever."""
        return [ref.removeprefix(PINS) for ref in self._refs_under(PINS.rstrip("/"))]

    def pin(self, commit: str) -> None:
        """Keep a commit and all it needs, whatever happens upstream.

        Raises:
            SoftwareError: it is not here, or no commit.
        """
        self._keep(PINS, commit, "commit")

    def pin_tag_object(self, oid: str) -> None:
        """Keep an annotated tag object.

        Raises:
            SoftwareError: it is not here, or no tag object.
        """
        self._keep(TAG_OBJECTS, oid, "tag")

    def has_commit(self, oid: str) -> bool:
        """Whether the commit is here, reachable or not."""
        answer = run_git(
            ["cat-file", "-e", f"{checked_oid(oid)}^{{commit}}"],
            git_dir=self.folder,
            accept=(0, 1, 128),
        )
        return answer.exit_code == 0

    def commits_between(self, first: str, last: str) -> list[str]:
        """Return the commits that come after `first` and lead to `last`, both included.

        None where `first` is no ancestor.

        Raises:
            SoftwareError: it takes git more than ten seconds.
        """
        if not self._is_ancestor(first, last):
            return []
        between = ["rev-list", "--ancestry-path", f"{checked_oid(first)}..{checked_oid(last)}"]
        return [first, *run_git(between, git_dir=self.folder, limits=_QUICK).lines]

    @contextmanager
    def objects(self) -> Iterator[RepositoryObjects]:
        """Give the mirror's objects, for one thread."""
        with RepositoryObjects(self.folder) as objects:
            yield objects

    def compact(self) -> None:
        """Repack the mirror; objects that neither a ref nor a pin reaches go after two weeks."""
        with hold_lock(_lock_of(self.folder)):
            run_git(["gc", "--quiet", "--prune=2.weeks.ago"], git_dir=self.folder, limits=NETWORK)

    def _settings(self) -> list[str]:
        """Pin the looked-up address, so that a second look-up cannot lead git into a private network."""
        if self.url.scheme == "file":
            return []
        address = public_address(self.url, trusted_hosts=self._trusted_hosts)
        if self.url.scheme != "https":
            return []
        shown = f"[{address}]" if ":" in address else address
        return [f"http.curloptResolve={self.url.host}:{self.url.port or 443}:{shown}"]

    def _refs_under(self, *prefixes: str) -> dict[str, str]:
        answer = run_git(
            ["for-each-ref", "--format=%(objectname) %(refname)", "--", *prefixes],
            git_dir=self.folder,
        )
        pairs = (line.split(" ", 1) for line in answer.lines)
        return {ref: oid for oid, ref in pairs}

    def _is_ancestor(self, old: str, new: str) -> bool:
        arguments = ["merge-base", "--is-ancestor", checked_oid(old), checked_oid(new)]
        return run_git(arguments, git_dir=self.folder, accept=(0, 1, 128)).exit_code == 0

    def _apply(self, changes: list[RefObservation]) -> None:
        """Keep old values and drop refs first: a branch `a` may have to make room for `a/b`."""
        with self.objects() as objects:
            kept = old_values_to_keep(
                changes, kind_of=lambda oid: objects.read(oid)[0], pins=PINS, tags=TAG_OBJECTS
            )
        dropped = [f"delete {seen.ref} {seen.old}\n" for seen in changes if seen.new is None]
        self._update_refs([f"update {ref} {oid}\n" for ref, oid in kept.items()] + dropped)
        self._update_refs(
            [f"update {seen.ref} {seen.new}\n" for seen in changes if seen.new is not None]
        )
        run_git(["pack-refs", "--all"], git_dir=self.folder)

    def _update_refs(self, lines: list[str]) -> None:
        run_git(
            ["update-ref", "--no-deref", "--stdin"],
            git_dir=self.folder,
            stdin=os.fsencode("".join(lines)),
        )

    def _keep(self, prefix: str, oid: str, kind: str) -> None:
        answer = run_git(["cat-file", "-t", checked_oid(oid)], git_dir=self.folder, accept=(0, 128))
        if answer.lines != [kind]:
            raise GitError(
                f"{oid} is not a {kind} in the mirror of {self.url.public}: it cannot be pinned."
            )
        run_git(["update-ref", "--no-deref", prefix + oid, oid], git_dir=self.folder)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")
