"""Reads the objects of a repository on this machine.

`RepositoryObjects` looks up single objects with GitPython, which keeps one `git cat-file` running.
Many objects are streamed through `git_command`, some ten times faster and without a whole object in
memory. Both read only objects: no working tree, no client's configuration, no replacement objects.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol, Self

from jobprov.provenance.errors import SoftwareError
from jobprov.provenance.software.git_command import GitError, open_git, run_git, scratch_environment
from jobprov.provenance.software.names import checked_oid
from jobprov.provenance.software.object_form import CommitFields, TreeEntry, parse_commit, walk_tree

CHUNK_BYTES = 1 << 16


class MissingObjectError(SoftwareError):
    """A repository lacks some of the objects that are needed.

    Attributes:
        missing: (object id, path or role) of each.
    """

    def __init__(self, missing: Iterable[tuple[str, str]], where: str) -> None:
        self.missing = list(missing)
        oid, path = self.missing[0]
        more = f" and {len(self.missing) - 1} more" if len(self.missing) > 1 else ""
        super().__init__(
            f"Repository {where} lacks object {oid} ({path}){more}: "
            "a partial or shallow clone cannot be kept; "
            "fetch from a complete one."
        )


@dataclass(frozen=True)
class ObjectHeader:
    """Type (commit, tree, blob, tag) and size of an existing object."""

    oid: str
    kind: str
    size_bytes: int


class Objects(Protocol):
    """A reader of objects. All ids are full SHA-1 ids."""

    @property
    def where(self) -> str:
        """The repository, as errors name it."""

    def read(self, oid: str, path: str = "") -> tuple[str, bytes]:
        """Return type and content of one object. If it is missing, the error names `path`."""

    def headers(self, oids: Iterable[str]) -> list[ObjectHeader | None]:
        """Return type and size of each object in order, None where it is missing."""

    def stream(self, oids: Iterable[str]) -> Iterator[tuple[ObjectHeader, Iterator[bytes]]]:
        """Yield each object in order with its content in chunks, to be read before the next one."""


class RepositoryObjects:
    """The objects of one repository folder; use it as a context, from one thread.

    Args:
        git_dir: a bare repository, or the `.git` of another.
    """

    def __init__(self, git_dir: Path) -> None:
        # Its import runs git, and most processes read no repository
        import git  # noqa: PLC0415
        from git.db import GitCmdObjectDB  # noqa: PLC0415

        self._git_dir = git_dir.resolve()
        try:
            self._repository = git.Repo(self._git_dir, odbt=GitCmdObjectDB, expand_vars=False)
        except (git.InvalidGitRepositoryError, git.NoSuchPathError) as error:
            raise SoftwareError(f"{git_dir} is not a git repository.") from error
        self._repository.git.update_environment(**scratch_environment(), GIT_DIR=str(self._git_dir))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    @property
    def where(self) -> str:
        """The repository's folder."""
        return str(self._git_dir)

    def close(self) -> None:
        """End the git process that serves look-ups."""
        self._repository.close()

    def read(self, oid: str, path: str = "") -> tuple[str, bytes]:
        """Return type and content of one object, whole in memory.

        Raises:
            MissingObjectError: the repository lacks it.
        """
        try:
            stream = self._repository.odb.stream(bytes.fromhex(checked_oid(oid)))
        except ValueError as error:
            raise MissingObjectError(
                [(oid, path or "asked for by id")], str(self._git_dir)
            ) from error
        kind = stream.type.decode() if isinstance(stream.type, bytes) else str(stream.type)
        return kind, stream.read()

    def commit(self, oid: str) -> CommitFields:
        """Return the fields of a commit.

        Raises:
            SoftwareError: the object is missing, or is not a commit.
        """
        return parse_commit(self._read_kind(oid, "commit"))

    def walk(self, tree: str) -> Iterator[TreeEntry]:
        """Yield every entry below a tree, folders before what is in them."""
        return walk_tree(
            lambda oid, path: self._read_kind(oid, "tree", path or "the root tree"), tree
        )

    def headers(self, oids: Iterable[str]) -> list[ObjectHeader | None]:
        """Return type and size of each object in order, None where it is missing."""
        lines_of_ids = "".join(f"{checked_oid(oid)}\n" for oid in oids).encode()
        answer = run_git(
            ["cat-file", "--batch-check", "--buffer"],
            git_dir=self._git_dir,
            stdin=lines_of_ids,
        )
        return [_header(line) for line in answer.lines]

    def stream(self, oids: Iterable[str]) -> Iterator[tuple[ObjectHeader, Iterator[bytes]]]:
        """Yield each object in order with its content in chunks of at most 64 KiB.

        Raises:
            MissingObjectError: the repository lacks one.
        """
        # The ids are in a file, not in a pipe, so that git never waits for us to write
        with tempfile.TemporaryFile() as ids_file:
            ids_file.writelines(f"{checked_oid(oid)}\n".encode() for oid in oids)
            ids_file.seek(0)
            with open_git(
                ["cat-file", "--batch", "--buffer"], git_dir=self._git_dir, stdin=ids_file
            ) as pipe:
                yield from _objects_in(pipe, str(self._git_dir))

    def _read_kind(self, oid: str, kind: str, path: str = "") -> bytes:
        actual_kind, content = self.read(oid, path)
        if actual_kind != kind:
            raise SoftwareError(
                f"Object {oid} in {self._git_dir} is a {actual_kind} where a {kind} was expected."
            )
        return content


def _objects_in(pipe: IO[bytes], where: str) -> Iterator[tuple[ObjectHeader, Iterator[bytes]]]:
    while line := pipe.readline():
        header = _header(line.decode("ascii", "replace").rstrip("\n"))
        if header is None:
            raise MissingObjectError(
                [(line.split()[0].decode("ascii", "replace"), "asked for by id")], where
            )
        chunks = _chunks(pipe.read, header)
        yield header, chunks
        for _rest in chunks:  # skip what the caller did not read
            pass
        pipe.read(1)  # the line feed after each object


def _chunks(read: Callable[[int], bytes], header: ObjectHeader) -> Iterator[bytes]:
    left = header.size_bytes
    while left:
        chunk = read(min(left, CHUNK_BYTES))
        if not chunk:
            raise GitError(
                f"git cat-file ended within object {header.oid}: the repository may be damaged."
            )
        left -= len(chunk)
        yield chunk


def _header(line: str) -> ObjectHeader | None:
    parts = line.split(" ")
    return ObjectHeader(parts[0], parts[1], int(parts[2])) if len(parts) == 3 else None  # noqa: PLR2004
