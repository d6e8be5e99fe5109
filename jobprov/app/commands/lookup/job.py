"""`jobprov job`: everything recorded of a job, one of its logs, or a parameter as it ran."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from jobprov.app.commands.configurations.ran_values import ran_values, sentence
from jobprov.app.commands.lookup.sentences import (
    MOST_LISTED,
    code_lines,
    fact,
    minute,
    names,
    place,
)
from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import emit, experiment_option
from jobprov.provenance.answers.lookup.jobs import Failure, JobAnswer, JobSummary
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import (
    counted,
    duration,
    evidence_words,
    grade_words,
    size,
    without_output,
)
from jobprov.provenance.records.files.names import full_name
from jobprov.provenance.records.verdicts import rank


@click.command()
@click.argument("job_id", metavar="ID")
@click.option("--log", "log_name", help="Print this log of the job instead.")
@click.option(
    "--tail", type=click.IntRange(1, 100_000), help="With --log: only so many last lines."
)
@click.option(
    "--parameter",
    metavar="KEY",
    help="Print what this parameter was as the job ran, and who set it, instead.",
)
@experiment_option
@asks_service
def job(
    *,
    job_id: str,
    parameter: str | None,
    log_name: str | None,
    tail: int | None,
    experiment: str | None,
    client: Client,
    as_json: bool,
) -> None:
    """Show the job with this job id or batch id."""
    if log_name is not None:
        click.echo(client.log(job_id, log_name, experiment=experiment, tail=tail), nl=False)
        return
    answer = client.job(job_id, experiment=experiment)
    if parameter is not None:
        values = list(ran_values(client, answer, parameter))
        emit(values, "\n".join(map(sentence, values)), as_json=as_json)
        return
    emit(answer, job_text(answer, client.url), as_json=as_json)


def job_text(answer: JobAnswer, url: str) -> str:
    """Return a job as text: a sentence how it ended, then the facts, then what to type next."""
    summary = answer.summary
    lines = [_sentence(answer), "", fact("job", _ids(summary))]
    task = [summary.task.task_id, summary.task.stage, summary.task.campaign]
    if any(task):
        lines.append(fact("task", " of ".join(name for name in task if name)))
    times = f"{minute(summary.started_at)} to {minute(summary.ended_at)}"
    lines.append(fact("ran", f"{place(summary)}, {times}"))
    if summary.exit.message:
        lines.append(fact("error", summary.exit.message))
    if answer.failure is not None:
        lines += _failure_lines(answer.failure)
    if answer.decided_by is not None and answer.decided_by.text:
        lines.append(fact("found", answer.decided_by.text))
    lines += code_lines(answer.software, answer.configurations)
    lines += _file_lines(answer)
    graded = grade_words(answer.grade, answer.proof)
    lines.append(fact("grade", f"{graded}, {counted(len(answer.gaps), 'gap')}"))
    for gap in answer.gaps[:MOST_LISTED]:
        lines.append(fact("gap", f"{gap.message} {gap.how_to_close}"))
    lines.append(fact("rerun", f"jobprov rerun {summary.job_id} --into FOLDER"))
    lines.append(fact("page", f"{url}{summary.url}"))
    return "\n".join(lines)


def _file_lines(answer: JobAnswer) -> list[str]:
    """Return what a job read and wrote, and its logs."""
    read = [_full_name(file) for file in answer.inputs]
    inputs = list(dict.fromkeys(read))  # what was copied in is one file at two paths
    outputs = [_output(file) for file in answer.outputs]
    logs = [log["name"] for log in answer.merged.get("logs") or []]
    return [*names("read", inputs), *names("wrote", outputs), *names("logs", logs)]


def _failure_lines(failure: Failure) -> list[str]:
    """Return what a failure was, what to do, and how to list the jobs that failed alike."""
    lines = []
    if failure.words:
        words = f"{failure.class_name}: {failure.words}"
        if failure.transient is not None:
            words += f"; trying again {'may help' if failure.transient else 'does not help'}"
        lines.append(fact("class", words))
    if failure.advice:
        lines.append(fact("advice", failure.advice))
    if failure.cause_id:
        lines.append(fact("alike", f"jobprov jobs --cause {failure.cause_id}"))
    return lines


def _sentence(answer: JobAnswer) -> str:
    """Return how a job ended."""
    summary = answer.summary
    seconds, end = summary.took_seconds(), summary.exit
    took = "" if seconds is None else f" after {duration(seconds)}"
    if summary.state == "succeeded":
        left = "" if answer.output_count else without_output(answer.lost_files())
        return f"Succeeded{took}{left}{_reruns(answer.verdicts)}."
    sentence = summary.state.capitalize()
    if end.failed_step:
        sentence += f" in step {end.failed_step}"
    if end.code is not None:
        sentence += f" with exit code {end.code}"
    if end.signal is not None:
        sentence += f" by signal {end.signal}"
    if answer.decided_by is not None and answer.decided_by.evidence:
        sentence += f", decided by {evidence_words(answer.decided_by.evidence)},"
    sentence += took
    if end.error_class:
        sentence += f": {end.error_class}"
    return sentence + "."


def _reruns(verdicts: Sequence[Mapping[str, Any]]) -> str:
    if not verdicts:
        return ""
    best = max((str(verdict["level"]) for verdict in verdicts), key=rank)
    return f"; rerun {counted(len(verdicts), 'time')}, best outcome {best}"


def _ids(summary: JobSummary) -> str:
    if not summary.batch_id:
        return summary.job_id
    return f"{summary.job_id} (batch {summary.batch_id})"


def _output(file: Mapping[str, Any]) -> str:
    """Return the name of an output, with status, size and what became of it, as far as known."""
    facts = []
    if file.get("status"):
        facts.append(file["status"])
    if file.get("size_bytes") is not None:
        facts.append(size(file["size_bytes"]))
    if file.get("is_retired"):
        facts.append("retired in the catalog")
    if file.get("is_unarrived"):
        facts.append("never arrived in the catalog")
    return f"{_full_name(file)} ({', '.join(facts)})" if facts else _full_name(file)


def _full_name(file: Mapping[str, Any]) -> str:
    return full_name(file["name"], file.get("namespace"))


COMMANDS = {"job": job}
EXAMPLES = {
    "job": (
        "jobprov job 81238.4@sched01.fnal.gov",
        "jobprov job ea0a870c --log smear.err --tail 50",
    ),
}
