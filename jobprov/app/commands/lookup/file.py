"""`jobprov lookup`: what made a file, from what, with which configuration and code."""

from typing import Any

import click
from msgspec.structs import asdict

from jobprov.app.commands.lookup.sentences import (
    MOST_LISTED,
    code_lines,
    fact,
    minute,
    names,
    place,
)
from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.opening import emit, experiment_option, file_name
from jobprov.provenance.answers.catalogs.replicas import LocatedFiles
from jobprov.provenance.answers.lookup.files import (
    FileAnswer,
    ReadContent,
    RecordedVersion,
    Relative,
)
from jobprov.provenance.answers.lookup.jobs import JobAnswer
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted, size, with_version
from jobprov.provenance.records.files.names import full_name

_MOST_CONFIGURATIONS = 3


@click.command()
@click.argument("file", type=file_name)
@click.option("--namespace", help="Needed where several namespaces know the name.")
@click.option("--version", type=click.IntRange(1), help="Which version; the newest by default.")
@click.option(
    "--locate", is_flag=True, help="Ask the experiment's Rucio or SAM, too, where it is now."
)
@experiment_option
@asks_service
def lookup(*, file: str, locate: bool, client: Client, as_json: bool, **query: Any) -> None:
    """Show what made FILE, from what, with which configuration and code."""
    answer = client.file(file, **query)
    located = None
    if locate:
        place = answer.file
        located = client.replicas(
            place.name, experiment=place.experiment, namespace=place.namespace
        )
    job = None
    if answer.producer is not None:
        job = client.job(answer.producer.job_id, experiment=answer.producer.experiment)
    content = {**asdict(answer), "job": job}
    if located is not None:
        content["located"] = located
    emit(content, file_text(answer, job, client.url, located), as_json=as_json)


def file_text(
    answer: FileAnswer, job: JobAnswer | None, url: str, located: LocatedFiles | None = None
) -> str:
    """Return what made a file, as text: a sentence that answers, the facts, what to type next."""
    lines = [_sentence(answer, job), ""]
    lines += [_version(version) for version in answer.versions[:MOST_LISTED]]
    parents = [_relative(parent) for parent in answer.parents]
    lines += [_read_content(content) for content in answer.read_contents]
    lines += names("from", parents)
    children = [_relative(child) for child in answer.children]
    lines += names("became", children)
    lines += names("also called", answer.aliases)
    lines += names("seen at", answer.locations)
    if answer.is_retired:
        lines.append(fact("catalog", "has retired it, removed it or declared it bad"))
    if answer.is_unarrived:
        lines.append(fact("catalog", "never got it, though its job says that it wrote it"))
    if located is not None:
        lines += replica_lines(located)
    if job is not None:
        job_id = job.summary.job_id
        lines += code_lines(job.software, job.configurations)
        lines.append(fact("job", f"{job_id} ({job.summary.state}, grade {job.grade})"))
        lines.append(fact("rerun", f"jobprov rerun {job_id} --into FOLDER"))
    lines.append(fact("page", f"{url}{answer.file.url}"))
    return "\n".join(lines)


def _sentence(answer: FileAnswer, job: JobAnswer | None) -> str:
    name = full_name(answer.file.name, answer.file.namespace)
    if job is None:
        users = counted(answer.consumer_count, "job")
        return f"{name} was not made by a recorded job; {users} used it."
    summary = job.summary
    sentence = f"{name} was made by job {summary.batch_id or summary.job_id}"
    if summary.task.task_id:
        sentence += f" (task {summary.task.task_id})"
    sentence += f" on {place(summary)}, {minute(summary.ended_at)}"
    parents = counted(len(answer.parents), "file") if answer.parents else "no file"
    sentence += f", from {parents}"
    if summary.code:
        sentence += f" with {summary.code}"
    mains = [entry["main"] for entry in job.configurations if entry.get("main")]
    if mains:
        sentence += f" and {', '.join(mains[:_MOST_CONFIGURATIONS])}"
    return sentence + "."


def replica_lines(located: LocatedFiles) -> list[str]:
    """Return a line for each copy of a file; if no copy is known, a line that says why."""
    lines = []
    for file in located.files:
        for replica in file.replicas:
            facts = [replica.address, replica.storage, replica.medium]
            lines.append(fact("now at", "  ".join(text for text in facts if text)))
    if located.problem:
        lines.append(fact("now at", f"unknown: {located.problem}"))
    elif not lines:
        lines.append(fact("now at", "no copy is known"))
    return lines


def _relative(relative: Relative) -> str:
    return with_version(full_name(relative.name, relative.namespace), relative.version)


def _version(version: RecordedVersion) -> str:
    facts = _content(version.size_bytes, version.checksums)
    if version.job.task.campaign:
        facts.append(f"campaign {version.job.task.campaign}")
    if version.data_tier:
        facts.append(version.data_tier)
    if version.event_count is not None:
        facts.append(counted(version.event_count, "event"))
    return fact(f"version {version.number}", ", ".join(facts))


def _read_content(content: ReadContent) -> str:
    facts = _content(content.size_bytes, content.checksums)
    return fact("read as", f"{', '.join(facts)}: {counted(content.job_count, 'job')}")


def _content(size_bytes: int | None, checksums: list[str]) -> list[str]:
    known_size = [] if size_bytes is None else [size(size_bytes)]
    return [*known_size, *checksums]


COMMANDS = {"lookup": lookup}
EXAMPLES = {
    "lookup": (
        "jobprov lookup toyexp_demo-2026_0001_merge_dimuon.root",
        "jobprov lookup gen_0004.root --experiment toyexp --version 1 --json",
    ),
}
