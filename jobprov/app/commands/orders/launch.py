"""`jobprov launch`: submit what a workflow orders, and watch it."""

import hashlib
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click

from jobprov.app.commands.orders.launching import (
    AGAIN,
    LaunchingOptions,
    every,
    launching_options,
    runner_of,
    say_problems,
)
from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import emit, json_option
from jobprov.provenance.answers.orders.workflows import WorkflowStanding
from jobprov.provenance.client import Client
from jobprov.provenance.errors import BadInputError, UnreachableError
from jobprov.provenance.launchers.workflow import LONGEST_BYTES, Stage, Workflow, read_workflow
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.services.agents.submission import summary


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Only check whether the workflow can be read.")
@click.option(
    "--by-agent", is_flag=True, help="Declare it and leave the submitting to `jobprov agent`."
)
@click.option(
    "--resume",
    is_flag=True,
    help="Resume a stopped workflow; earlier failures are ignored.",
)
@click.option("--stop", is_flag=True, help="Order nothing more; submitted jobs go on.")
@click.option(
    "--freeze",
    is_flag=True,
    help="Take no more files from sources that stages follow, and return; with --resume, launch.",
)
@click.option(
    "--who",
    default=lambda: os.environ.get("USER", "-"),
    help="The person who decides; USER by default.",
)
@click.option(
    "--why", default="by hand", show_default=True, help="The reason, for whoever asks in a year."
)
@launching_options
@json_option
def launch(
    *,
    file: Path,
    check: bool,
    by_agent: bool,
    resume: bool,
    stop: bool,
    freeze: bool,
    who: str,
    why: str,
    url: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Launch the workflow in FILE (TOML), and watch it until it is complete or stopped.

    Files go to the next stage as they appear. Killed and started again, it goes on and submits
    nothing twice. Exit code 1 where it was stopped.
    """
    state = _requested_state(stop=stop, resume=resume, freeze=freeze)
    text = _read(file)
    workflow = read_workflow(text, file.name)
    shipped = _shipped(workflow, file.parent)
    if check:
        stages = [stage.name for stage in workflow.stages]
        document = {"name": workflow.name, "stages": stages}
        emit(document, _described(workflow), as_json=as_json)
        return
    client = client_for(url)
    launched = _Launched(client, workflow, _declare(client, workflow, text, shipped))
    if state is not None:
        launched.set_state({"state": state, "who": who, "why": why, "is_frozen": freeze})
    only_freezes = freeze and not resume
    if not (by_agent or stop or only_freezes):
        _watch(launched, LaunchingOptions(**given))
    standing = launched.standing()
    emit(standing, launched.described(standing), as_json=as_json)
    if standing.state == "stopped" and not stop:
        sys.exit(1)


def _requested_state(*, stop: bool, resume: bool, freeze: bool) -> str | None:
    """Return the state that the options ask for; None where they leave it as it is."""
    if stop:
        if resume or freeze:
            raise click.UsageError("--stop goes alone: --resume and --freeze let it go on.")
        return "stopped"
    return "running" if resume or freeze else None


class _Launched(NamedTuple):
    """A version of a workflow that is declared at a service."""

    client: Client
    workflow: Workflow
    version: int

    def standing(self) -> WorkflowStanding:
        """Return how it stands."""
        return self.client.workflow(
            self.workflow.name, experiment=self.workflow.experiment, version=self.version
        )

    def advance(self, *, follow: bool) -> WorkflowStanding:
        """Have what is ready ordered; return how it stands then."""
        return self.client.advance_workflow(
            self.workflow.name,
            experiment=self.workflow.experiment,
            version=self.version,
            follow=follow,
        )

    def set_state(self, state: Mapping[str, object]) -> None:
        """Let it run, or stop it: `{state, who, why, is_frozen}`."""
        self.client.set_workflow_state(
            self.workflow.name, state, experiment=self.workflow.experiment, version=self.version
        )

    def described(self, standing: WorkflowStanding) -> str:
        """Return how it stands, for people, with the address of its page."""
        return f"{summary(standing)}\n{standing.state}: {standing.why}\n{self.page()}"

    def page(self) -> str:
        """Return the address of its page."""
        place = f"{self.workflow.experiment}/{self.workflow.name}"
        return f"{self.client.url}/workflows/{place}?version={self.version}"


def _watch(launched: _Launched, options: LaunchingOptions) -> None:
    """Take turns until the workflow runs no more and none of its jobs is left."""
    last_summary = last_failed = ""
    is_due = every(options.follow_interval)
    workflow = launched.workflow
    with runner_of(launched.client, workflow.experiment, options, workflow.name) as turn:
        while True:
            try:
                standing = launched.advance(follow=is_due())
            except UnreachableError as problem:
                click.echo(f"{problem} {AGAIN}", err=True)
                time.sleep(options.interval)
                continue
            say_problems(standing)
            if summary(standing) != last_summary:
                last_summary = summary(standing)
                click.echo(last_summary, err=True)
            done = turn()
            is_busy = done is None or done.is_busy
            if standing.state != "running" and not is_busy:
                return
            failed = _failed(standing)
            if failed and failed != last_failed and not is_busy:
                last_failed = failed
                click.echo(
                    f"{failed} failed for good: retry, or go on without: {launched.page()}",
                    err=True,
                )
            time.sleep(options.interval)


def _failed(standing: WorkflowStanding) -> str:
    """Return how many units of which stages need a decision, in words; '' where none does."""
    failed = []
    for stage in standing.stages:
        if stage.failed:
            failed.append(f"{counted(stage.failed, 'unit')} of {stage.stage}")
    return ", ".join(failed)


def _shipped(workflow: Workflow, beside: Path) -> dict[str, bytes]:
    """Return the files that the workflow ships, by their names."""
    shipped = {}
    for name in workflow.shipped():
        try:
            shipped[name] = (beside / name).read_bytes()
        except OSError as problem:
            raise BadInputError(
                f"The workflow ships {name}, which cannot be read beside it: {problem.strerror}."
            ) from None
    return shipped


def _declare(client: Client, workflow: Workflow, text: str, shipped: Mapping[str, bytes]) -> int:
    """Send what the workflow ships and declare it; return its version."""
    files: dict[str, str] = {}
    for name, content in shipped.items():
        files[name] = hashlib.sha256(content).hexdigest()
        client.put_blob(files[name], content)
    return client.declare_workflow(workflow.name, {"text": text, "files": files}).version


def _read(file: Path) -> str:
    if file.stat().st_size > LONGEST_BYTES:
        raise BadInputError(
            f"{file} is longer than {LONGEST_BYTES} bytes, so it cannot be a workflow."
        )
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise BadInputError(f"{file} cannot be read: {problem}.") from None


def _described(workflow: Workflow) -> str:
    lines = [
        f"{workflow.name} of {workflow.experiment} can be read: {len(workflow.stages)} stages."
    ]
    for stage in workflow.stages:
        units = _units_described(stage)
        if stage.merge:
            units += f", {stage.merge} files a job"
        lines.append(f"  {stage.name}: {units}; {' '.join(stage.command)}")
    return "\n".join(lines)


def _units_described(stage: Stage) -> str:
    if stage.after is not None:
        return f"reads {stage.after}"
    if stage.source is not None:
        followed = ", followed" if stage.follow else ""
        return f"files of {stage.source.words()}{followed}"
    return counted(stage.count or len(stage.files or ()), "unit")


COMMANDS = {"launch": launch}
EXAMPLES = {
    "launch": (
        "jobprov launch workflow.toml --check",
        "jobprov launch workflow.toml --launcher local --slots 4",
    ),
}
