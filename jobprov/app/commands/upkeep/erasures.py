"""`jobprov erase record|blob|finish`: removes for good what slipped through.

The ledger says who wanted it and why.
"""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import emit, opens_service
from jobprov.app.wiring import Service
from jobprov.provenance.lineage.words import counted, shown, size
from jobprov.provenance.records.erasing import forms_of
from jobprov.provenance.services.erasures.blobs import (
    BlobErasure,
    erase_blob,
    plan_blob_erasure,
    refresh_named,
)
from jobprov.provenance.services.erasures.records import (
    ErasureRequest,
    RecordErasure,
    erase_record,
    plan_erasure,
)
from jobprov.provenance.services.erasures.traces import find_remains
from jobprov.provenance.services.ledger.entry_bytes import Holders, find_holders
from jobprov.provenance.services.upkeep.cleared_erasures import (
    Cleared,
    ErasurePlaces,
    catch_up,
    clear_erased,
    finish_erasures,
)

_MOST = 10
"""Jobs, or fields, that are listed without --json."""
_RESTART = "Restart every serving process: what it read lately it keeps in memory."


@click.group(cls=Group)
def erase() -> None:
    """Erase a record or a blob that should not have been sent."""


def _words(function: Any) -> Any:
    for option in (
        click.option("--who", required=True, help="Who wants it; stays in the ledger."),
        click.option(
            "--why", required=True, help="Why; stays in the ledger, so without what is erased."
        ),
        click.option("--yes", is_flag=True, help="Do not ask."),
    ):
        function = option(function)
    return function


@erase.command()
@click.argument("job_id")
@click.option("--experiment", help="Needed where several have the job.")
@click.option("--witness", help="Whose record; needed where the job has several.")
@click.option(
    "--field",
    "fields",
    multiple=True,
    help="What goes: environment.variables.NAME, command.argv[2]; repeated.",
)
@click.option(
    "--replacement",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The corrected record instead.",
)
@_words
@opens_service
def record(
    *, replacement: Path | None, yes: bool, service: Service, as_json: bool, **wanted: Any
) -> None:
    """Put a corrected record in the place of a job's, and erase the bytes of the one that it had.

    Without --field and --replacement the newest revision stays, and what came before it goes.
    """
    corrected = None if replacement is None else replacement.read_bytes()
    request = ErasureRequest(replacement=corrected, **wanted)
    catch_up(_parts(service), request.experiment)
    planned, others = _planned_erasure(service, request)
    erased_job = planned.job.found
    _confirm(_record_text(planned, others), yes=yes, as_json=as_json)
    # Planned again in the transaction that writes: a record may have come while one was asked
    now = datetime.now(UTC)
    done = service.write(lambda writing: erase_record(writing, request), received_at=now)
    cleared = clear_erased(
        _parts(service),
        erased_job.experiment,
        entries=[entry.id for entry in done.entries],
        digests=[*done.plans, *sorted(done.digests)],
    )
    with service.reading() as connection:
        remains = find_remains(connection, done.texts)
    entries = [{"kind": entry.kind, "revision": entry.revision} for entry in done.entries]
    document = {
        "job_id": erased_job.job_id,
        "experiment": erased_job.experiment,
        "witness": done.witness,
        "entries": entries,
        "fields": done.fields,
        "plans": len(done.plans),
        "also_in_witnesses": done.also,
        "also_in_jobs": [job.job_id for job in others.jobs],
        "also_in_entries": others.others,
        "remains": remains,
    }
    _tell(
        {**document, **_cleared_json(cleared)},
        [*_remains_text(remains), *_cleared_text(cleared)],
        as_json=as_json,
    )
    sys.exit(0 if _is_done(cleared) else 1)


def _planned_erasure(service: Service, request: ErasureRequest) -> tuple[RecordErasure, Holders]:
    """Return what would be erased, and what else of other jobs holds the same words."""
    with service.reading() as connection:
        planned = plan_erasure(connection, service.store, request)
        job = planned.job.found
        holders = find_holders(connection, service.store, job.experiment, forms_of(planned.texts))
    other_jobs = [other for other in holders.jobs if other.job_id != job.job_id]
    return planned, holders._replace(jobs=other_jobs)


