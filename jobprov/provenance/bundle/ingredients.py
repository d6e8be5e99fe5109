"""The ingredients of a bundle: everything that `make_plan` may look at.

There is deliberately no database, archive or git here. The caller reads these, so that a plan is a
pure function of its ingredients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import BinaryIO, Protocol

from jobprov.provenance.bundle.comparison.comparators import OutputRule
from jobprov.provenance.records.gaps.findings import UnseenReads
from jobprov.provenance.records.job_record import JsonObject

SMALL_BYTES = 16 * 1024 * 1024
SYMLINK = 0o120000
GITLINK = 0o160000


class Reader(Protocol):
    """Bytes by digest, of the blobs that the job's experiment possesses."""

    def get(self, sha256: str) -> bytes:
        """All bytes of a blob, compared with its digest."""
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
    """The resolved commit of an entry of the record's `software`, or of a submodule of it.

    Attributes:
        index: place of the entry in `software`.
        path: of a submodule, in the tree around it.
        pack_sha256: blob of the canonical pack; None if there is none.
        shallow: commit ids whose parents the pack lacks; `[commit]` by default.
        worktree_tree: tree of the working tree that ran, with uncommitted changes; None if the pack
            does not hold it.
        submodules: those that were resolved.
        ambiguous: why the ref may have meant another commit when the job ran; empty if it cannot.
        inferred: how the commit was inferred from the version of an installed product, by
            `product` and `template`; None if it is what ran.
    """

    index: int = 0
    name: str
    path: str = ""
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
    worktree_tree: str | None = None
    submodules: Sequence["Resolution"] = ()
    ambiguous: str = ""
    inferred: Mapping[str, object] | None = None

    @property
    def pack(self) -> str:
        """The blob of the canonical pack; empty if there is none."""
        return self.pack_sha256 or ""

    @property
    def ran(self) -> str:
        """The tree that ran, or the commit."""
        return self.worktree_tree or self.commit


@dataclass(frozen=True, kw_only=True)
class Capsule:
    """The environment that a job ran in, kept as a file beside its bundles.

    Attributes:
        kind: `image` (a container image in one file) or `files` (a tar of the files that jobs
            touched).
    """

    kind: str
    name: str
    sha256: str
    size: int


@dataclass(frozen=True, kw_only=True)
class KnownFile:
    """What only catalogs know of an input or output.

    Attributes:
        namespace, name: the full name of a file that the record names without a namespace; else
            empty.
        places: addresses of copies of an input that the experiment did not upload, best first.
    """

    namespace: str = ""
    name: str = ""
    places: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class RanSet:
    """The parameter set that art ran, computed: as text, and its ParameterSetID."""

    text: bytes
    identity: str


@dataclass(frozen=True, kw_only=True)
class Ingredients:
    """One job, as a bundle sees it.

    Attributes:
        record_bytes: the record exactly as it was sent; becomes JOB.json.
        record: the same, decoded.
        revision: number of the record's revision, 0 for the first.
        received_at: when the service received it, aware. It is the bundle's date if the record has
            neither start nor end.
        expanded: fcl with its includes, by position in `configurations`.
        evaluated: evaluated fcl, by position in `configurations`.
        ran: the sets that ran, by position in `configurations`, where no program wrote them.
        capsule: the environment, if the archive holds it.
        schema: the JSON schema of records; becomes JOB.schema.json.
        rules: how the experiment's outputs are compared.
        unseen: of a job that waited for the trace of its kind, what that showed; None if it has not
            come.
        known_inputs, known_outputs: what catalogs know of files, by position in the record's list.
    """

    record_bytes: bytes
    record: JsonObject
    received_at: datetime
    revision: int = 0
    resolutions: Sequence[Resolution] = ()
    capsule: Capsule | None = None
    schema: bytes = b""
    expanded: Mapping[int, bytes] = field(default_factory=dict)
    evaluated: Mapping[int, bytes] = field(default_factory=dict)
    ran: Mapping[int, RanSet] = field(default_factory=dict)
    rules: Sequence[OutputRule] = ()
    unseen: UnseenReads | None = None
    known_inputs: Mapping[int, KnownFile] = field(default_factory=dict)
    known_outputs: Mapping[int, KnownFile] = field(default_factory=dict)
