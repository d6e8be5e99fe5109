"""`jobprov retry` and `retry-policy`: try recorded jobs again as they were recorded.

The agent submits them, or you do by hand, or you run one here to see its error.
"""

import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec

from jobprov.app.commands.bundles.bundles import unpacked
from jobprov.app.commands.orders.retry_submission import (
    JOBS_AT_ONCE,
    HandSubmission,
    check_inputs,
    in_parts,
    write_as_submitted,
)
from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import emit
from jobprov.app.commands.terminal.tables import cell_table
from jobprov.provenance.answers.names import is_job_id
from jobprov.provenance.answers.orders.orders import Retry, RetryChoice, SkippedJob
from jobprov.provenance.client import Client
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.services.agents.local_retries import run_here

_NOT_YET = (
    "Nothing is submitted yet: --order lets the agent submit, --format condor -o FOLDER writes a "
    "submit file."
)


class RetryOptions(NamedTuple):
    """The options of `retry` that say which jobs, how, and who decides."""

    experiment: str
    task_id: str | None
    memory_factor: float | None
    other_site: bool | None
    is_ordered: bool
    who: str | None
    why: str
    is_as_submitted: bool
    events: int | None
    input_dirs: tuple[Path, ...]
    output_dir: str | None


@click.command()
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@click.option(
    "--task",
    "task_id",
    metavar="TASK_ID",
    help="Retry what the policy of this task's stage offers.",
)
@click.option("--experiment", required=True, help="The experiment of the jobs.")
@click.option(
    "--memory-factor",
    type=click.FloatRange(1, 10),
    help="Multiply the memory by this; the policy's factor by default.",
)
@click.option(
    "--other-site/--any-site",
    default=None,
    help="Avoid sites where the unit failed; as the policy says by default.",
)
@click.option(
    "--order", "is_ordered", is_flag=True, help="Order the retries; `jobprov agent` submits them."
)
@click.option("--who", help="With --order: the person who decides; USER by default.", envvar="USER")
@click.option("--why", default="by hand", show_default=True, help="With --order: the reason.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["condor", "jobsub", "sam"]),
    help="Write files to submit by hand instead.",
)
@click.option(
    "--as-submitted",
    "is_as_submitted",
    is_flag=True,
    help="Write files that repeat the recorded submission, with the programs that are there now.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="With --format or --as-submitted: the folder for the files.",
)
@click.option("--here", is_flag=True, help="Run the one JOB here, now, to see the error.")
@click.option("--events", type=click.IntRange(1), help="With --here: only so many events.")
@click.option(
    "--input-dir",
    "input_dirs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Where inputs are that the bundles lack; for HTCondor they go with the jobs.",
)
@click.option(
    "--output-dir",
    help=(
        "With --format: for outputs whose own stage-out nobody recorded, a folder or address that "
        "worker nodes can write to."
    ),
)
@asks_service
def retry(
    *,
    jobs: tuple[str, ...],
    form: str | None,
    output: Path | None,
    here: bool,
    client: Client,
    as_json: bool,
    **given: Any,
) -> None:
    """Retry JOBs, or what a task's policy offers.

    They run with the recorded configuration, code and inputs, not today's. All that they make
    comes home: to where the job's own stage-out put it, or else to --output-dir.

    Inputs that a bundle lacks are looked for first; a job whose input is out of reach is named and
    left out.

    Without --order, --format, --as-submitted or --here, only shows what would be retried, and why
    the rest would not.
    """
    options = RetryOptions(**given)
    if not jobs and options.task_id is None:
        raise click.UsageError("Name jobs, or a --task.")
    jobs = tuple(_whole_id(client, job, options.experiment) for job in jobs)
    if here:
        sys.exit(_run_here(client, jobs, options))
    question = _question(options)
    if form == "sam":
        click.echo(_dimension(client, question, jobs), nl=False)
        return
    choice = _choice(client, question, jobs)
    if options.is_as_submitted:
        _write_as_submitted(client, options.experiment, choice, output)
        return
    checked = check_inputs(client, choice, options.experiment, options.input_dirs)
    if checked.problem:
        click.echo(f"note: {checked.problem}", err=True)
    if form is not None:
        _name_skipped(checked.choice)
        submission = HandSubmission(client, options.experiment, checked, options.output_dir)
        submission.write(form, output)
    elif options.is_ordered:
        decision = {"who": options.who or "-", "why": options.why}
        ordered = _order(client, {**question, **decision}, checked.choice)
        text = f"Ordered {counted(len(ordered.tries), 'job')}.\n{_shown(ordered)}"
        emit(ordered, text, as_json=as_json)
    else:
        _show(checked.choice, as_json=as_json)


@click.command(name="retry-policy")
@click.argument("experiment")
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@asks_service
def retry_policy(*, experiment: str, file: Path | None, client: Client, as_json: bool) -> None:
    """Show what EXPERIMENT has retried without asking, or declare it with FILE.

    FILE is TOML with a table `[stages.NAME]` for each stage; `*` is for all others.
    """
    if file is not None:
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
            raise BadInputError(f"{file}: {problem}.") from None
        client.declare_retry_policies(experiment, document)
    policies = client.retry_policies(experiment)
    rows = []
    for stage, policy in policies.stages.items():
        transient_only = "yes" if policy.transient_only else "no"
        other_site = "yes" if policy.other_site else "no"
        memory = f"x {policy.memory_factor:g}"
        rows.append((stage, policy.times, transient_only, memory, other_site))
    titles = ("STAGE", "TIMES", "TRANSIENT ONLY", "MEMORY", "OTHER SITE")
    emit(policies, cell_table(titles, rows), as_json=as_json)


