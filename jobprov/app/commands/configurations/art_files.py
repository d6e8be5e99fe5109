"""`jobprov art`: what an art file stores about itself.

It is shown, compared with the record of its job, or made into a record.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import emit, experiment_option, json_option, url_option
from jobprov.provenance.client import Client
from jobprov.provenance.errors import (
    BadInputError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnreachableError,
)
from jobprov.provenance.lineage.words import counted, shown, size
from jobprov.provenance.services.configurations.art_files import (
    ArtFile,
    art_file_json,
    check_against,
    finding_record,
    read_art_file,
    reconstruct,
)


@click.command()
@click.argument(
    "file", metavar="FILE.root", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "--fcl",
    is_flag=True,
    help="Print the configuration that the file was made with, as art ran it.",
)
@click.option(
    "--check",
    is_flag=True,
    help=(
        "Compare the file with the record of the job that made it; a difference becomes a gap of "
        "the job."
    ),
)
@click.option(
    "--record", is_flag=True, help="Record the job that made it, from the file; needs --experiment."
)
@experiment_option
@url_option
@json_option
def art(
    *,
    file: Path,
    fcl: bool,
    check: bool,
    record: bool,
    experiment: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Show what FILE.root, written by art, stores of itself.

    Exit code 1 where --check finds another configuration.
    """
    if fcl + check + record > 1:
        raise click.UsageError("Only one of --fcl, --check and --record can be done at once.")
    art_file = read_art_file(file)
    if fcl:
        click.echo(_configuration(art_file))
    elif check:
        _check(art_file, file.name, experiment, url, as_json=as_json)
    elif record:
        _record(art_file, experiment, url, as_json=as_json)
    else:
        emit(art_file_json(art_file), art_text(art_file), as_json=as_json)


def art_text(file: ArtFile) -> str:
    """Return what the file stores, as text: who made it, then its metadata."""
    stored, last = file.stored, file.last
    events = stored.metadata.get("event_count")
    wrote = "a process that it does not name"
    if last:
        wrote = f"process {last.name} with ParameterSetID {last.parameter_set_id}"
    lines = [shown(f"{Path(stored.path).name} was made by {wrote}."), ""]
    contents = size(stored.size_bytes)
    if isinstance(events, int):
        contents += f", {counted(events, 'event')}"
    lines.append(contents)
    lines.append(f"{counted(len(stored.parameter_sets), 'parameter set')}; processes:")
    for process in file.processes:
        line = f"  {process.parameter_set_id}  {process.name or 'unreadable'}"
        if process.problem:
            line += f"  ({process.problem})"
        lines.append(shown(line))
    lines.append("")
    for name, value in stored.metadata.items():
        lines.append(shown(f"{name:28}  {value}"))
    return "\n".join(lines)


def _configuration(file: ArtFile) -> str:
    if file.last is None or file.last.configuration is None:
        raise BadInputError(
            f"{file.stored.path}: the configuration of the process that wrote it is not in it."
        )
    return file.last.configuration.to_indented_string().rstrip("\n")


def _check(
    file: ArtFile, name: str, experiment: str | None, url: str | None, *, as_json: bool
) -> None:
    client = client_for(url)
    producer = client.file(name, experiment=experiment).producer
    if producer is None:
        raise NotFoundError(
            f"No recorded job made {name}; `jobprov art --record` makes a record from the file."
        )
    answer = client.job(producer.job_id, experiment=producer.experiment)
    job = msgspec.to_builtins(answer)
    agreement = check_against(file, job)
    document = {"job_id": producer.job_id, **agreement.as_json()}
    text = f"{agreement.verdict}: job {producer.job_id}. {agreement.words}"
    if agreement.verdict == "differs":
        document["kept"], outcome = _keep(client, file, job)
        text = f"{text} {outcome}"
    emit(document, text, as_json=as_json)
    if agreement.verdict == "differs":
        sys.exit(1)


def _keep(client: Client, file: ArtFile, job: Mapping[str, Any]) -> tuple[bool, str]:
    """Send what the file says, so that the job has its gap.

    Return whether the service has it, and that in words.
    """
    try:
        client.record(finding_record(file, job))
    except ConflictError:
        return (
            False,
            "The service has another word of the witness import on this job, and keeps that.",
        )
    except (ForbiddenError, UnreachableError) as problem:
        return False, f"The service could not be told: {problem}"
    return True, "The job has the gap configuration-differs-in-file."


def _record(file: ArtFile, experiment: str | None, url: str | None, *, as_json: bool) -> None:
    if experiment is None:
        raise click.UsageError("--record needs --experiment: the file does not say whose it is.")
    document, blobs = reconstruct(file, experiment)
    client = client_for(url)
    for digest, data in blobs.items():
        client.put_blob(digest, data)
    answer = client.record(document)
    outcome = (
        f"{answer.change} as {answer.job_id}, reconstructed from the file; "
        f"{counted(len(answer.gaps), 'gap')}."
    )
    emit(answer, f"{outcome}\n{answer.url}", as_json=as_json)


COMMANDS = {"art": art}
EXAMPLES = {
    "art": (
        "jobprov art reco_0004.root --fcl",
        "jobprov art reco_0004.root --check",
    ),
}
