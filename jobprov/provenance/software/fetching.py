"""Talks to a git server: lists its refs, fetches them aside, asks for one commit.

Refs that the mirror knows are not touched here.

Source: git-ls-remote(1), git-fetch(1).
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.git_command import GitError, Limits, Output, run_git
from jobprov.provenance.software.names import is_sha256_oid
from jobprov.provenance.software.urls import RepositoryUrl

MAX_REFS = 200_000
_NOTHING_BESIDE = (
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-recurse-submodules",
)
_LISTING = Limits(wall_seconds=120.0, file_bytes=64 << 20)


def list_remote(
    mirror: Path, url: RepositoryUrl, *, settings: Sequence[str] = ()
) -> dict[str, str]:
    """Return the server's branches and tags, as object ids by full ref.

    An annotated tag has the id of its tag object.

    Raises:
        SoftwareError: the server does not answer, or its answer cannot be used.
    """
    listing = ["ls-remote", "--refs", "--heads", "--tags", "--", fetch_address(url)]
    answer = _talk(mirror, url, listing, settings=settings, limits=_LISTING)
    refs: dict[str, str] = {}
    for line in answer.lines:
        oid, _, ref = line.partition("\t")
        refs[ref] = oid
    if len(refs) > MAX_REFS:
        raise SoftwareError(
            f"Repository {url.public} has {len(refs)} refs: more than {MAX_REFS} are not mirrored."
        )
    if any(is_sha256_oid(oid) for oid in refs.values()):
        raise SoftwareError(
            f"Repository {url.public} is in git's SHA-256 format, which is not supported yet."
        )
    return refs


def fetch_refs(
    mirror: Path, url: RepositoryUrl, aside: str, *, settings: Sequence[str], limits: Limits
) -> None:
    """Fetch branches and tags, with all their objects, into refs under `aside`.

    Afterwards `aside` mirrors the server exactly. The fetch is not `--atomic`, because git 2.47
    would abort where a pruned `a` makes room for `a/b`. A fetch that is cut off does no harm: the
    refs under `aside` are only used after a complete one.
    """
    refspecs = [f"+refs/{kind}/*:{aside}{kind}/*" for kind in ("heads", "tags")]
    _fetch(mirror, url, ["--prune"], refspecs, settings=settings, limits=limits)


def fetch_commit(
    mirror: Path, url: RepositoryUrl, commit: str, *, settings: Sequence[str], limits: Limits
) -> None:
    """Fetch one commit by its id.

    If the server refuses, nothing is raised: the caller checks whether the commit has come.
    """
    try:
        _fetch(mirror, url, [], [commit], settings=settings, limits=limits)
    except GitError as error:
        if error.exit_code is None:  # a timeout, after which it is worth trying again
            raise


def fetch_address(url: RepositoryUrl) -> str:
    """Return the url for git's command line: a path, or a url without password."""
    return url.path if url.scheme == "file" else url.public


def _fetch(
    mirror: Path,
    url: RepositoryUrl,
    options: list[str],
    refspecs: list[str],
    *,
    settings: Sequence[str],
    limits: Limits,
) -> None:
    command = ["fetch", "--quiet", *_NOTHING_BESIDE, *options, "--", fetch_address(url), *refspecs]
    _talk(mirror, url, command, settings=settings, limits=limits)


def _talk(
    mirror: Path, url: RepositoryUrl, command: list[str], *, settings: Sequence[str], limits: Limits
) -> Output:
    with _trust_in(url) as environment:
        return run_git(
            command,
            git_dir=mirror,
            transports=(url.scheme,),
            settings=settings,
            environment=environment,
            limits=limits,
        )


@contextmanager
def _trust_in(url: RepositoryUrl) -> Iterator[dict[str, str]]:
    """Yield environment variables with which git trusts the local path that an operator registered.

    Git reads that path, whoever owns it, and no other. The setting has to be in a file: git does
    not pass configuration from variables or options on to the process that serves the repository.
    """
    if url.scheme != "file":
        yield {}
        return
    path = url.path.rstrip("/")
    quoted = [_quoted(path + ending) for ending in ("", "/.git", ".git")]
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", errors="surrogateescape") as file:
        file.write("[safe]\n" + "".join(f"\tdirectory = {place}\n" for place in quoted))
        file.flush()
        yield {"GIT_CONFIG_GLOBAL": file.name}


def _quoted(value: str) -> str:
    """A value in the quotes of git-config(1)."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
