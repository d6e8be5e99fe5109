"""Gaps of what the hook knew to be weak: `weaknesses` of the record, and limits that stay behind.

The hook names the kind, which is the code of a gap, and what it is about; the sentence is made
here.

Source: docs/reference/gaps.md, docs/reference/record.md (`weaknesses`).
"""

from collections.abc import Iterator

from jobprov.provenance.records.gap_codes import GAPS
from jobprov.provenance.records.job_record import JobRecord, Weakness

_SENTENCES = {
    "bytes-as-text": "{name} holds bytes that are no UTF-8; a rerun gets {detail} instead.",
    "capture-incomplete": "The hook could not record {name}: {detail}.",
    "changed-while-running": "{name} changed while the job ran; {detail}.",
    "fcl-missing": "{name} ran, but {detail}: not all of its fcl files are here.",
    "software-installed": "{name} is installed software: {detail}.",
    "random-unseeded": "{name} draws numbers that no seed decides: {detail}.",
    "network-used": "The job may need {name}: {detail}.",
    "run-specific": "{name} writes what is other in each run: {detail}.",
    "reads-unseen": "{name}, and {detail}: what this job read is not known in whole.",
    "secret-removed": "Secrets were taken out of {name} ({detail}): a rerun gets something else.",
}
_OTHERWISE = "{name}: {detail}."
_MOST_OF_A_KIND = 20
_FEW_PROCESSES = 1024  # systems set more by themselves; whoever sets less means it


def weakness_gaps(record: JobRecord) -> Iterator[tuple[str, str]]:
    """Yield (code, sentence) of each gap."""
    if record.weaknesses:
        yield from _told(record.weaknesses)
    if record.command is not None and record.command.stdin == "terminal":
        yield "terminal-used", "The job was started at a terminal; what it read there is not kept."
    yield from _limit_gaps(record)


def unknown_kinds(record: JobRecord) -> Iterator[tuple[str, str]]:
    """Yield (path, kind) of the weaknesses that this version has no gap for."""
    for place, weakness in enumerate(record.weaknesses or ()):
        if weakness.kind not in GAPS:
            yield f"weaknesses[{place}].kind", weakness.kind


def _told(weaknesses: list[Weakness]) -> Iterator[tuple[str, str]]:
    by_kind: dict[str, list[Weakness]] = {}
    for weakness in weaknesses:
        if weakness.kind in GAPS:
            by_kind.setdefault(weakness.kind, []).append(weakness)
    for kind, alike in by_kind.items():
        for weakness in alike[:_MOST_OF_A_KIND]:
            yield kind, _say(weakness)
        if len(alike) > _MOST_OF_A_KIND:
            yield kind, f"The same holds for {len(alike) - _MOST_OF_A_KIND} more."


def _say(weakness: Weakness) -> str:
    template = _SENTENCES.get(weakness.kind, _OTHERWISE)
    name, detail = weakness.name or "the job", weakness.detail or "the hook does not say how"
    sentence = template.format(name=name, detail=detail)
    return sentence[:1].upper() + sentence[1:]


def _limit_gaps(record: JobRecord) -> Iterator[tuple[str, str]]:
    """Yield which limits of the job no shell can set in the same way everywhere.

    run.sh sets the others again.
    """
    limits = record.environment.limits if record.environment else None
    if not limits:
        return
    if isinstance(limits.get("file_size_bytes"), int):
        size = limits["file_size_bytes"]
        yield "limit-not-restored", f"The job could write no file of more than {size} bytes."
    processes = limits.get("processes")
    if isinstance(processes, int) and processes < _FEW_PROCESSES:
        yield "limit-not-restored", f"The user of the job could have {processes} processes at most."
