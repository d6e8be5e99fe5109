"""`jobprov retry` and `retry-policy`: try recorded jobs again as they were recorded.

The agent does it, or you do it by hand, or here, to see the error.
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

from jobprov.app.commands.bundles.bundles import unpacked
from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import (
    emit,
    json_option,
    settings_with,
    table,
    url_option,
)
from jobprov.provenance.capture.packing import build
from jobprov.provenance.client import Client
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.resubmitting import HOOK, SCRIPT, SUBMIT_FILE, TICKET
from jobprov.provenance.launchers.scripts import retry_script
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.services.agents.local_retries import run_here

_AT_ONCE = 80  # ids in one address
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@click.command()
@click.argument("jobs", metavar="[JOB]...", nargs=-1)
@click.option(
    "--task",
    "task_id",
    metavar="TASK_ID",
    help="Those of this task that the policy of its stage offers.",
)
@click.option("--experiment", required=True, help="Whose jobs.")
@click.option(
    "--memory-factor",
    type=click.FloatRange(1, 10),
    help="So many times the memory; the policy's by default.",
)
@click.option(
    "--other-site/--any-site",
    default=None,
    help="Avoid sites where the unit failed; as the policy says by default.",
)
@click.option("--order", "is_ordered", is_flag=True, help="Order it: `jobprov agent` submits.")
@click.option("--who", help="With --order: the person who decides; USER by default.", envvar="USER")
@click.option("--why", default="by hand", show_default=True, help="With --order: the reason.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["condor", "jobsub", "sam"]),
    help="Write what submits it by hand instead.",
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
    help="With --here: where inputs lie.",
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
    """Try JOBs, or what a task's policy offers, again.

    The recorded configuration, code and inputs, not today's.

    Without a further word, only says what would be tried again, and why the rest would not.
    """
    if not jobs and given["task_id"] is None:
        raise click.UsageError("Name jobs, or a --task.")
    client = client_for(url)
    jobs = tuple(
        job if _ID.fullmatch(job) else _whole_id(client, job, given["experiment"]) for job in jobs
    )
    if here:
        sys.exit(_run_here(client, jobs, given))
    asked = {
        name: given[name]
        for name in ("experiment", "task_id", "memory_factor", "other_site")
        if given[name] is not None
    }
    if form is not None:
        _write(client, asked, jobs, form, output)
    elif given["is_ordered"]:
        body = {**asked, "jobs": list(jobs), "who": given["who"] or "-", "why": given["why"]}
        answer = client.order_retries(body)
        emit(
            answer,
            f"Ordered {counted(len(answer['tries']), 'job')}.\n{_shown(answer)}",
            as_json=as_json,
        )
    else:
        answer = _asked(client, asked, jobs)
        emit(answer, _shown(answer), as_json=as_json)
        sys.exit(0 if answer["tries"] else 1)


@click.command(name="retry-policy")
@click.argument("experiment")
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@url_option
@json_option
def retry_policy(*, experiment: str, file: Path | None, url: str | None, as_json: bool) -> None:
    """Show what EXPERIMENT has tried again without asking, or declare it by FILE.

    TOML, a table `[stages.NAME]` each, `*` for the rest.
    """
    client = client_for(url)
    if file is not None:
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
            raise BadInputError(f"{file}: {problem}.") from None
        client.declare_retry_policies(experiment, document)
    shown = client.retry_policies(experiment)
    rows = [{"stage": stage, **policy} for stage, policy in shown["stages"].items()]
    columns = {
        "stage": "STAGE",
        "times": "TIMES",
        "transient_only": "TRANSIENT ONLY",
        "memory_factor": "MEMORY",
        "other_site": "OTHER SITE",
    }
    emit(shown, table(rows, columns), as_json=as_json)


def _whole_id(client: Client, begun: str, experiment: str) -> str:
    """Return the id of the job that a batch id or the first digits of an id name."""
    return client.job(begun, experiment=experiment).summary.job_id


def _asked(client: Client, asked: dict[str, Any], jobs: Sequence[str]) -> dict[str, Any]:
    """Return what would be tried again, asked in parts that fit into an address."""
    if not jobs:
        return client.retries(**asked)
    found: dict[str, Any] = {"tries": [], "skipped": [], "by_class": {}}
    classes: Counter[str] = Counter()
    for start in range(0, len(jobs), _AT_ONCE):
        part = client.retries(**asked, jobs=",".join(jobs[start : start + _AT_ONCE]))
        found["tries"] += part["tries"]
        found["skipped"] += part["skipped"]
        classes.update(part["by_class"])
    return {**found, "by_class": dict(classes)}


def _shown(answer: dict[str, Any]) -> str:
    lines = [
        f"{counted(len(answer['tries']), 'job')} to be tried again, {len(answer['skipped'])} not."
    ]
    for each in answer["tries"]:
        read = each["class"] or {}
        words = (
            f"{read.get('class', 'unknown')}, attempt {each['attempt']}, from its {each['from']}"
        )
        lines.append(f"  {each['job_id']}  {each['unit']}  {words}")
    if short := sum(each.get("runs_out_again", False) for each in answer["tries"]):
        lines.append(
            f"{short} of them took more memory than they may, and would get no more now: "
            "--memory-factor 1.5 asks for it."
        )
    lines += [
        f"  not {each['job_id']}  {each['unit'] or '-'}: {each['reason']}"
        for each in answer["skipped"]
    ]
    return "\n".join(lines)


def _write(
    client: Client, asked: dict[str, Any], jobs: Sequence[str], form: str, folder: Path | None
) -> None:
    """Write what submits the tries by hand, with all that it needs beside it."""
    if len(jobs) > _AT_ONCE:
        raise BadInputError(
            f"{len(jobs)} jobs do not fit into one submission by hand; name {_AT_ONCE} at most, "
            "or --order."
        )
    query = {**asked, "jobs": ",".join(jobs)} if jobs else asked
    text = client.retries_text(form, **query)
    if form == "sam":
        click.echo(text, nl=False)
        return
    if folder is None:
        raise click.UsageError("Where to? Give a folder with -o.")
    folder.mkdir(parents=True, exist_ok=True)
    tries = _asked(client, asked, jobs)["tries"]
    if not tries:
        raise BadInputError(
            "There is nothing to be tried again; without --format, the command says why."
        )
    build(str(folder / HOOK))
    _put(folder / SCRIPT, retry_script(), 0o755)
    if settings_with(url=client.url).token:
        _write_ticket(client, folder, tries, asked["experiment"])
    if form == "condor":
        for each in tries:
            client.save_bundle(
                each["job_id"], folder / f"{each['job_id']}.tar", experiment=asked["experiment"]
            )
    name = SUBMIT_FILE if form == "condor" else "retry.sh"
    _put(folder / name, text, 0o644 if form == "condor" else 0o755)
    then = f"condor_submit {SUBMIT_FILE}" if form == "condor" else "./retry.sh"
    click.echo(f"{counted(len(tries), 'job')} in {folder}. Now: cd {folder} && {then}")


def _write_ticket(
    client: Client, folder: Path, tries: Sequence[dict[str, Any]], experiment: str
) -> None:
    tasks = sorted({each["task_id"] for each in tries})
    if len(tasks) > 1:
        raise BadInputError(
            f"A ticket is of one task, and these are of {', '.join(tasks[:5])}: write one folder "
            "a task."
        )
    _put(folder / TICKET, client.issue_ticket(tasks[0], experiment).ticket + "\n", 0o600)


def _put(file: Path, text: str, mode: int) -> None:
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
