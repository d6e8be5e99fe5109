"""`jobprov rebuild-database`: the database anew, from the archive alone."""

import click

from jobprov.app.commands.terminal.opening import data_option, emit, json_option, settings_with
from jobprov.app.commands.terminal.progress import shown_progress
from jobprov.provenance.db.recording.configurations.physics_variables import PhysicsVariables
from jobprov.provenance.lineage.words import counted, number
from jobprov.provenance.services.upkeep.database_rebuild import NOT_DERIVED, rebuild_from

_BY_HAND = (
    *("write_tokens", "repositories", "product_maps", "dead_letters"),
    *("catalog_files", "queue_samples"),
)


@click.command("rebuild-database")
@click.option(
    "--into", "into_url", help="Address of an empty database; JOBPROV_DATABASE_URL by default."
)
@data_option
@json_option
def rebuild(*, into_url: str | None, data: str | None, as_json: bool) -> None:
    """Fill an empty database from the archive: jobs, files, tasks and all else in the ledger.

    Seal before (`jobprov archive seal`): what is not sealed is only in the old database.
    """
    settings = settings_with(data=data)
    into = into_url or settings.database_url
    deciding = PhysicsVariables(settings.physics_variables)
    with shown_progress(as_json=as_json):
        report = rebuild_from(settings.archive_url, into, deciding=deciding)
    by_hand = "\n".join(f"  {name}: {NOT_DERIVED[name]}" for name in _BY_HAND)
    entries = "entry" if report.entries == 1 else "entries"
    text = (
        f"{counted(report.jobs, 'job')} from {number(report.entries)} {entries} in "
        f"{counted(report.segments, 'segment')} of {counted(report.experiments, 'experiment')}.\n"
        f"Not in the ledger, and left for you to do:\n{by_hand}\n"
        "All else that is missing here comes back by itself."
    )
    emit(report._asdict(), text, as_json=as_json)


COMMANDS = {"rebuild-database": rebuild}
EXAMPLES = {
    "rebuild-database": ("jobprov rebuild-database --into sqlite:////srv/jobprov/new.db",),
}