def _show(choice: RetryChoice, *, as_json: bool) -> None:
    """Show what would be tried again; exit code 1 if nothing would."""
    text = _shown(choice)
    if choice.tries:
        text += f"\n{_NOT_YET}"
    emit(choice, text, as_json=as_json)
    if not choice.tries:
        sys.exit(1)


def _question(options: RetryOptions) -> dict[str, object]:
    """Return the query of `GET /retries` that the options make, without the jobs."""
    question = {
        "experiment": options.experiment,
        "task_id": options.task_id,
        "memory_factor": options.memory_factor,
        "other_site": options.other_site,
    }
    return {name: value for name, value in question.items() if value is not None}


def _whole_id(client: Client, job: str, experiment: str) -> str:
    """Return the id of the job that a batch id or the first digits of an id name."""
    if is_job_id(job):
        return job
    return client.job(job, experiment=experiment).summary.job_id


def _write_as_submitted(
    client: Client, experiment: str, choice: RetryChoice, folder: Path | None
) -> None:
    if folder is None:
        raise click.UsageError("Where to? Give a folder with -o.")
    _name_skipped(choice)
    write_as_submitted(client, experiment, choice.tries, folder)


def _name_skipped(choice: RetryChoice) -> None:
    """Name the jobs that are not tried again, each with the reason."""
    for job in choice.skipped:
        click.echo(f"not {job.job_id}  {job.unit or '-'}: {job.reason}", err=True)


def _dimension(client: Client, question: Mapping[str, object], jobs: Sequence[str]) -> str:
    """Return the SAM dimension of the inputs of the jobs to retry."""
    if len(jobs) > JOBS_AT_ONCE:
        raise BadInputError(
            f"{len(jobs)} jobs do not fit into one dimension; name {JOBS_AT_ONCE} at most."
        )
    selection = {"jobs": ",".join(jobs)} if jobs else {}
    return client.retries_text("sam", **question, **selection)


def _order(client: Client, request: Mapping[str, object], checked: RetryChoice) -> RetryChoice:
    """Order what can be run, and return it with what cannot."""
    ids = [retry.job_id for retry in checked.tries]
    if not ids:
        return checked
    ordered = client.order_retries({**request, "jobs": ids})
    return msgspec.structs.replace(ordered, skipped=[*ordered.skipped, *checked.skipped])


def _choice(client: Client, question: Mapping[str, object], jobs: Sequence[str]) -> RetryChoice:
    """Return what would be tried again; many jobs are asked about in parts."""
    if not jobs:
        return client.retries(**question)
    tries: list[Retry] = []
    skipped: list[SkippedJob] = []
    classes: Counter[str] = Counter()
    for part in in_parts(jobs):
        answer = client.retries(**question, jobs=",".join(part))
        tries += answer.tries
        skipped += answer.skipped
        classes.update(answer.by_class)
    return RetryChoice(tries, skipped, dict(classes))


def _shown(choice: RetryChoice) -> str:
    skipped = f", {len(choice.skipped)} not" if choice.skipped else ""
    lines = [f"{counted(len(choice.tries), 'job')} to be tried again{skipped}."]
    for retry in choice.tries:
        lines.append(f"  {retry.job_id}  {retry.unit}  {'; '.join(_description(retry))}")
    short = sum(retry.runs_out_again for retry in choice.tries)
    if short:
        lines.append(
            f"{short} of them took more memory than allowed, and would get no more now: "
            "--memory-factor 1.5 asks for it."
        )
    lines += [f"  not {job.job_id}  {job.unit or '-'}: {job.reason}" for job in choice.skipped]
    return "\n".join(lines)


def _description(retry: Retry) -> Iterator[str]:
    """Yield what is tried again, and what speaks against it."""
    failure = retry.failure
    class_name = "unknown" if failure is None else failure.class_name
    yield f"{class_name}, attempt {retry.attempt}, from its {retry.made_from}"
    if retry.is_waived:
        yield "its unit is waived: the task goes on without it"
    if failure is not None and failure.transient is False:
        advice = f": {failure.advice}" if failure.advice else ""
        yield f"trying again does not help{advice}"


def _run_here(client: Client, jobs: Sequence[str], options: RetryOptions) -> int:
    """Run one job in a new folder, with its output on this terminal; return its exit code."""
    if len(jobs) != 1:
        raise click.UsageError("--here runs one job; name it.")
    folder, root = unpacked(jobs[0], None, experiment=options.experiment, url=client.url)
    click.echo(f"Running {root.name} in {folder / 'out'}", err=True)
    try:
        code = run_here(root, folder / "out", events=options.events, input_dirs=options.input_dirs)
    except subprocess.SubprocessError as problem:
        raise BadInputError(f"The job could not be run: {problem}.") from None
    click.echo(f"Exit code {code}; its files are in {folder / 'out' / 'work'}", err=True)
    return code


COMMANDS = {"retry": retry, "retry-policy": retry_policy}
EXAMPLES = {
    "retry": (
        "jobprov retry --experiment toyexp --task toyexp-demo-reco-0001 --order",
        "jobprov retry 81238.4@sched01.fnal.gov --experiment toyexp --here --events 10",
    ),
    "retry-policy": ("jobprov retry-policy toyexp policy.toml",),
}
