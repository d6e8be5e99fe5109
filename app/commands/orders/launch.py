"""`jobprov launch`: submit what a workflow orders, and watch it."""

import hashlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from jobprov.app.commands.orders.launching import (
    AGAIN,
    every,
    launching_options,
    runner_of,
    say_problems,
)
from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import emit, json_option
from jobprov.provenance.client import Client
from jobprov.provenance.errors import BadInputError, UnreachableError
from jobprov.provenance.launchers.workflow import LONGEST_BYTES, Stage, Workflow, read_workflow
from jobprov.provenance.services.agents.submission import summary


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--check", is_flag=True, help="Only say whether the workflow can be read.")
@click.option(
    "--by-agent", is_flag=True, help="Declare it and leave the submitting to `jobprov agent`."
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on although it was stopped; what failed until now counts no more.",
)
@click.option("--stop", is_flag=True, help="Order nothing more; what was submitted goes on.")
@click.option(
    "--freeze",
    is_flag=True,
    help="Take nothing more from sources that stages follow: what is there is all.",
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
    url: str | None,
    as_json: bool,
    **given: Any,
) -> None:
    """Launch the workflow in FILE (TOML), and watch it until it is complete or stopped.

    Files go to the next stage as they appear. Killed and started again, it goes on and submits
    nothing twice. Exit code 1 where it was stopped.
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


def _watch(
    client: Client, workflow: Workflow, version: int, given: dict[str, Any]
) -> dict[str, Any]:
    """Take turns until the workflow runs no more and none of its jobs is left.

    Return how it stands then.
    """
    where: dict[str, Any] = {"experiment": workflow.experiment, "version": version}
    said = ""
    is_due = every(given["follow_interval"])
    with runner_of(client, workflow.experiment, given, workflow.name) as turn:
        while True:
            try:
                shown = client.advance_workflow(workflow.name, **where, follow=is_due())
                say_problems(shown)
            except UnreachableError as problem:
                click.echo(f"{problem} {AGAIN}", err=True)
                time.sleep(given["interval"])
                continue
            if (words := summary(shown)) != said:
                said = words
                click.echo(words, err=True)
            is_busy = turn()
            if shown["state"] != "running" and not is_busy:
                return client.workflow(workflow.name, **where)
            time.sleep(given["interval"])


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
    lines = [
        f"{workflow.name} of {workflow.experiment} can be read: {len(workflow.stages)} stages."
    ]
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


COMMANDS = {"launch": launch}
