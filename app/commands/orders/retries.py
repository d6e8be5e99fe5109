"""`jobprov retry` and `retry-policy`: try recorded jobs again as they were recorded.

The agent submits them, or you do by hand, or you run one here to see its error.
"""

import re
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from jobprov.app.commands.bundles.bundles import unpacked
from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import (
    emit,
    json_option,
    settings_with,
    table,
    url_option,
)
from jobprov.provenance.answers.orders import Retry, RetryChoice, SkippedJob
from jobprov.provenance.capture.packing import build
from jobprov.provenance.client import Client
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.resubmitting import HOOK, SCRIPT, SUBMIT_FILE, TICKET
from jobprov.provenance.launchers.scripts import retry_script
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.services.agents.local_retries import run_here

_AT_ONCE = 80
"""Ids of jobs in one address."""

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@click.command()
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@click.option(
    "--task",
    "task_id",
    metavar="TASK_ID",
    help="Retry what the policy of this task's stage offers.",
)
@click.option("--experiment", required=True, help="Whose jobs.")
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
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="With --format: the folder for the files.",
)
@click.option("--here", is_flag=True, help="Run the one JOB here, now, to see the error.")
@click.option("--events", type=click.IntRange(1), help="With --here: only so many events.")
@click.option(
    "--input-dir",
    "input_dirs",
    multiple=True,
    type=click.Path(path_type=Path),
    help="With --here: where inputs are.",
)
@url_option
@json_option
def retry(
    *,
    jobs: tuple[str, ...],
    form: str | None,
    output: Path | None,
    here: bool,
    url: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Retry JOBs, or what a task's policy offers.

    They run with the recorded configuration, code and inputs, not today's.

    Without --order, --format or --here, only shows what would be retried, and why the rest would
    not.
    """
    if not jobs and given["task_id"] is None:
        raise click.UsageError("Name jobs, or a --task.")
    client = client_for(url)
    jobs = tuple(_whole_id(client, job, given["experiment"]) for job in jobs)
    if here:
        sys.exit(_run_here(client, jobs, given))
    question = _question(given)
    if form is not None:
        _Submission(client, question, jobs).write(form, output)
    elif given["is_ordered"]:
        decision = {"who": given["who"] or "-", "why": given["why"]}
        choice = client.order_retries({**question, "jobs": list(jobs), **decision})
        text = f"Ordered {counted(len(choice.tries), 'job')}.\n{_shown(choice)}"
        emit(choice, text, as_json=as_json)
    else:
        choice = _choice(client, question, jobs)
        emit(choice, _shown(choice), as_json=as_json)
        sys.exit(0 if choice.tries else 1)


@click.command(name="retry-policy")
@click.argument("experiment")
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@url_option
@json_option
def retry_policy(*, experiment: str, file: Path | None, url: str | None, as_json: bool) -> None:
    """Show what EXPERIMENT has retried without asking, or declare it with FILE.

    FILE is TOML with a table `[stages.NAME]` for each stage; `*` is for all others.
    """
    client = client_for(url)
    if file is not None:
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
            raise BadInputError(f"{file}: {problem}.") from None
        client.declare_retry_policies(experiment, document)
    policies = client.retry_policies(experiment)
    rows = [
        {"stage": stage, **msgspec.structs.asdict(policy)}
        for stage, policy in policies.stages.items()
    ]
    columns = {
        "stage": "STAGE",
        "times": "TIMES",
        "transient_only": "TRANSIENT ONLY",
        "memory_factor": "MEMORY",
        "other_site": "OTHER SITE",
    }
    emit(policies, table(rows, columns), as_json=as_json)


def _question(given: dict[str, Any]) -> dict[str, Any]:
    """Return the query of `GET /retries` that the options make, without the jobs."""
    names = ("experiment", "task_id", "memory_factor", "other_site")
    return {name: given[name] for name in names if given[name] is not None}


def _whole_id(client: Client, job: str, experiment: str) -> str:
    """Return the id of the job that a batch id or the first digits of an id name."""
    if _ID.fullmatch(job):
        return job
    return client.job(job, experiment=experiment).summary.job_id


def _choice(client: Client, question: dict[str, Any], jobs: Sequence[str]) -> RetryChoice:
    """Return what would be tried again; many jobs are asked about in parts."""
    if not jobs:
        return client.retries(**question)
    tries: list[Retry] = []
    skipped: list[SkippedJob] = []
    classes: Counter[str] = Counter()
    for start in range(0, len(jobs), _AT_ONCE):
        part = client.retries(**question, jobs=",".join(jobs[start : start + _AT_ONCE]))
        tries += part.tries
        skipped += part.skipped
        classes.update(part.by_class)
    return RetryChoice(tries, skipped, dict(classes))


def _shown(choice: RetryChoice) -> str:
    lines = [f"{counted(len(choice.tries), 'job')} to be tried again, {len(choice.skipped)} not."]
    for retry in choice.tries:
        class_name = "unknown" if retry.failure is None else retry.failure.class_name
        words = f"{class_name}, attempt {retry.attempt}, from its {retry.made_from}"
        lines.append(f"  {retry.job_id}  {retry.unit}  {words}")
    short = sum(retry.runs_out_again for retry in choice.tries)
    if short:
        lines.append(
            f"{short} of them took more memory than allowed, and would get no more now: "
            "--memory-factor 1.5 asks for it."
        )
    lines += [f"  not {job.job_id}  {job.unit or '-'}: {job.reason}" for job in choice.skipped]
    return "\n".join(lines)


class _Submission:
    """A submission by hand of what would be tried again, as files in a folder.

    Attributes:
        question: as for `GET /retries`, without the jobs.
        jobs: the selection; empty for what the policy of a task offers.
    """

    def __init__(self, client: Client, question: dict[str, Any], jobs: Sequence[str]) -> None:
        self.client, self.question, self.jobs = client, question, jobs

    def write(self, form: str, folder: Path | None) -> None:
        """Write what submits the tries by hand, with all that it needs beside it."""
        text = self._text(form)
        if form == "sam":
            click.echo(text, nl=False)
            return
        if folder is None:
            raise click.UsageError("Where to? Give a folder with -o.")
        folder.mkdir(parents=True, exist_ok=True)
        tries = _choice(self.client, self.question, self.jobs).tries
        if not tries:
            raise BadInputError(
                "There is nothing to retry; without --format, the command shows why."
            )
        build(str(folder / HOOK))
        _put(folder / SCRIPT, retry_script(), 0o755)
        if settings_with(url=self.client.url).token:
            self._write_ticket(folder, tries)
        if form == "condor":
            self._save_bundles(folder, tries)
            _put(folder / SUBMIT_FILE, text, 0o644)
            command = f"condor_submit {SUBMIT_FILE}"
        else:
            # Jobs of jobsub fetch their bundles themselves
            _put(folder / "retry.sh", text, 0o755)
            command = "./retry.sh"
        click.echo(f"{counted(len(tries), 'job')} in {folder}. Now: cd {folder} && {command}")

    def _text(self, form: str) -> str:
        if len(self.jobs) > _AT_ONCE:
            raise BadInputError(
                f"{len(self.jobs)} jobs do not fit into one submission by hand; name {_AT_ONCE} "
                "at most, or --order."
            )
        if not self.jobs:
            return self.client.retries_text(form, **self.question)
        return self.client.retries_text(form, **self.question, jobs=",".join(self.jobs))

    def _save_bundles(self, folder: Path, tries: Sequence[Retry]) -> None:
        for retry in tries:
            bundle = folder / f"{retry.job_id}.tar"
            self.client.save_bundle(retry.job_id, bundle, experiment=self.question["experiment"])

    def _write_ticket(self, folder: Path, tries: Sequence[Retry]) -> None:
        tasks = sorted({retry.order.task_id for retry in tries})
        if len(tasks) > 1:
            raise BadInputError(
                f"A ticket is for one task, and these jobs are of {', '.join(tasks[:5])}: write one "
                "folder a task."
            )
        ticket = self.client.issue_ticket(tasks[0], self.question["experiment"]).ticket
        _put(folder / TICKET, ticket + "\n", 0o600)


def _put(file: Path, text: str, mode: int) -> None:
    # Before anything is in it: nobody else may read a ticket, not even for a moment
    file.touch(mode=mode)
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)


def _run_here(client: Client, jobs: Sequence[str], given: dict[str, Any]) -> int:
    """Run one job in a new folder, with its output on this terminal; return its exit code."""
    if len(jobs) != 1:
        raise click.UsageError("--here runs one job; name it.")
    folder = Path(tempfile.mkdtemp(prefix="jobprov-retry-"))
    root = unpacked(jobs[0], folder, experiment=given["experiment"], url=client.url)
    click.echo(f"Running {root.name} in {folder / 'out'}", err=True)
    try:
        code = run_here(
            root, folder / "out", events=given["events"], input_dirs=given["input_dirs"]
        )
    except subprocess.SubprocessError as problem:
        raise BadInputError(f"The job could not be run: {problem}.") from None
    click.echo(f"Exit code {code}; its files are in {folder / 'out' / 'work'}", err=True)
    return code


COMMANDS = {"retry": retry, "retry-policy": retry_policy}