@erase.command()
@click.argument("sha256")
@click.option("--experiment", required=True, help="Whose blob.")
@_words
@opens_service
def blob(
    *, sha256: str, experiment: str, who: str, why: str, yes: bool, service: Service, as_json: bool
) -> None:
    """Erase a blob of an experiment.

    Its jobs then have a gap, and their bundles are planned again without it.
    """
    catch_up(_parts(service), experiment)
    with service.reading() as connection:
        planned = plan_blob_erasure(connection, service.store, sha256, experiment)
    _confirm(_blob_text(planned), yes=yes, as_json=as_json)
    erase_blob(service.writer, planned, who=who, why=why, received_at=datetime.now(UTC))
    refresh_named(service.parts())
    digests = [*planned.plans, *planned.digests]
    cleared = clear_erased(_parts(service), experiment, entries=[], digests=digests)
    document = {
        "sha256": sha256,
        "experiment": experiment,
        "jobs": [job.job_id for job in planned.jobs],
        "plans": len(planned.plans),
        "kept_for": planned.others,
    }
    _tell({**document, **_cleared_json(cleared)}, _cleared_text(cleared), as_json=as_json)
    sys.exit(0 if _is_done(cleared) else 1)


@erase.command()
@opens_service
def finish(*, service: Service, as_json: bool) -> None:
    """Remove all that was ever erased and is there again, or still.

    After a crash, or after a copy was restored. Jobs whose blob was erased get the gap that a crash
    left out.
    """
    refresh_named(service.parts())
    cleared = finish_erasures(_parts(service))
    document: dict[str, object] = {}
    lines: list[str] = []
    for experiment, done in cleared.items():
        document[experiment] = _cleared_json(done)
        lines += [f"{experiment}: {line}" for line in _cleared_text(done)]
    _tell(
        document,
        lines or ["Nothing was ever erased."],
        as_json=as_json,
    )
    sys.exit(0 if all(map(_is_done, cleared.values())) else 1)


def _parts(service: Any) -> ErasurePlaces:
    return ErasurePlaces(
        service.database, service.writer, service.store, service.settings.data / "half-sent"
    )


def _confirm(text: str, *, yes: bool, as_json: bool) -> None:
    if not as_json or not yes:
        click.echo(text, err=as_json)
    if not yes:
        try:
            is_wanted = click.confirm("Erase it? This cannot be undone.", err=as_json)
        except click.Abort:  # Ctrl-C, or nobody is there to ask
            click.echo("\nNothing was erased; --yes skips the question.", err=True)
            raise
        if not is_wanted:
            click.echo("Nothing was erased.", err=True)
            sys.exit(1)


def _record_text(planned: RecordErasure, others: Holders) -> str:
    job = planned.job.found
    lines = [
        (
            f"Of job {job.job_id} of {job.experiment}, witness {planned.witness}, this will be "
            "erased:"
        )
    ]
    lines += [f"    {_entry_text(entry.kind, entry.revision)}" for entry in planned.entries]
    if planned.provisional is not None:
        lines.append("    the record as the job runs")
    lines.append(_replacement_text(planned))
    if planned.fields:
        lines.append("It does not have these values, which are gone then:")
        lines += _first_lines(planned.fields)
    if planned.plans:
        lines.append(
            f"Also erased: {counted(len(planned.plans), 'bundle plan')} of the job, with what was "
            "generated for it."
        )
    if planned.also:
        lines.append(
            f"THE SAME TEXT is in its record by {', '.join(planned.also)}: erase that one as well."
        )
    return "\n".join([*lines, *_elsewhere_text(others)])


def _replacement_text(planned: RecordErasure) -> str:
    if planned.replacement is None:
        return "The newest revision stays."
    if planned.provisional is None:
        return "A corrected record replaces it, as a revision."
    return "A corrected record replaces it."


