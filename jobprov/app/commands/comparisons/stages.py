"""Two campaigns or releases as `jobprov diff` prints them: stage by stage, only what differs."""

from collections.abc import Iterator

from jobprov.provenance.answers.comparisons.stages import (
    ComparedProduction,
    ComparedStage,
    CountedValue,
    ProductionComparison,
    StageDifference,
    StageFacet,
)
from jobprov.provenance.lineage.words import counted, shown
from jobprov.provenance.services.comparisons.sentences import readable

_MOST_ROWS = 40
_MOST_VALUES = 4
_WIDTH = 90


def productions_text(comparison: ProductionComparison) -> str:
    """Return the comparison as text: the sentence, then the stages that differ."""
    lines = [comparison.first_line, ""]
    lines += [_production("a", comparison.a), _production("b", comparison.b)]
    if not comparison.is_whole:
        lines.append("Too many kinds of jobs: the most frequent were compared.")
    same = []
    for stage in comparison.stages:
        stage_lines = list(_stage(stage))
        if stage_lines:
            job_counts = f"{counted(stage.a_jobs, 'job')} and {counted(stage.b_jobs, 'job')}"
            lines += ["", f"Stage {_name(stage)}: {job_counts}", *stage_lines]
        else:
            same.append(_name(stage))
    if same:
        lines += ["", f"Same: {', '.join(same)}."]
    return "\n".join(lines)


def _production(letter: str, production: ComparedProduction) -> str:
    return f"{letter}  {shown(production.name)}  {counted(production.job_count, 'job')}"


def _name(stage: ComparedStage) -> str:
    return shown(stage.stage) if stage.stage else "not named"


def _stage(stage: ComparedStage) -> Iterator[str]:
    if not stage.facets:
        yield f"  only in {'a' if stage.a_jobs else 'b'}"
    for facet in stage.facets:
        yield from _facet(facet)


def _facet(facet: StageFacet) -> Iterator[str]:
    if not facet.count and not facet.problems:
        return
    yield f"  {facet.title}: {counted(facet.count, 'difference')}"
    yield from (f"    ! {shown(problem)}" for problem in facet.problems)
    yield from (f"    {shown(note)}" for note in facet.notes)
    for row in facet.differences[:_MOST_ROWS]:
        yield from _row(row)
    if facet.count > _MOST_ROWS:
        first = len(facet.differences)
        yield f"    ... and {facet.count - _MOST_ROWS:,} more; --json has the first {first:,}."


def _row(row: StageDifference) -> Iterator[str]:
    part = f"  [{shown(row.part)}]" if row.part else ""
    yield f"    ~ {shown(row.key)}{part}"
    yield f"        a  {_values(row.a, row.a_omitted)}"
    yield f"        b  {_values(row.b, row.b_omitted)}"


def _values(values: list[CountedValue], omitted: int) -> str:
    """Return the most frequent values, each with how many jobs have it."""
    words = []
    for value in values[:_MOST_VALUES]:
        text = "without" if value.value is None else readable(value.value)
        cut = text if len(text) <= _WIDTH else f"{text[: _WIDTH - 1]}…"
        words.append(f"{shown(cut)} ({counted(value.job_count, 'job')})")
    more = len(values) + omitted - len(words)
    if more:
        words.append(f"{more:,} more")
    return ", ".join(words) or "no job has it"
