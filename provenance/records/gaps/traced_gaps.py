"""Gaps of what a trace saw and nobody keeps: files, hosts, variables.

Source: docs/reference/gaps.md, docs/reference/record.md (`trace`, `environment.withheld_read`).
"""

from collections.abc import Iterator, Sequence

from jobprov.provenance.records.gaps.findings import UnseenReads
from jobprov.provenance.records.job_record import JobRecord, JobTrace, NotKept

_SHOWN = 5
_NEVER_IN_CAPSULES = frozenset({"private", "unreadable"})
"""Why a file was not kept that no capsule of the release has, either."""


def traced_gaps(
    record: JobRecord, unseen: UnseenReads | None, *, has_capsule: bool
) -> Iterator[tuple[str, str]]:
    """Yield (code, sentence) of each gap."""
    withheld = record.environment.withheld_read if record.environment else None
    if withheld:
        names = _named(withheld, len(withheld))
        yield "withheld-variable-read", f"What ran names variables that are withheld: {names}."
    trace = record.trace
    if trace is None:
        return
    yield from _not_kept(trace, has_capsule=has_capsule)
    if trace.why_incomplete and not has_capsule:
        yield (
            "touched-not-kept",
            f"The job may have used more than the trace shows: {trace.why_incomplete}.",
        )
    if trace.changed:
        names = _named(trace.changed, len(trace.changed))
        yield (
            "changed-while-running",
            f"Read, and changed or removed before the job ended: {names}.",
        )
    if trace.network:
        yield "network-used", f"The job talked to {_named(trace.network, len(trace.network))}."
    if trace.waits_for:
        yield from _unseen(unseen)


def _not_kept(trace: JobTrace, *, has_capsule: bool) -> Iterator[tuple[str, str]]:
    not_kept: Sequence[NotKept] = trace.not_kept or ()
    count = trace.not_kept_count or len(not_kept)
    if has_capsule:  # made of what such jobs touch
        not_kept = [file for file in not_kept if file.reason in _NEVER_IN_CAPSULES]
        count = len(not_kept)
    if not_kept:
        files = [f"{file.path} ({file.reason})" if file.reason else file.path for file in not_kept]
        yield "touched-not-kept", f"The job used what is not kept: {_named(files, count)}."


def _unseen(unseen: UnseenReads | None) -> Iterator[tuple[str, str]]:
    """Yield what is not known of a job that ended before the traced one of its kind."""
    if unseen is None:
        unknown = "what this job read is not known in whole"
        yield "reads-unseen", f"No record of a traced job of this kind has come: {unknown}."
        return
    if unseen.paths:
        names = _named(unseen.paths, len(unseen.paths))
        yield (
            "reads-unseen",
            f"The traced job of this kind used {names}, and whether this one did is not known.",
        )
    if unseen.hosts:
        names = _named(unseen.hosts, len(unseen.hosts))
        yield "network-used", f"The traced job of this kind talked to {names}."


def _named(names: Sequence[str], count: int) -> str:
    shown = ", ".join(names[:_SHOWN])
    return shown if count <= _SHOWN else f"{shown} and {count - _SHOWN} more"
