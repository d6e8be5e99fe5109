"""`jobprov errors`: why jobs did not succeed, and where."""

from collections.abc import Iterator
from typing import Any

import click

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import emit, experiment_option, json_option, url_option
from jobprov.app.reports.rows import cause_words, class_words
from jobprov.provenance.lineage.words import counted, number, percent

_ALONE = ("class", "step", "code")
_BY = ("stage", "site", "host", "version", "day", *_ALONE)


@click.command()
@click.option("--task", "task_id", help="Jobs of this task.")
@click.option("--campaign", help="Jobs of this campaign.")
@click.option("--stage", help="Jobs of this stage.")
@click.option("--site", help="Jobs at this site.")
@click.option("--host", help="Jobs on this worker node.")
@click.option("--revision", help="Jobs that ran this commit.")
@click.option("--started-after", metavar="TIME", help="Jobs that started at or after this time.")
@click.option("--started-before", metavar="TIME", help="Jobs that started before this time.")
@click.option(
    "--by",
    type=click.Choice(_BY),
    help="Split causes by this; class, step and code: count by it alone.",
)
@click.option(
    "--sort", type=click.Choice(["count", "newest", "growing"]), default="count", show_default=True
)
@experiment_option
@url_option
@json_option
def errors(*, url: str | None, as_json: bool, by: str | None, **query: Any) -> None:
    """Tell why jobs did not succeed, most frequent cause first, and which hosts and sites stand out."""
    found = client_for(url).errors(**query, by=by)
    emit(found, "\n".join(_lines(found, by)), as_json=as_json)


def _lines(found: dict[str, Any], by: str | None) -> Iterator[str]:
    if not found["jobs"]:
        yield "No job that is over was found: none is yet, or a name is not spelt as it is recorded."
        return
    of = f"of {counted(found['jobs'], 'job')} that {'is' if found['jobs'] == 1 else 'are'} over"
    yield f"{counted(found['failures'], 'failure')} {of}, {counted(found['cause_count'], 'cause')}."
    for cause in found["causes"]:
        part = f"{by} {cause['by'] or 'unknown'}: " if by else ""
        hosts = f"{counted(cause['hosts'], 'host')}, " if cause["hosts"] else ""
        where = f"{hosts}last {cause['last_at'][:16].replace('T', ' ')} UTC"
        is_alone = by in _ALONE
        yield f"{number(cause['count']):>7}  {part.removesuffix(': ') if is_alone else part + cause_words(cause)}"
        if cause["words"] and not is_alone:
            advice = f". {cause['advice']}" if cause["advice"] else ""
            yield f"         {class_words(cause)}{advice}"
        yield f"         {where}; {cause['last_day']} in the last day, {cause['day_before']} in the day before"
        yield f"         jobprov job {cause['example']}"
    for outlier in found["outliers"]:
        share = f"{outlier['failures']} of {counted(outlier['jobs'], 'job')} failed"
        chance = f"{percent(outlier['rate_elsewhere'])} elsewhere, p = {outlier['p_value']:.1g}"
        yield f"{outlier['kind'].capitalize()} {outlier['name']} stands out: {share}, {chance}."


COMMANDS = {"errors": errors}
