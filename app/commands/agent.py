"""`jobprov agent` and `jobprov launch`: submit what is ordered, under the account that runs this; the service has no credential."""

import fcntl
import hashlib
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from app.commands.asking import client_for
from app.commands.opening import emit, json_option, settings_with, url_option
from app.commands.witness import look
from provenance.capture.packing import build
from provenance.client import Client
from provenance.errors import BadInputError, ConflictError, UnreachableError
from provenance.launchers.condor_launcher import CondorLauncher
from provenance.launchers.job import Launcher
from provenance.launchers.local_launcher import LocalLauncher
from provenance.launchers.workflow import LONGEST_BYTES, Stage, Workflow, read_workflow
from provenance.services.order_jobs import Workshop
from provenance.services.run_orders import OrderRunner, summary

_WITNESS_SECONDS = 60
_RETRY_SECONDS = 60
_DAYS = 30
_AGAIN = "The next look tries again."


def _launching(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of whatever submits jobs."""
    for option in reversed((
        click.option(
            "--launcher", "kind", type=click.Choice(["condor", "local"]), default="condor", show_default=True,
            help="HTCondor, or this machine, for trials.",
        ),
        click.option("--folder", type=click.Path(path_type=Path), help="For the jobs' folders; jobprov-agent by default."),
        click.option("--slots", type=click.IntRange(1, 1000), default=2, show_default=True, help="Local jobs at a time."),
        click.option("--schedd", help="Name of the schedd, where it is not this machine's own."),
        click.option("--submit-line", "lines", multiple=True, help="One more line for every submit file."),
        click.option("--hook", type=click.Path(path_type=Path), help="The hook; built by default."),
        click.option("--interval", type=click.FloatRange(0.1, 3600), default=10, show_default=True, help="Seconds between looks."),
        click.option(
            "--follow-interval", type=click.FloatRange(0.1, 86400), default=300, show_default=True,
            help="Seconds between looks into the catalog for what appeared in sources that stages follow.",
        ),
        click.option("--witness/--no-witness", "witnesses", default=True, help="Tell what HTCondor saw of jobs, once a minute."),
        url_option,
    )):  # fmt: skip
        function = option(function)
    return function


@click.command()
@click.option("--experiment", required=True, help="Whose orders.")
@click.option("--once", is_flag=True, help="One look, for cron.")
@click.option(
    "--retry-task",
    "tasks",
    multiple=True,
    help="Order without asking what the policy of this task offers; once a minute.",
)
@_launching
def agent(*, experiment: str, once: bool, tasks: tuple[str, ...], url: str | None, **given: Any) -> None:
    """Submit retries and workflows of an experiment that were ordered, and tell the service what became of them.

    Runs under the production account, on a submit node; the service never sees its credential. Killed and started again, it submits
    nothing twice.
    """
    client = client_for(url)
    retried = 0.0
    is_due = _every(given["follow_interval"])
    with _runner(client, experiment, given, None) as turn:
        while True:
            try:
                _advance_all(client, experiment, follow=is_due())
                if tasks and (not retried or time.monotonic() - retried > _RETRY_SECONDS):
                    retried = time.monotonic()
                    _retry_all(client, experiment, tasks)
            except UnreachableError as problem:
                click.echo(f"{problem} {_AGAIN}", err=True)
            turn()
            if once:
                return
            time.sleep(given["interval"])


def _every(seconds: float) -> Callable[[], bool]:
    """Return what says whether so many seconds are over since it last said so; at first they are."""
    last: float | None = None

    def is_due() -> bool:
        nonlocal last
        if last is not None and time.monotonic() - last < seconds:
            return False
        last = time.monotonic()
        return True

    return is_due


def _advance_all(client: Client, experiment: str, *, follow: bool) -> None:
    for shown in client.workflows(experiment=experiment):
        if shown["state"] == "running":
            where = {"experiment": experiment, "version": shown["version"]}
            _say_problems(client.advance_workflow(shown["name"], **where, follow=follow))


def _say_problems(shown: dict[str, Any]) -> None:
    """Say which sources that stages follow could not be asked; the next look asks again."""
    for stage in shown["stages"]:
        if problem := stage.get("follow_problem"):
            click.echo(f"{shown['name']}, stage {stage['stage']}: {problem}", err=True)


def _retry_all(client: Client, experiment: str, tasks: tuple[str, ...]) -> None:
    for task in tasks:
        said = {"experiment": experiment, "task_id": task, "who": "jobprov agent", "why": "the policy of its stage"}
        if tries := client.order_retries(said)["tries"]:
            click.echo(f"{len(tries)} of task {task} ordered again by its policy", err=True)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Only say whether the workflow can be read.")
@click.option("--by-agent", is_flag=True, help="Declare it and leave the submitting to `jobprov agent`.")
@click.option("--resume", is_flag=True, help="Go on although it was stopped; what failed until now counts no more.")
@click.option("--stop", is_flag=True, help="Order nothing more; what was submitted goes on.")
@click.option("--freeze", is_flag=True, help="Take nothing more from sources that stages follow: what is there is all.")
@click.option("--who", default=lambda: os.environ.get("USER", "-"), help="The person who decides; USER by default.")
@click.option("--why", default="by hand", show_default=True, help="The reason, for whoever asks in a year.")
@_launching
@json_option
def launch(
    *,
    file: Path,
    check: bool,
    by_agent: bool,
    resume: bool,
    stop: bool,
    freeze: bool,
    url: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Launch the workflow in FILE (TOML), and watch it until it is complete or stopped.

    Files go to the next stage as they appear. Killed and started again, it goes on and submits nothing twice. Exit code 1 where it
    was stopped.
    """
    if stop and (resume or freeze):
        raise click.UsageError("--stop goes alone: --resume and --freeze let it go on.")
    text = _read(file)
    workflow = read_workflow(text, file.name)
    if check:
        emit(
            {"name": workflow.name, "stages": [stage.name for stage in workflow.stages]},
            _described(workflow),
            as_json=as_json,
        )
        return
    client = client_for(url)
    version = _declare(client, workflow, text, file.parent)
    where: dict[str, Any] = {"experiment": workflow.experiment, "version": version}
    shown = client.workflow(workflow.name, **where)
    if resume or stop or freeze:
        said = {
            "state": "stopped" if stop else "running",
            "who": given["who"],
            "why": given["why"],
            "is_frozen": freeze,
        }
        shown = client.set_workflow_state(workflow.name, said, **where)
    if not (by_agent or stop):
        shown = _watch(client, workflow, version, given)
    page = f"{client.url}/workflows/{workflow.experiment}/{workflow.name}?version={version}"
    emit(shown, f"{summary(shown)}\n{shown['state']}: {shown['why']}\n{page}", as_json=as_json)
    sys.exit(1 if shown["state"] == "stopped" and not stop else 0)


def _watch(client: Client, workflow: Workflow, version: int, given: dict[str, Any]) -> dict[str, Any]:
    """Take turns until the workflow runs no more and none of its jobs is left; return how it stands then."""
    where: dict[str, Any] = {"experiment": workflow.experiment, "version": version}
    said = ""
    is_due = _every(given["follow_interval"])
    with _runner(client, workflow.experiment, given, workflow.name) as turn:
        while True:
            try:
                shown = client.advance_workflow(workflow.name, **where, follow=is_due())
                _say_problems(shown)
            except UnreachableError as problem:
                click.echo(f"{problem} {_AGAIN}", err=True)
                time.sleep(given["interval"])
                continue
            if (words := summary(shown)) != said:
                said = words
                click.echo(words, err=True)
            is_busy = turn()
            if shown["state"] != "running" and not is_busy:
                return client.workflow(workflow.name, **where)
            time.sleep(given["interval"])


@contextmanager
def _runner(
    client: Client, experiment: str, given: dict[str, Any], workflow: str | None
) -> Iterator[Callable[[], bool]]:
    """Yield what takes one turn, and returns whether jobs are left; alone in its folder."""
    folder = (given["folder"] or Path("jobprov-agent")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    hook = given["hook"].resolve() if given["hook"] else folder / "job-end-hook.pyz"
    if given["hook"] is None:
        build(str(hook))  # type: ignore[no-untyped-call]
    settings = settings_with(url=client.url)
    is_local = given["kind"] == "local"
    launcher: Launcher = (
        LocalLauncher(folder / "jobs", given["slots"])
        if is_local
        else CondorLauncher(
            folder / "jobs", schedd=given["schedd"], since=time.time() - _DAYS * 86400, lines=given["lines"]
        )
    )
    shop = Workshop(client, experiment, folder, hook, needs_tickets=bool(settings.token), names_jobs=is_local)
    holder = f"{socket.gethostname()}:{folder}"
    runner = OrderRunner(client, launcher, shop, holder, workflow, lambda line: click.echo(line, err=True))
    witnessed = 0.0

    def turn() -> bool:
        nonlocal witnessed
        try:
            done = runner.turn()
            if words := done.words():
                click.echo(words, err=True)
            if given["witnesses"] and not is_local and time.monotonic() - witnessed > _WITNESS_SECONDS:
                witnessed = time.monotonic()
                look(settings, folder / "witness.db", experiment=experiment, schedd=given["schedd"])
        except UnreachableError as problem:
            click.echo(f"{problem} {_AGAIN}", err=True)
            return True
        return bool(done.open or done.submitted or done.ended)

    with _alone(folder):
        yield turn


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("a", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConflictError(f"Another agent or launch works in {folder}; give this one another --folder.") from None
        yield


def _declare(client: Client, workflow: Workflow, text: str, beside: Path) -> int:
    """Send what the workflow ships and declare it; return its version."""
    files: dict[str, str] = {}
    for name in workflow.shipped():
        try:
            content = (beside / name).read_bytes()
        except OSError as problem:
            raise BadInputError(
                f"The workflow ships {name}, which cannot be read beside it: {problem.strerror}."
            ) from None
        files[name] = hashlib.sha256(content).hexdigest()
        client.put_blob(files[name], content)
    return int(client.declare_workflow(workflow.name, {"text": text, "files": files})["version"])


def _read(file: Path) -> str:
    if file.stat().st_size > LONGEST_BYTES:
        raise BadInputError(f"{file} is longer than {LONGEST_BYTES} bytes, so it is no workflow.")
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadInputError(f"{file} cannot be read: {problem}.") from None


def _described(workflow: Workflow) -> str:
    lines = [f"{workflow.name} of {workflow.experiment} can be read: {len(workflow.stages)} stages."]
    for stage in workflow.stages:
        units = _units_words(stage)
        merge = f", {stage.merge} files a job" if stage.merge else ""
        lines.append(f"  {stage.name}: {units}{merge}; {' '.join(stage.command)}")
    return "\n".join(lines)


def _units_words(stage: Stage) -> str:
    if stage.after is not None:
        return f"reads {stage.after}"
    if stage.source is not None:
        return f"files of {stage.source.words()}" + (", followed" if stage.follow else "")
    return f"{stage.count or len(stage.files or ())} units"


COMMANDS = {"agent": agent, "launch": launch}
