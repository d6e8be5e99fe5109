"""`jobprov errors`: why jobs did not succeed, and where."""

import sys
from collections.abc import Iterator
from typing import Any

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import (
    emit,
    experiment_option,
    job_filters,
    option_with_default,
)
from jobprov.app.reports.rows import cause_words, class_words
from jobprov.provenance.answers.failures import ErrorCounts, FailureCause, Outlier
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, number, percent
from jobprov.provenance.times import minute_text

_ALONE = ("class", "step", "code")
_BY = ("stage", "site", "host", "version", "day", *_ALONE)


@click.command()
@job_filters(
    "task", "campaign", "stage", "site", "host", "revision", "started_after", "started_before"
)
@click.option(
    "--by",
    type=click.Choice(_BY),
    help="Split causes by this; class, step and code: count by it alone.",
)
@option_with_default("--sort", click.Choice(["count", "newest", "growing"]), "count")
@experiment_option
@asks_service
def errors(*, client: Client, as_json: bool, by: str | None, **query: Any) -> None:
    """Show why jobs failed, most frequent cause first, and which hosts and sites stand out.

    Exit code 1 where there are failures, or no finished job to judge by.
    """
    answer = client.errors(**query, by=by)
    if not answer.jobs:
        refuse_unknown_names(client, query)
    emit(answer, "\n".join(_lines(answer, by)), as_json=as_json)
    sys.exit(1 if answer.failures or not answer.jobs else 0)


def _lines(errors: ErrorCounts, by: str | None) -> Iterator[str]:
    if not errors.jobs:
        yield "No finished job found: none has finished yet, or none passes these filters."
        return
    failures, jobs = counted(errors.failures, "failure"), counted(errors.jobs, "finished job")
    yield f"{failures} in {jobs}, {counted(errors.cause_count, 'cause')}."
    for cause in errors.causes:
        yield from _cause_lines(cause, by)
    for outlier in errors.outliers:
        yield _outlier_line(outlier)


def _cause_lines(cause: FailureCause, by: str | None) -> Iterator[str]:
    part = f"{by} {cause.by or 'unknown'}"
    count = f"{number(cause.count):>7}"
    if by in _ALONE:
        yield f"{count}  {part}"
    else:
        beginning = f"{part}: " if by else ""
        yield f"{count}  {beginning}{cause_words(cause)}"
        if cause.words:
            advice = f". {cause.advice}" if cause.advice else ""
            yield f"         {class_words(cause)}{advice}"

    hosts = f"{counted(cause.hosts, 'host')}, " if cause.hosts else ""
    days = f"{cause.last_day} in the last day, {cause.day_before} in the day before"
    yield f"         {hosts}last {minute_text(cause.last_at)}; {days}"
    yield f"         jobprov job {cause.example}"
    if cause.count > 1 and cause.cause_id is not None:
        yield f"         jobprov jobs --cause {cause.cause_id}"


def _outlier_line(outlier: Outlier) -> str:
    failed = f"{outlier.failures} of {counted(outlier.jobs, 'job')} failed"
    elsewhere = f"{percent(outlier.rate_elsewhere)} elsewhere, p = {outlier.p_value:.1g}"
    return f"{outlier.kind.capitalize()} {outlier.name} stands out: {failed}, {elsewhere}."


COMMANDS = {"errors": errors}
EXAMPLES = {
    "errors": (
        "jobprov errors --experiment toyexp --by site",
        "jobprov errors --task toyexp-demo-reco-0001 --sort newest",
    ),
}
