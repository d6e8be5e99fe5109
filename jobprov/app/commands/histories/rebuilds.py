"""`jobprov rebuild-file`: the jobs that make a lost file again."""

import re
import sys
from typing import Any

import click
from msgspec.structs import asdict

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import emit, experiment_option, file_name
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.provenance.answers.catalogs.replicas import LocatedFiles
from jobprov.provenance.answers.histories.rebuilds import RebuildPlan, RebuildStep
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, enumerated
from jobprov.provenance.records.files.names import full_name

_MOST_NAMED = 20
_MOST_OUTPUTS = 3
_COLUMNS: Columns[RebuildStep] = {
    "JOB": lambda step: step.job_id,
    "STAGE": lambda step: step.stage,
    "GRADE": lambda step: step.grade,
    "MAKES": lambda step: ", ".join(step.makes[:_MOST_OUTPUTS]),
}


def _lost_name(given: str) -> str:
    """Return the name of a lost file: EXPERIMENT/NAMESPACE:NAME as it is.

    Of any other path it is the last part.
    """
    is_full_name = re.fullmatch(r"[^/:]+/[^/:]*:[^/]+", given)
    return given if is_full_name else file_name(given)


@click.command()
@click.argument("file", type=file_name)
@click.option(
    "--lost",
    type=_lost_name,
    multiple=True,
    help="Another lost file: NAME, NAMESPACE:NAME or EXPERIMENT/NAMESPACE:NAME; can be repeated.",
)
@click.option(
    "--from-scratch", is_flag=True, help="Treat every file as lost that a recorded job made."
)
@click.option(
    "--locate",
    is_flag=True,
    help="Also ask the experiment's Rucio or SAM where the existing inputs are.",
)
@click.option("--namespace", help="Needed where several namespaces know the name.")
@experiment_option
@asks_service
def rebuild_file(
    *, file: str, lost: tuple[str, ...], locate: bool, client: Client, as_json: bool, **query: Any
) -> None:
    """List the jobs that make FILE again, in order. Exit code 1 where no recorded job can."""
    query["lost"] = ",".join(lost) or None
    plan = client.rebuild_plan(file, **query)
    if not locate:
        emit(plan, _text(plan), as_json=as_json)
    else:
        located = client.rebuild_replicas(file, **query)
        content = {**asdict(plan), "located": located}
        text = "\n".join([_text(plan), *_places(located)])
        emit(content, text, as_json=as_json)
    sys.exit(0 if plan.is_possible else 1)


def _text(plan: RebuildPlan) -> str:
    lines = [_sentence(plan)]
    if plan.jobs:
        lines.append(table(plan.jobs, _COLUMNS))
    if plan.needs:
        names = enumerated([file.name for file in plan.needs], _MOST_NAMED)
        lines.append(f"Taken as they are: {names}")
    if plan.jobs and plan.is_possible:
        lines.append(f"Run the first: jobprov rerun {plan.jobs[0].job_id} --into FOLDER")
    return "\n".join(lines)


def _places(located: LocatedFiles) -> list[str]:
    """Return where the existing inputs are, and the names of those that are nowhere."""
    lines, nowhere = [], []
    for file in located.files:
        name = full_name(file.name, file.namespace)
        if file.replicas:
            lines.append(f"  {name}: {file.replicas[0].address}")
        else:
            nowhere.append(name)
    if len(lines) > _MOST_NAMED:
        lines[_MOST_NAMED:] = [f"  and {len(lines) - _MOST_NAMED} more; --json has all"]
    if nowhere:
        names = enumerated(nowhere, _MOST_NAMED)
        lines.append(
            f"No copy is known of {names}. If they are lost too, add --lost NAME for each."
        )
    if located.problem:
        lines.append(located.problem)
    return lines


def _sentence(plan: RebuildPlan) -> str:
    name = plan.file.name
    if not plan.is_possible:
        return f"{name} cannot be made again. {plan.why}"
    verb = "makes" if len(plan.jobs) == 1 else "make"
    return f"{counted(len(plan.jobs), 'job')} {verb} {name} again, in this order:"


COMMANDS = {"rebuild-file": rebuild_file}
EXAMPLES = {
    "rebuild-file": ("jobprov rebuild-file merge_dimuon.root --lost gen_0004.root --locate",),
}
