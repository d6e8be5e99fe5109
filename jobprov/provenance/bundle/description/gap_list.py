"""`GAPS.tsv`: what was weak in the record when the bundle was planned.

The gaps are found again from what the plan is made of: the record, the blobs that may go in, the
resolved code, the capsule. So they are a pure function of the plan's ingredients. What only the
service knows, and what changes, is not among them: why a repository could not be reached, records
of other witnesses, expired logs, proofs and verdicts.
"""

from collections.abc import Iterable
from typing import NamedTuple

from jobprov.provenance.bundle.ingredients import Ingredients, Reader
from jobprov.provenance.bundle.payload.payload import Payload
from jobprov.provenance.errors import RecordError
from jobprov.provenance.records.files.inputs import all_inputs
from jobprov.provenance.records.gaps.codes import GAPS
from jobprov.provenance.records.gaps.findings import Findings
from jobprov.provenance.records.gaps.gaps import NO_REPOSITORY, Gap, find_gaps, level_of
from jobprov.provenance.records.job_record import JobRecord
from jobprov.provenance.records.reading.references import referenced_blobs
from jobprov.provenance.records.reading.repairing import read_typed

COLUMNS = ("code", "stops_level", "message", "how_to_close")
_HIGHEST = 4
_UNRESOLVED = "its commit was not found in a repository that jobprov knew"


class KnownGaps(NamedTuple):
    """What keeps a job from being rerun for sure, as far as its bundle can know.

    Attributes:
        grade: the highest closure level that the gaps leave complete, 0 to 4.
    """

    gaps: list[Gap]
    grade: int


def known_gaps(ingredients: Ingredients, reader: Reader) -> KnownGaps:
    """The gaps of a job; none, and L0, if its record is of a later version than this one."""
    try:
        record, repairs = read_typed(dict(ingredients.record))
    except RecordError:
        return KnownGaps([], 0)
    findings = _findings(ingredients, record, repairs, reader)
    gaps = find_gaps(record, findings)
    return KnownGaps(gaps, level_of(gaps, record, findings))


def add_gaps(payload: Payload, known: KnownGaps) -> None:
    """Write `GAPS.tsv`, those that stop the lowest level first."""
    lines = []
    for gap in known.gaps:
        lines.append((gap.code, stopped_level(gap), gap.message, gap.how_to_close))
    payload.table("GAPS.tsv", COLUMNS, lines)


def stopped_level(gap: Gap) -> str:
    """The closure level that a gap stops, `L1` to `L4`; empty if it stops none."""
    level = GAPS[gap.code].level
    return f"L{level}" if level <= _HIGHEST else ""


def _findings(
    ingredients: Ingredients, record: JobRecord, repairs: tuple[str, ...], reader: Reader
) -> Findings:
    resolved = {resolution.index: resolution for resolution in ingredients.resolutions}
    unresolved: dict[int, str] = {}
    for position, software in enumerate(record.software or ()):
        if position not in resolved:
            is_code = software.repository or software.revision
            unresolved[position] = _UNRESOLVED if is_code else NO_REPOSITORY
    ambiguous: dict[int, str] = {}
    inferred: set[int] = set()
    for position, resolution in resolved.items():
        if resolution.ambiguous:
            ambiguous[position] = resolution.ambiguous
        if resolution.inferred is not None:
            inferred.add(position)
    return Findings(
        missing_blobs=_missing(referenced_blobs(dict(ingredients.record)), reader),
        unresolved=unresolved,
        ambiguous=ambiguous,
        inferred=inferred,
        unheld_inputs=_missing(all_inputs(record), reader),
        repairs=repairs,
        has_capsule=ingredients.capsule is not None,
        unseen=ingredients.unseen,
    )


def _missing(digests: Iterable[str], reader: Reader) -> frozenset[str]:
    return frozenset(digest for digest in digests if not reader.has(digest))
