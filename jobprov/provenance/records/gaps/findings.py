"""What only the service knows about a record, for its gaps and grade."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from datetime import datetime

import msgspec

from jobprov.provenance.records.files.inputs import small_inputs
from jobprov.provenance.records.job_record import JobRecord


class UnseenReads(msgspec.Struct, frozen=True):
    """What the traced job of a kind used, and an untraced one of it does not name.

    Attributes:
        paths: of files and code.
        hosts: `address:port` of what it connected to.
        settings: what it looked for in vain, and the untraced one has, or may have, in its home.
        left_out: how many more files that was, or looked for in vain, than its record names.
    """

    paths: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    left_out: int = 0


class Findings(msgspec.Struct, frozen=True):
    """What only the service knows about a record.

    Attributes:
        missing_blobs: digests that the record refers to and the experiment does not possess.
        unresolved: why an entry of `software` has no commit in a mirror, by position; resolved ones
            are absent.
        unreferenced: positions of entries of `software` whose commit no branch or tag led to when
            it was resolved.
        submodules: positions of entries of `software` whose tree has submodules that are not held.
        ambiguous: sentences about entries of `software` whose branch or tag may have meant
            another commit, by position.
        inferred: positions of installed products in `software` whose source was inferred from their
            version.
        unheld_inputs: sha256 of inputs that the experiment does not possess: small ones, and all if
            a capsule is held.
        repairs: field paths of values out of range.
        contradictions: fields for which witnesses have different values.
        unevaluated: why an entry of `configurations` cannot be evaluated, by position.
        too_large: positions of those that a limit of the fcl reader stopped.
        differing: how an entry of `configurations` as run contradicts it as parsed, by position.
        pending: digests of the configurations that can be evaluated now and were not yet.
        has_capsule: an environment capsule that serves the job is held.
        expired: digests of logs that expired, so that only their beginning and end are kept.
        erased: digests that the record refers to and an operator erased on purpose; they are
            neither missing nor unheld.
        arrived_at: when the first record of the job came; None where nobody asks for that.
        unseen: of a job that waits for the trace of its kind (`trace.waits_for`), what that shows;
            None while it has not come.
    """

    missing_blobs: AbstractSet[str] = frozenset()
    unresolved: Mapping[int, str] = msgspec.field(default_factory=dict)
    unreferenced: AbstractSet[int] = frozenset()
    submodules: AbstractSet[int] = frozenset()
    ambiguous: Mapping[int, str] = msgspec.field(default_factory=dict)
    inferred: AbstractSet[int] = frozenset()
    unheld_inputs: AbstractSet[str] = frozenset()
    repairs: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()
    unevaluated: Mapping[int, str] = msgspec.field(default_factory=dict)
    too_large: AbstractSet[int] = frozenset()
    differing: Mapping[int, str] = msgspec.field(default_factory=dict)
    pending: tuple[str, ...] = ()
    has_capsule: bool = False
    expired: AbstractSet[str] = frozenset()
    erased: AbstractSet[str] = frozenset()
    unseen: UnseenReads | None = None
    arrived_at: datetime | None = None

    @property
    def awaited(self) -> AbstractSet[str]:
        """Digests of the blobs that would change grade or gaps when they come."""
        return self.missing_blobs | self.unheld_inputs | self.expired

    def holds_blob(self, digest: str | None) -> bool:
        """Return whether a blob that the record should name is named and possessed."""
        return bool(digest) and digest not in self.missing_blobs


def blobs_to_send(record: JobRecord, findings: Findings) -> list[str]:
    """Return the digests of the blobs that somebody should still send.

    They are those that the record refers to, and its small inputs. Large inputs stay where they
    are, though a job whose environment is held would gain by them.
    """
    wanted = findings.missing_blobs
    if findings.unheld_inputs:
        wanted |= findings.unheld_inputs & small_inputs(record)
    return sorted(wanted)
