"""`jobprov diverge`: where the histories of two files part."""

import sys

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import emit, file_name, pair_options
from jobprov.provenance.answers.histories.divergence import DivergedJob, Divergence
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, shown


@click.command()
@click.argument("before", metavar="FILE", type=file_name)
@click.argument("after", metavar="OTHER", type=file_name)
@pair_options
@asks_service
def diverge(
    *, before: str, after: str, client: Client, as_json: bool, **experiments: str | None
) -> None:
    """Show where the histories of FILE and OTHER part.

    The first jobs of one stage whose recipes differ; exit code 1 where there are any.
    """
    answer = client.divergence(before, after, **experiments)
    emit(answer, divergence_text(answer), as_json=as_json)
    if answer.a or answer.b:
        sys.exit(1)


def divergence_text(answer: Divergence) -> str:
    """Return where two histories part, as text, and what to type next."""
    common = f"{counted(answer.common_jobs, 'job')} made both"
    if not answer.a and not answer.b:
        return f"Nowhere: {common}, and the others have the same recipes."
    stage = shown(answer.stage or "that no record names")
    lines = [f"They part in stage {stage}; {common}.", ""]
    lines += [_job_line("a", answer.a), _job_line("b", answer.b)]
    if answer.a and answer.b:
        lines += ["", f"jobprov diff {answer.a.job_id} {answer.b.job_id}"]
    return "\n".join(lines)


def _job_line(letter: str, job: DivergedJob | None) -> str:
    if job is None:
        return f"{letter}  no job there"
    places = [job.batch_id, job.task.task_id, job.task.unit, job.host.hostname, job.code]
    place = ", ".join(place for place in places if place)
    return f"{letter}  {job.job_id}  {job.state:9}  {shown(place)}"


COMMANDS = {"diverge": diverge}
EXAMPLES = {
    "diverge": ("jobprov diverge merge_dimuon.root merge_dimuon_v2.root --experiment toyexp",),
}
