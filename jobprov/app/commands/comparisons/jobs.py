"""`jobprov diff`: what is not the same in two jobs, for a reader who has little time.

Of two campaigns or releases: what is not the same in each stage.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

import click

from jobprov.app.commands.comparisons.stages import productions_text
from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import emit, experiment_option
from jobprov.provenance.answers.comparisons.jobs import (
    ComparedJob,
    Difference,
    Facet,
    JobComparison,
    Place,
)
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, shown
from jobprov.provenance.services.comparisons.sentences import narrowed, readable

_MOST_ROWS = 40
_MOST_LINES = 30
_WIDTH = 100
_JOB = re.compile(r"[0-9a-fA-F-]{8,36}|\d[\d._]*|.*@.*")
_RELEASE = re.compile(r".+=.*|v\d+[._]\d[\w.]*")
_MARKS = {"changed": "~", "added": "+", "removed": "-", "renamed": ">"}


@click.command()
@click.argument("before", metavar="A")
@click.argument("after", metavar="B")
@click.option(
    "--facet",
    "facets",
    multiple=True,
    help="Only this side: configuration, code, environment ... May be repeated.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Also what differs in any two runs: environment, host, times.",
)
@click.option(
    "--campaigns",
    "by",
    flag_value="campaign",
    help="A and B are campaigns, compared stage by stage; so are names that are no job ids.",
)
@click.option(
    "--releases",
    "by",
    flag_value="release",
    help=(
        "A and B are releases: a ref, a commit, a version such as v09_88_00, or "
        "NAME=VERSION:QUALIFIERS of a product."
    ),
)
@experiment_option
@asks_service
def diff(
    *,
    before: str,
    after: str,
    facets: tuple[str, ...],
    everything: bool,
    by: str | None,
    experiment: str | None,
    client: Client,
    as_json: bool,
) -> None:
    """Compare the jobs A and B (job ids or batch ids), or two campaigns or releases.

    Exit code 1 where what decides the outcome, or the outcome, differs.
    """
    by = by or kind_of(before, after)
    if by is not None:
        if facets or everything:
            raise click.UsageError("--facet and --all are for two jobs.")
        productions = client.diff_productions(by, before, after, experiment=experiment)
        emit(productions, productions_text(productions), as_json=as_json)
        sys.exit(0 if productions.is_same else 1)
    comparison = client.diff(before, after, experiment=experiment)
    names = [facet.name for facet in comparison.facets]
    if unknown := [name for name in facets if name not in names]:
        raise click.UsageError(f"No facet {unknown[0]}; there are: {', '.join(names)}.")
    text = comparison_text(comparison, facets, everything=everything)
    emit(comparison, text, as_json=as_json)
    if not comparison.is_same:
        sys.exit(1)


def kind_of(before: str, after: str) -> str | None:
    """Return what is compared where no option says it; None for jobs, whose ids have a form."""
    names = (before, after)
    if all(_RELEASE.fullmatch(name) for name in names):
        return "release"
    if any(_JOB.fullmatch(name) for name in names):
        return None
    return "campaign"


def comparison_text(
    comparison: JobComparison, facets: Iterable[str] = (), *, everything: bool = False
) -> str:
    """Return a comparison as text: the sentence, the two jobs, then the differences.

    What decides the outcome comes first.
    """
    jobs = [_job("a", comparison.a), _job("b", comparison.b)]
    lines = [comparison.first_line, "", *jobs]
    chosen = set(facets)
    for facet in comparison.facets:
        is_wanted = facet.matters != "circumstance" or everything or facet.name == "fcl"
        if chosen:
            is_wanted = facet.name in chosen
        if is_wanted:
            lines += _facet(facet)
    if not chosen:
        lines += ["", *_rest(comparison.facets, everything=everything)]
    return "\n".join(lines)


def _job(letter: str, job: ComparedJob) -> str:
    task = job.task
    facts = [job.batch_id, task.task_id, task.unit, job.host.hostname, job.code]
    line = ", ".join(fact for fact in facts if fact)
    return f"{letter}  {job.job_id}  {job.state:9}  {shown(line)}"


def _facet(facet: Facet) -> Iterator[str]:
    if not facet.count and not facet.problems and not facet.notes:
        return
    yield ""
    yield f"{facet.title}: {counted(facet.count, 'difference')}"
    yield from (f"  ! {shown(problem)}" for problem in facet.problems)
    yield from (f"  {shown(note)}" for note in facet.notes)
    for row in facet.differences[:_MOST_ROWS]:
        yield from _row(row)
    if facet.count > _MOST_ROWS:
        yield f"  ... and {facet.count - _MOST_ROWS:,} more; --json has them."


def _row(row: Difference) -> Iterator[str]:
    key = row.key
    if row.key_before:
        key = f"{row.key_before} -> {row.key}"
    part = f"  [{row.part}]" if row.part else ""
    yield f"  {_MARKS[row.kind]} {shown(key)}{shown(part)}"
    if row.kind == "renamed":
        before, after = _place(row.origin_before).strip(), _place(row.origin_after).strip()
        yield f"      {before} -> {after}"
        return
    before, after = narrowed(_text(row.before), _text(row.after), _WIDTH)
    if row.kind != "added":
        yield f"      a  {shown(before)}{_place(row.origin_before)}"
    if row.kind != "removed":
        yield f"      b  {shown(after)}{_place(row.origin_after)}"
    for line in row.lines[:_MOST_LINES]:
        yield f"      {shown(line)}"
    if len(row.lines) > _MOST_LINES:
        left = len(row.lines) - _MOST_LINES + row.lines_omitted
        yield f"      ... and {left:,} more lines; --json has them."


def _place(origin: Place | None) -> str:
    return f"    {shown(origin.file)}:{origin.line}" if origin else ""


def _text(value: Any) -> str:
    return "" if value is None else readable(str(value))


def _rest(facets: list[Facet], *, everything: bool) -> Iterator[str]:
    """Yield what is the same, and what differs in any two runs, in a line each."""
    same, silent, other = [], [], []
    for facet in facets:
        title = facet.title.lower()
        if not facet.said:
            silent.append(title)
        elif not facet.count and not facet.problems:
            same.append(title)
        if _differs_anyway(facet):
            other.append(f"{title} {facet.count}")
    if same:
        yield f"Same: {', '.join(same)}."
    if silent:
        yield f"In neither record: {', '.join(silent)}."
    if other and not everything:
        yield f"Differs in any two runs, shown by --all: {', '.join(other)}."


def _differs_anyway(facet: Facet) -> bool:
    """Return whether a facet differs that differs in any two runs.

    The text of fcl files is not meant: it is shown without --all too.
    """
    return facet.matters == "circumstance" and facet.count > 0 and facet.name != "fcl"


COMMANDS = {"diff": diff}
EXAMPLES = {
    "diff": (
        "jobprov diff 81238.3@sched01.fnal.gov 81238.4@sched01.fnal.gov",
        "jobprov diff demo-2026 demo-2027 --campaigns --experiment toyexp",
    ),
}
