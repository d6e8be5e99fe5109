"""What a bundle is made of: everything `make_plan` may look at, handed in by the caller.

Deliberately no database, archive or git here: the caller reads those, so that a plan is a pure function of its ingredients.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Protocol

SMALL_BYTES = 16 * 1024 * 1024
SYMLINK = 0o120000
GITLINK = 0o160000


class Reader(Protocol):
    """Bytes by digest, of those blobs that the job's experiment possesses."""

    def get(self, sha256: str) -> bytes:
        """All bytes of a blob."""
        ...

    def open(self, sha256: str) -> BinaryIO:
        """A blob as a readable binary file, closed by the caller."""
        ...

    def size(self, sha256: str) -> int:
        """Bytes of a blob, uncompressed."""
        ...

    def has(self, sha256: str) -> bool:
        """Whether the blob is possessed."""
        ...


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """What the service found out about one entry of the record's `software`.

    Attributes:
        index: which entry of `software` this concerns.
        pack_sha256: blob of the canonical pack, None where there is none.
        shallow: commit ids whose parents the pack lacks; `[commit]` where left out.
        is_worktree: the source files are those of the working tree that ran, uncommitted changes included.
    """

    index: int
    name: str
    url: str = ""
    requested_ref: str = ""
    ref_kind: str = ""
    tag_object: str | None = None
    commit: str = ""
    tree: str = ""
    describe: str = ""
    committed_at: str = ""
    pack_sha256: str | None = None
    shallow: Sequence[str] = ()
    is_worktree: bool = False


SourceFile = tuple[str, int, bytes | str]
"""(path in the repository, git mode, bytes); for a symbolic link (mode 120000) the bytes are its target."""


def no_source(_resolution: Resolution) -> Iterator[SourceFile]:
    """No files: what is used where the caller has no packs."""
    return iter(())


@dataclass(frozen=True, kw_only=True)
class Ingredients:
    """One job, as a bundle sees it.

    Attributes:
        record_bytes: the record exactly as it was sent; becomes JOB.json.
        record: the same, decoded.
        revision: number of the record's revision, 0 for the first.
        received_at: when the service got it, aware; the bundle's date only where the record has neither end nor start.
        source_files: yields the files of a resolution's tree; nothing where it has no pack.
        expanded: fcl with its includes in, by position in `configurations`.
        evaluated: evaluated fcl, likewise.
    """

    record_bytes: bytes
    record: Mapping[str, Any]
    received_at: datetime
    revision: int = 0
    resolutions: Sequence[Resolution] = ()
    source_files: Callable[[Resolution], Iterator[SourceFile]] = no_source
    expanded: Mapping[int, bytes] = field(default_factory=dict)
    evaluated: Mapping[int, bytes] = field(default_factory=dict)