def _elsewhere_text(others: Holders) -> list[str]:
    """Return the lines about jobs and other entries that hold the same."""
    lines: list[str] = []
    if others.jobs:
        lines.append(
            f"THE SAME TEXT is in records of {counted(len(others.jobs), 'other job')}: erase these "
            "as well."
        )
        lines += _first_lines([job.job_id for job in others.jobs])
    for kind, count in sorted(others.others.items()):
        lines.append(
            f"THE SAME TEXT is in {count} of the ledger's entries of kind {kind}, which cannot be "
            "erased."
        )
    return lines


def _first_lines(names: Sequence[str]) -> list[str]:
    """Return the first ids of jobs or paths of fields, and how many more there are."""
    lines = [f"    {shown(name)}" for name in names[:_MOST]]
    if len(names) > _MOST:
        lines.append(f"    and {len(names) - _MOST} more; --json lists them all")
    return lines


def _entry_text(kind: str, revision: int | None) -> str:
    names = {
        "conflict": "a contradicting record",
        "unread": "a record of a later version",
        "record": "the record as sent",
    }
    return names.get(kind, f"revision {revision}")


def _blob_text(planned: BlobErasure) -> str:
    stored = "not in the archive any more"
    if planned.size_bytes is not None:
        stored = size(planned.size_bytes)
    lines = [
        (
            f"Blob {planned.sha256} of {planned.whose.name} goes ({stored}). "
            f"It is named by {counted(len(planned.jobs), 'job')}."
        )
    ]
    lines += _first_lines([job.job_id for job in planned.jobs])
    if planned.plans:
        lines.append(
            f"{counted(len(planned.plans), 'bundle plan')} that hold it go as well, and what was "
            "generated for them."
        )
    if planned.others:
        lines.append(
            f"ITS BYTES STAY for {', '.join(planned.others)}, which sent it too: erase it there "
            "as well."
        )
    return "\n".join(lines)


def _remains_text(remains: dict[str, int] | None) -> list[str]:
    if remains is None:
        return [
            (
                "These were too many texts to look for in rows that many jobs share (names of "
                "files, hosts, tasks and code): what was erased may still stand there. "
                "`jobprov rebuild-database` has less."
            )
        ]
    if not remains:
        return []
    places = ", ".join(f"{place} ({count})" for place, count in sorted(remains.items()))
    return [
        (
            f"The database still has it in {places}: other records, or rows that many share. "
            "`jobprov rebuild-database` has less."
        )
    ]


def _cleared_text(cleared: Cleared) -> list[str]:
    lines = [
        (
            f"Erased. {counted(cleared.segments, 'segment')} written anew, "
            f"{counted(cleared.blobs, 'blob')} removed. {_RESTART}"
        )
    ]
    if cleared.left:
        lines.append(
            f"{counted(len(cleared.left), 'blob')} lie in a damaged pack and could not be erased: "
            "`jobprov archive check`."
        )
    if not cleared.is_clear:
        lines.append(
            "The database was held by others all the time, so its file still has the bytes: "
            "`jobprov erase finish`."
        )
    return lines


def _cleared_json(cleared: Cleared) -> dict[str, object]:
    return {**cleared._asdict(), "left": list(cleared.left)}


def _is_done(cleared: Cleared) -> bool:
    return cleared.is_clear and not cleared.left


def _tell(document: Mapping[str, object], lines: list[str], *, as_json: bool) -> None:
    emit(document, "\n".join(lines), as_json=as_json)


COMMANDS = {"erase": erase}
EXAMPLES = {
    "erase record": (
        "jobprov erase record ea0a870c --experiment toyexp --field command.argv --who Ada --why 'a password'",
    ),
    "erase blob": (
        "jobprov erase blob 0f2c... --experiment toyexp --who Ada --why 'a private key in a log'",
    ),
    "erase finish": ("jobprov erase finish",),
}
