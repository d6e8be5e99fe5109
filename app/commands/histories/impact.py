"""`jobprov impact` and `rebuild-file`: what is touched by something, and what makes a lost file again."""

import re
import sys
from typing import Any

import click

from jobprov.app.commands.lookup.asking import client_for
from jobprov.app.commands.terminal.opening import (
    emit,
    experiment_option,
    file_name,
    json_option,
    table,
    url_option,
)
from jobprov.provenance.lineage.sentences import impact_words
from jobprov.provenance.lineage.words import counted

_LISTED = 20


@click.command()
@click.option(
    "--revision",
    help="Jobs that ran this commit or tag; X..Y for all commits from X to Y, both included.",
)
@click.option("--software", help="Jobs that used code of this name; with --revision, of that code.")
@click.option(
    "--parameter",
    help="Jobs whose configuration has this parameter; its key, with * for any letters.",
)
@click.option(
    "--value", help="With --parameter: its value, such as 5, '<5', '[1,2]' or '~Slicer*'."
)
@click.option("--host", help="Jobs on this worker node.")
@click.option("--site", help="Jobs at this site.")
@click.option("--file", type=file_name, help="Jobs that produced or consumed this file.")
@click.option(
    "--reads", type=file_name, help="Jobs that consumed this file: what was made from it."
)
@click.option(
    "--file-experiment", help="Whose file it is, where several experiments know its name."
)
@click.option("--campaign", help="Jobs of this campaign.")
@click.option("--stage", help="Jobs of this stage.")
@click.option("--task", "task_id", help="Jobs of this task.")
@click.option("--state", help="running, succeeded, failed, killed or lost.")
@click.option("--started-after", metavar="TIME", help="Jobs that started at or after this time.")
@click.option("--started-before", metavar="TIME", help="Jobs that started before this time.")
@click.option("--direct", is_flag=True, help="Only what these jobs made themselves.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "csv", "ndjson"]),
    default="text",
    show_default=True,
)
@experiment_option
@url_option
@json_option
def impact(*, form: str, direct: bool, url: str | None, as_json: bool, **query: Any) -> None:
    """Tell which files some jobs made, and all that was made from these."""
    client = client_for(url)
    if form != "text" and not as_json:
        for line in client.impact_lines(form, direct=direct, **query):
            click.echo(line)
        return
    found = client.impact(direct=direct, **query)
    asked = {name for name, value in query.items() if value is not None}
    is_of_file = (
        "reads" in asked <= {"reads", "experiment", "file_experiment", "namespace"}
        and found["made"] is not None
    )
    text = impact_words(found, is_direct=direct) if is_of_file else _impact_text(found)
    for code in found["inferred"]:
        text += f"\nThat {code['name']} {code['version']} is commit {code['commit']} is inferred from its version."
    if found["files"]:
        columns = {"name": "FILE", "stage": "STAGE", "task_id": "TASK", "job_id": "JOB"}
        text += "\n" + table(found["files"][:_LISTED], columns)
    if found["next"] or len(found["files"]) > _LISTED:
        text += "\nAll of them: --format csv"
    emit(found, text, as_json=as_json)


def _impact_text(found: dict[str, Any]) -> str:
    if not found["jobs"]:
        return "No job was found: none ran so, or a name is not spelt as it is recorded."
    if found["made"] is None:
        return f"{counted(found['jobs'], 'job')}: too many to follow what was made from their files. Narrow them down."
    return (
        f"{counted(found['jobs'], 'job')} made {counted(found['made'], 'file')}; with what was made from these, "
        f"{counted(found['touched'], 'file')} of {counted(found['touched_jobs'], 'job')} are touched."
    )


def _lost_name(given: str) -> str:
    """Return the name of a lost file: EXPERIMENT/NAMESPACE:NAME as it is, of a path or an address the last part."""
    return given if re.fullmatch(r"[^/:]+/[^/:]*:[^/]+", given) else file_name(given)


@click.command()
@click.argument("file", type=file_name)
@click.option(
    "--lost",
    type=_lost_name,
    multiple=True,
    help="Another file that is lost too, as NAME, NAMESPACE:NAME or EXPERIMENT/NAMESPACE:NAME; may be repeated.",
)
@click.option(
    "--from-scratch", is_flag=True, help="Take every file as lost that a recorded job made."
)
@click.option("--namespace", help="Needed where several namespaces know the name.")
@experiment_option
@url_option
@json_option
def rebuild_file(
    *, file: str, lost: tuple[str, ...], url: str | None, as_json: bool, **query: Any
) -> None:
    """Tell which jobs, in which order, make FILE again. Exit code 1 where no recorded job can."""
    plan = client_for(url).rebuild_plan(file, lost=",".join(lost) or None, **query)
    emit(plan, _plan_text(plan), as_json=as_json)
    sys.exit(0 if plan["is_possible"] else 1)


def _plan_text(plan: dict[str, Any]) -> str:
    name, jobs = plan["file"]["name"], plan["jobs"]
    if not plan["is_possible"]:
        head = f"{name} cannot be made again. {plan['why']}"
    else:
        head = f"{counted(len(jobs), 'job')} make{'s' if len(jobs) == 1 else ''} {name} again, in this order:"
    rows = [{**job, "makes": ", ".join(job["makes"][:3])} for job in jobs]
    lines = (
        [head, table(rows, {"job_id": "JOB", "stage": "STAGE", "grade": "GRADE", "makes": "MAKES"})]
        if rows
        else [head]
    )
    needs = [file["name"] for file in plan["needs"]]
    if needs:
        more = f" and {len(needs) - _LISTED} more" if len(needs) > _LISTED else ""
        lines.append(f"Taken as they are: {', '.join(needs[:_LISTED])}{more}")
    if rows and plan["is_possible"]:
        lines.append(f"Run the first: jobprov rerun {jobs[0]['job_id']} --into FOLDER")
    return "\n".join(lines)


COMMANDS = {"impact": impact, "rebuild-file": rebuild_file}
