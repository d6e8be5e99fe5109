"""`jobprov register`: tell the service of a task when it is submitted.

The answer is the ticket that the task's jobs report with.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import click

from jobprov.app.commands.tasks.unit_lists import read_units
from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import OutputFile, emit, option_with_default
from jobprov.provenance.capture.secrets.arguments import redact_arguments
from jobprov.provenance.client import Client
from jobprov.provenance.errors import BadInputError, ConflictError, NotFoundError
from jobprov.provenance.launchers import job_start
from jobprov.provenance.launchers.hook_file import put_hook
from jobprov.provenance.launchers.jobsub import (
    FORMS,
    Form,
    Submission,
    read_job_info,
    settings_lines,
)
from jobprov.provenance.launchers.resubmitting import HOOK

_NAMESPACE = re.compile(r"[A-Za-z0-9_.-]+")
_FILE = click.Path(dir_okay=False, path_type=Path)


class _Options(NamedTuple):
    """The options of `register`, which describe the task and its ticket."""

    experiment: str | None
    task_id: str | None
    namespace: str | None
    campaign: str | None
    stage: str | None
    units: TextIO | None
    unit_count: int | None
    output_patterns: tuple[str, ...]
    outputs_per_unit: int | None
    with_ticket: bool | None
    ticket_file: Path | None
    hook_folder: Path | None
    days: int


@click.command()
@click.argument("job_info", metavar="[BATCH_ID ARGV]", nargs=-1)
@click.option(
    "--experiment",
    help=(
        "JOBPROV_EXPERIMENT or EXPERIMENT by default; with BATCH_ID, the group of the submission."
    ),
)
@click.option(
    "--task",
    "--task-id",
    "task_id",
    help=(
        "POMS_TASK_ID by default; with BATCH_ID, what the submission gives its jobs, else BATCH_ID."
    ),
)
@click.option(
    "--namespace",
    help="The MetaCat namespace of files that its jobs name without one.",
)
@click.option("--campaign", help="The campaign that the task is part of.")
@click.option("--stage", help="The stage that the task is a submission of.")
@click.option(
    "--units",
    type=click.File(encoding="utf-8"),
    help="File of the frozen input list: a name, path or address a line; - for standard input.",
)
@click.option(
    "--count",
    "unit_count",
    type=click.IntRange(0, 1_000_000),
    help="How many units there are, where no list is given.",
)
@click.option(
    "--output-pattern",
    "output_patterns",
    multiple=True,
    help="Names of the files that make a unit done, such as 'gen_*.root'; may be repeated.",
)
@click.option(
    "--outputs-per-unit", type=click.IntRange(0, 1000), help="Files expected of each unit."
)
@click.option(
    "--ticket/--no-ticket",
    "with_ticket",
    default=None,
    help="Make a ticket; by default, not with BATCH_ID.",
)
@click.option(
    "--ticket-file",
    type=OutputFile(),
    help="Write the ticket there (mode 0600) instead of printing it.",
)
@click.option(
    "--hook-folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the hook and its start script there, and print how jobs begin with them.",
)
@option_with_default("--days", click.IntRange(1, 3650), 30, "How long the ticket is good.")
@option_with_default(
    "--format", click.Choice(FORMS), "shell", "The form of what is printed.", to="form"
)
@asks_service
def register(
    *, job_info: tuple[str, ...], client: Client, form: Form, as_json: bool, **given: Any
) -> None:
    """Register a task, and print the settings with which its jobs report.

    Before the submission: the ticket records jobs of this task alone and outlives them. After it,
    as jobsub_submit calls `--job-info SCRIPT`, with batch id and argument list: the task learns
    what was submitted.
    """
    options = _Options(**given)
    _check_namespace(options.namespace)
    submission = _submission(job_info)
    experiment, task_id = _named(options, submission)
    declared = _declare(client, experiment, task_id, _known_fields(options, submission))
    variables = {
        "JOBPROV_URL": client.url,
        "JOBPROV_EXPERIMENT": experiment,
        "JOBPROV_TASK_ID": task_id,
    }
    if options.namespace:
        variables["JOBPROV_NAMESPACE"] = options.namespace
    file = options.ticket_file
    expires_at = None
    if _needs_ticket(options, submission):
        made = client.issue_ticket(task_id, experiment, days=options.days)
        variables |= _keep(made.ticket, file)
        expires_at = made.expires_at
    document = {
        "experiment": experiment,
        "task_id": task_id,
        "declared": declared,
        "settings": variables,
        "expires_at": expires_at,
    }
    lines = [f"registered task {task_id}"]
    # After a submission settings come too late, unless somebody wants a ticket
    if submission is None or expires_at is not None:
        ticket_file = str(file.absolute()) if file else None
        lines = settings_lines(variables, form, ticket_file, _write_hook(options.hook_folder))
    emit(document, "\n".join(lines), as_json=as_json)


def _write_hook(folder: Path | None) -> list[str]:
    """Write start script and hook into a folder; return their paths, none without a folder."""
    if folder is None:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    start, hook = folder.absolute() / job_start.NAME, folder.absolute() / HOOK
    start.write_text(job_start.JOB_START, encoding="utf-8")
    start.chmod(0o755)
    put_hook(hook)
    return [str(start), str(hook)]


def _needs_ticket(options: _Options, submission: Submission | None) -> bool:
    """Whether a ticket is made: where it is asked for, or by default before a submission."""
    if options.with_ticket or options.ticket_file:
        return True
    return options.with_ticket is None and submission is None


def _check_namespace(namespace: str | None) -> None:
    if namespace and not _NAMESPACE.fullmatch(namespace):
        raise BadInputError(
            f"--namespace {namespace!r}: MetaCat takes letters, digits, _, . and - alone; "
            "the hook would leave it out.",
            {"namespace": ["letters, digits, _, . and - alone"]},
        )


def _submission(job_info: tuple[str, ...]) -> Submission | None:
    if not job_info:
        return None
    batch_id, *arguments = job_info
    if not arguments:
        raise click.UsageError(
            "Give both, batch id and argument list, as `jobsub_submit --job-info` does; or neither."
        )
    # jobsub puts the list between double quotes for a shell: a word with such quotes ends them
    return read_job_info(batch_id, " ".join(arguments), os.environ)


def _named(options: _Options, submission: Submission | None) -> tuple[str, str]:
    """Return experiment and task: as the options say, the submission, or the environment."""
    experiment, task_id = options.experiment, options.task_id
    if submission is not None:
        experiment = experiment or submission.named("JOBPROV_EXPERIMENT") or submission.experiment
        task_id = task_id or submission.task_id
    experiment = experiment or os.environ.get("JOBPROV_EXPERIMENT") or os.environ.get("EXPERIMENT")
    task_id = task_id or os.environ.get("POMS_TASK_ID")
    if not experiment:
        raise BadInputError("Which experiment? Give --experiment, or set JOBPROV_EXPERIMENT.")
    if not task_id:
        raise BadInputError(
            "Which task? Give --task-id: any name that this submission has for itself alone."
        )
    return experiment, task_id


def _known_fields(options: _Options, submission: Submission | None) -> dict[str, object]:
    """Return what is known of the task, as fields of its declaration."""
    campaign, stage, namespace = options.campaign, options.stage, options.namespace
    fields: dict[str, object] = {
        "units": options.unit_count,
        "output_patterns": list(options.output_patterns) or None,
        "outputs_per_unit": options.outputs_per_unit,
    }
    if options.units is not None:
        units = read_units(options.units)
        if not units:
            raise BadInputError(
                f"The list of units {options.units.name} is empty; leave it out where the units "
                "are not known."
            )
        fields["units"] = units
    if submission is not None:
        campaign = campaign or submission.named("JOBPROV_CAMPAIGN")
        stage = stage or submission.named("JOBPROV_STAGE")
        namespace = namespace or submission.named("JOBPROV_NAMESPACE")
        fields["batch_id"] = submission.batch_id
        fields["submit_command"] = redact_arguments(submission.argv)
        fields["submitted_jobs"] = submission.copies
    fields |= {"campaign": campaign, "stage": stage, "namespace": namespace or None}
    return {name: value for name, value in fields.items() if value is not None}


def _declare(
    client: Client, experiment: str, task_id: str, fields: Mapping[str, object]
) -> dict[str, object]:
    """Declare the task and return the declaration.

    What was declared before stays, and a frozen list is not replaced.

    Raises:
        ConflictError: other units were frozen already.
    """
    try:
        before = client.task(task_id, experiment=experiment).declared or {}
    except NotFoundError:
        before = {}
    if before.get("units") is not None and fields.get("units", before["units"]) != before["units"]:
        raise ConflictError(
            f"Other units of task {task_id} are frozen already; a further submission is another "
            "task."
        )
    declaration = {**before, **fields, "experiment": experiment}
    if before.get("namespace") is not None:
        declaration["namespace"] = before["namespace"]  # of inputs frozen from a catalog
    if declaration != before:
        client.declare_task(task_id, declaration)
    return declaration


def _keep(ticket: str, file: Path | None) -> dict[str, str]:
    """Write the ticket to a file that only its owner may read, or leave it to be printed.

    Return the setting for it.
    """
    if file is None:
        return {"JOBPROV_TOKEN": ticket}
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    try:
        with os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w"
        ) as stream:
            stream.write(ticket + "\n")
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    return {"JOBPROV_TOKEN_FILE": file.name}


COMMANDS = {"register": register}
EXAMPLES = {
    "register": (
        "jobprov register --experiment toyexp --campaign demo-2026 --stage reco --count 500",
    ),
}
