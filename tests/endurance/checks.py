"""What has to hold after a fault, and in the end."""

from sqlalchemy import select, update

from jobprov.app.wiring import Service
from jobprov.provenance.db.connections.engines import open_database
from jobprov.provenance.db.tables import Job, WorkItem
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.ledger.chains import read_chain
from jobprov.provenance.services.upkeep.archive_checks import check_archive
from jobprov.provenance.services.upkeep.database_rebuild import rebuild_database
from jobprov.provenance.services.upkeep.sealing import seal_all
from jobprov.provenance.services.work.queue import drain
from tests.endurance.load import EXPERIMENT, Acknowledged
from tests.endurance.scene import Scene
from tests.library.logical_tables import differences, logical_tables

_READ_AGAIN = 50


def check_whole(service: Service, sent: Acknowledged) -> None:
    """Check that everything that was acknowledged is there, once, and nothing by half."""
    with service.reading() as connection:
        job_ids = [str(row[0]) for row in connection.execute(select(Job.uuid))]
    present = set(job_ids)
    assert len(job_ids) == len(present)
    lost = sent.records.keys() - present
    assert not lost, f"{len(lost)} acknowledged records are lost, such as {min(lost)}"
    for batch in sent.batches:
        assert len(present & set(batch)) in (0, len(batch)), "a batch is there by half"
    assert not service.store.missing(list(sent.blobs))
    for digest, content in list(sent.blobs.items())[-_READ_AGAIN:]:
        assert service.store.get(digest) == content


def check_end(scene: Scene) -> None:
    """Check that the archive is sound and exact, and that a database rebuilt from it says the same."""
    service, sent = scene.opened(), scene.sent
    check_whole(service, sent)
    _do_what_waits(service)
    seal_all(service.database, service.writer, service.store)
    _check_bytes(service, sent)
    with service.reading() as connection:
        report = check_archive(connection, service.store)
        tables = logical_tables(connection)
    assert report.is_sound, report
    rebuilt_url = scene.database.new_url("rebuilt")
    rebuild_database(service.store, rebuilt_url)
    rebuilt = open_database(rebuilt_url)
    with rebuilt.reading.connect() as connection:
        differing = differences(tables, logical_tables(connection))
    assert not differing, "\n".join(differing)
    rebuilt.dispose()
    service.close()


def _do_what_waits(service: Service) -> None:
    """Do the background work that is left, also what a killed service had begun."""
    service.write(
        lambda writing: writing.connection.execute(update(WorkItem).values(leased_until=None))
    )
    drain(service.parts(), HANDLERS)


def _check_bytes(service: Service, sent: Acknowledged) -> None:
    """Check that the archive has the very bytes that were sent."""
    kept = set()
    for reader in read_chain(service.store, EXPERIMENT):
        kept.update(entry.body for entry in reader.entries() if entry.kind == "record")
    changed = [job for job, body in sent.records.items() if body not in kept]
    assert not changed, f"{len(changed)} records are not kept as they were sent: {changed[:3]}"
    for digest, content in sent.blobs.items():
        assert service.store.get(digest) == content
