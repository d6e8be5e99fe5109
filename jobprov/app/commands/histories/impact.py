"""`jobprov impact`: what is touched by a commit, a parameter, a host, a file."""

import sys
from typing import Any

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import (
    emit,
    experiment_option,
    file_name,
    job_filters,
    option_with_default,
)
from jobprov.app.commands.terminal.tables import Columns, table
from jobprov.provenance.answers.histories.impact import Impact, ImpactedFile
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, with_version
from jobprov.provenance.services.histories.sentences import impact_sentence

_MOST_LISTED = 20
_COLUMNS: Columns[ImpactedFile] = {
    "FILE": lambda file: with_version(file.name, file.version),
    "STAGE": lambda file: file.stage,
    "TASK": lambda file: file.task_id,
    "JOB": lambda file: file.job_id,
}
_OF_A_FILE = {"reads", "experiment", "file_experiment", "namespace", "checksum"}
"""Filters that ask about one file and about nothing else."""


@click.command()
@click.option(
    "--revision",
    help="Jobs that ran this commit or tag; X..Y for all commits from X to Y, both included.",
)
@click.option(
    "--software",
    metavar="NAME=VERSION:QUALIFIERS",
    help=(
        "Jobs that used this product, such as larsoft=v09_88_00:e26:prof; or code of this name; "
        "with --revision, of that code."
    ),
)
@click.option(
    "--parameter",
    help="Jobs whose configuration has this parameter: its key, where * stands for any letters.",
)
@click.option(
    "--value", help="With --parameter: its value, such as 5, '<5', '[1,2]' or '~Slicer*'."
)
@job_filters("seed", "variable", "host", "site")
@click.option("--file", type=file_name, help="Jobs that made or read this file.")
@click.option("--reads", type=file_name, help="Jobs that read this file: what was made from it.")
@click.option("--file-experiment", help="The experiment of the file, where several know its name.")
@job_filters("checksum", "campaign", "stage", "task")
@click.option("--state", help="running, succeeded, failed, killed or lost.")
@job_filters("started_after", "started_before")
@click.option("--direct", is_flag=True, help="Only what these jobs made themselves.")
@option_with_default("--format", click.Choice(["text", "csv", "ndjson"]), "text", to="form")
@experiment_option
@asks_service
def impact(*, form: str, direct: bool, client: Client, as_json: bool, **query: Any) -> None:
    """List the files that some jobs made, and all that was made from these.

    Exit code 1 where no job matches.
    """
    if form != "text" and not as_json:
        refuse_unknown_names(client, query)
        for line in client.impact_lines(form, direct=direct, **query):
            click.echo(line)
        return
    answer = client.impact(direct=direct, **query)
    if not answer.jobs:
        refuse_unknown_names(client, query)
    filters = {name for name, value in query.items() if value is not None}
    is_of_file = "reads" in filters and filters <= _OF_A_FILE and answer.made is not None
    sentence = _sentence(answer)
    if is_of_file:
        sentence = impact_sentence(answer, is_direct=direct)
    emit(answer, _text(sentence, answer), as_json=as_json)
    if not answer.jobs and not is_of_file:
        sys.exit(1)


def _sentence(answer: Impact) -> str:
    if not answer.jobs:
        return "No job matches."
    jobs = counted(answer.jobs, "job")
    if answer.made is None or answer.touched is None or answer.touched_jobs is None:
        return f"{jobs}: too many to follow what was made from their files. Narrow them down."
    return (
        f"{jobs} made {counted(answer.made, 'file')}; with what was made from these, "
        f"{counted(answer.touched, 'file')} of {counted(answer.touched_jobs, 'job')} are touched."
    )


def _text(sentence: str, answer: Impact) -> str:
    lines = [sentence]
    if answer.contents_differ:
        lines.append(
            "Jobs read different contents under this name: `jobprov lookup` lists them, and "
            "--checksum asks for one."
        )
    for code in answer.inferred:
        version = f"{code.name} {code.version}"
        lines.append(f"The commit of {version}, {code.commit}, is inferred from its version.")
    if answer.files:
        lines.append(table(answer.files[:_MOST_LISTED], _COLUMNS))
    if answer.next or len(answer.files) > _MOST_LISTED:
        lines.append("All of them: --format csv")
    return "\n".join(lines)


COMMANDS = {"impact": impact}
EXAMPLES = {
    "impact": (
        "jobprov impact --revision 3fa1c2d",
        "jobprov impact --parameter physics.producers.smear.efficiency --value '< 0.9'",
        "jobprov impact --host wn120.fnal.gov --started-after 2026-11-24 --format csv",
    ),
}
