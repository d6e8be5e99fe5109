"""Where the inputs that a job's bundle lacks are now, asked for a bundle that is to say so."""

from jobprov.archive.store import Store
from jobprov.provenance.catalogs.opening import Catalogs
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.lookup.jobs.details import input_files
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.bundles.known_inputs import absent_inputs
from jobprov.provenance.services.catalogs.replicas import (
    PATIENCE,
    WantedFile,
    can_locate,
    locate_files,
)
from jobprov.provenance.services.lookup.job import read_job


def locate_inputs(
    database: Database,
    store: Store,
    catalogs: Catalogs,
    job_id: str,
    *,
    experiment: str | None = None,
) -> dict[int, list[str]]:
    """Return addresses of copies as Rucio and SAM say, by position of the input.

    Raises:
        NotFoundError, AmbiguousError: see `read_job`.
        BadInputError: the experiment has no such catalog, or it did not answer for all files.
    """
    with database.reading.connect() as connection:
        job = read_job(connection, store, job_id, experiment=experiment)
        names = input_files(connection, job.found.key)
        absent = absent_inputs(connection, job)
    owner = job.found.experiment
    if not can_locate(catalogs, owner):
        raise _bad(f"The experiment {owner} has no Rucio or SAM that is asked for places.")
    wanted = {}
    for position in absent:
        if position in names and names[position].experiment == owner:
            wanted[position] = WantedFile(names[position].namespace, names[position].name)
    # No connection is open: a catalog may take its time
    located = locate_files(list(wanted.values()), catalogs, owner, patience=PATIENCE)
    if located.problem:
        raise _bad(f"{located.problem} Try again later, or ask for the bundle without `locate`.")
    addresses = {}
    for found in located.files:
        copies = [replica.address for replica in found.replicas]
        addresses[WantedFile(found.namespace, found.name)] = copies
    return {position: addresses[file] for position, file in wanted.items()}


def _bad(problem: str) -> BadInputError:
    return BadInputError(problem, {"locate": [problem]})
