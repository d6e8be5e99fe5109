"""Where files are now: asked of Rucio, and of SAM, when somebody wants to know.

Places change by the hour, so none of this is kept. What `POST /files` tells of places is another
thing: that is kept with the file (`sightings.py`).
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.catalogs.replicas import LocatedFile, LocatedFiles, Replica
from jobprov.provenance.answers.lookup.files import FileAnswer
from jobprov.provenance.catalogs.catalog import HeldFile
from jobprov.provenance.catalogs.opening import Catalogs, open_catalog, open_rucio
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.lookup.jobs.details import input_files
from jobprov.provenance.errors import BadInputError, ProvenanceError
from jobprov.provenance.services.bundles.known_inputs import absent_inputs
from jobprov.provenance.services.lookup.job import read_job

MOST_IN_SAM = 200
"""Files that SAM is asked for in one question: each is a call, or two."""
MOST_IN_RUCIO = 10_000
PATIENCE = 30.0
"""Seconds for one call of Rucio, while a person or a program waits for a page or an answer."""
_IN_RUCIO = re.compile(r"rucio://[^/]*/(?P<scope>[^/]+)/(?P<name>[^/]+)")
_NOT_HELD = HeldFile(None, (), ())


class WantedFile(NamedTuple):
    """A file whose places are wanted; no namespace is ''."""

    namespace: str
    name: str


def can_locate(catalogs: Catalogs, experiment: str) -> bool:
    """Return whether an experiment has a catalog that keeps the places of files."""
    settings = catalogs.get(experiment)
    return settings is not None and (settings.rucio is not None or settings.kind == "sam")


def locate_files(
    files: Sequence[WantedFile], catalogs: Catalogs, experiment: str, *, patience: float = 300.0
) -> LocatedFiles:
    """Return where files of an experiment are, the copies in Rucio before those in SAM.

    No connection to the database is to be open: a catalog may take its time. `problem` says why a
    catalog could not be asked; what another one knows is in the answer all the same.

    Args:
        files: which.
        catalogs: by experiment.
        experiment: of all the files.
        patience: seconds for one call of Rucio, with all its attempts.
    """
    search = _Search(list(dict.fromkeys(files)), catalogs, experiment)
    if search.wanted and can_locate(catalogs, experiment):
        search.ask_rucio(patience)
        search.ask_sam()
    located = [search.located(file) for file in search.wanted]
    return LocatedFiles(located, " ".join(search.problems) or None)


def names_of_copies(connection: Connection, store: Store, shown: FileAnswer) -> list[WantedFile]:
    """Return the names under which copies of a file may be known: its own, and its aliases.

    For a file without a namespace, also the one in the Rucio scope that its job recorded.
    """
    file = shown.file
    names = [WantedFile(file.namespace, file.name)]
    for alias in shown.aliases:
        namespace, _, name = alias.rpartition(":")
        names.append(WantedFile(namespace, name))
    if any(name.namespace for name in names):
        return names
    return names + _names_in_scopes(connection, store, shown)


def _names_in_scopes(connection: Connection, store: Store, shown: FileAnswer) -> list[WantedFile]:
    """Return a file by the scopes that the job which made it recorded, else the first that read it.

    Its location is `rucio://RSE/SCOPE/NAME`; the RSE may be left out.
    """
    job_ids = [consumer.job_id for consumer in shown.consumers[:1]]
    if shown.producer is not None:
        job_ids = [shown.producer.job_id]
    names = []
    for job_id in job_ids:
        job = read_job(connection, store, job_id, experiment=shown.file.experiment)
        record = job.reading.record
        for file in (*(record.outputs or ()), *(record.inputs or ())):
            place = _IN_RUCIO.fullmatch(file.location or "")
            if file.name == shown.file.name and place is not None:
                names.append(WantedFile(place["scope"], place["name"]))
    return names


def locate_inputs(
    database: Database,
    store: Store,
    catalogs: Catalogs,
    job_id: str,
    *,
    experiment: str | None = None,
) -> dict[int, list[str]]:
    """Return where the inputs are that a job's bundle lacks: addresses by position of the input.

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


class _Search:
    """Files, and what catalogs told of their places so far."""

    def __init__(self, wanted: Sequence[WantedFile], catalogs: Catalogs, experiment: str) -> None:
        self.wanted, self._catalogs, self._experiment = wanted, catalogs, experiment
        self._in_rucio: dict[tuple[str, str], HeldFile] = {}
        self._in_sam: dict[WantedFile, list[str]] = {}
        self.problems: list[str] = []

    def ask_rucio(self, patience: float) -> None:
        """Ask the experiment's Rucio, if it has one."""
        try:
            rucio = open_rucio(self._catalogs, self._experiment, patience=patience)
            if rucio is not None:
                self._in_rucio = rucio.find_replicas(self._first("Rucio", MOST_IN_RUCIO))
        except ProvenanceError as trouble:
            self.problems.append(str(trouble))

    def ask_sam(self) -> None:
        """Ask the experiment's SAM, if that is its catalog: MetaCat keeps no places."""
        if self._catalogs[self._experiment].kind != "sam":
            return
        try:
            sam = open_catalog(self._catalogs, self._experiment)
            for file in self._first("SAM", MOST_IN_SAM):
                self._in_sam[file] = sam.locate(sam.join(file.namespace, file.name))
        except ProvenanceError as trouble:
            self.problems.append(str(trouble))

    def _first(self, catalog: str, most: int) -> Sequence[WantedFile]:
        if len(self.wanted) > most:
            self.problems.append(f"{catalog} was asked for {most} of {len(self.wanted)} files.")
        return self.wanted[:most]

    def located(self, file: WantedFile) -> LocatedFile:
        """Return a file with the copies that are known, each address once."""
        held = self._in_rucio.get(file, _NOT_HELD)
        replicas = {replica.address: replica for replica in held.replicas}
        for address in self._in_sam.get(file, []):
            replicas.setdefault(address, Replica(address=address))
        return LocatedFile(
            name=file.name,
            namespace=file.namespace,
            experiment=self._experiment,
            size_bytes=held.size_bytes,
            checksums=list(held.checksums),
            replicas=list(replicas.values()),
        )


def _bad(problem: str) -> BadInputError:
    return BadInputError(problem, {"locate": [problem]})
