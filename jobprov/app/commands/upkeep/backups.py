"""`jobprov backup`: copy the database and the archive."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jobprov.app.commands.terminal.opening import emit, opens_service
from jobprov.app.commands.terminal.progress import shown_progress
from jobprov.app.moments import BACKUP, note_done
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.lineage.words import counted, size
from jobprov.provenance.services.upkeep.backups import BackupReport, back_up, make_backup_folder

if TYPE_CHECKING:
    from jobprov.app.wiring import Service


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@opens_service
def backup(*, folder: Path, service: "Service", as_json: bool) -> None:
    """Copy database and archive into FOLDER while the service runs.

    Only what is new is copied again. FOLDER is made where it is missing, and said to be; not the
    folder that it lies in, since the disk of a backup may not be mounted. A folder that holds
    other things and no backup is refused.
    """
    is_missing = not folder.is_dir()
    if is_missing and not folder.absolute().parent.is_dir():
        raise NotFoundError(
            f"There is no folder {folder.parent} in which {folder.name} could be made: is its "
            "disk mounted?"
        )
    with shown_progress(as_json=as_json):
        if is_missing:
            make_backup_folder(folder)
        if is_missing and not as_json:  # lines of JSON go there
            click.echo(
                f"{folder} was missing and is made now. Unless this is the first backup, mount its "
                "disk.",
                err=True,
            )
        report = back_up(service.database, service.store, folder)
        note_done(service.settings.data, BACKUP)
    database = str(report.database) if report.database else None
    document = {**report._asdict(), "database": database}
    emit(document, _report_text(report, folder), as_json=as_json)


def _report_text(report: BackupReport, folder: Path) -> str:
    blobs, documents = counted(report.blobs, "blob"), counted(report.documents, "document")
    copied = f"{blobs} ({size(report.blob_bytes)}) and {documents} copied to {folder}."
    if report.database:
        return f"{copied} The database is {report.database}."
    return (
        f"{copied} The database is a server's: copy it with `pg_dump --format=custom`, "
        "before this command each time."
    )


COMMANDS = {"backup": backup}
EXAMPLES = {"backup": ("jobprov backup /backup/jobprov",)}
