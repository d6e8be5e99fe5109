"""Inputs that the bundle of a job lacks: what a retry has to fetch, and where they may be.

The places are those that the job's record names, and those that Rucio and SAM know. Whether a file
is still there can only be seen from where jobs are submitted (`agents/input_search.py`) or run.
"""

import posixpath
from collections.abc import Collection, Sequence

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.orders.orders import OutsideInput, OutsideInputs
from jobprov.provenance.catalogs.opening import Catalogs
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.queries.orders.retries import attempts_of_units
from jobprov.provenance.records.job_record import Input, JobRecord
from jobprov.provenance.services.catalogs.replicas import WantedFile, locate_files
from jobprov.provenance.services.ledger.witnessed_jobs import read_records

_NODE_VARIABLES = ("TMPDIR", "_CONDOR_SCRATCH_DIR", "CONDOR_DIR_INPUT")
_NODE_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - named to be left out


def read_outside_inputs(
    connection: Connection, store: Store, experiment: str, job_ids: Sequence[str]
) -> dict[str, list[OutsideInput]]:
    """Return by job the inputs that its bundle lacks; jobs that lack none are left out."""
    attempts = attempts_of_units(connection, experiment, list(dict.fromkeys(job_ids)))
    records = read_records(connection, store, [attempt.key for attempt in attempts])
    digests: set[str] = set()
    for record in records.values():
        digests.update(file.sha256 for file in record.inputs or () if file.sha256)
    possessed = possessed_blobs(connection, experiment, digests)
    outside: dict[str, list[OutsideInput]] = {}
    for attempt in attempts:
        record = records[attempt.key]
        for file in _lacking(record, possessed):
            lacking = _outside_input(attempt.job_id, record, file)
            outside.setdefault(attempt.job_id, []).append(lacking)
    return outside


def _lacking(record: JobRecord, possessed: Collection[str]) -> list[Input]:
    """Return the inputs that were not uploaded, and that no earlier step of the job made."""
    digests_made = {file.path or file.name: file.sha256 for file in record.outputs or ()}
    lacking = []
    for file in record.inputs or ():
        if file.sha256 in possessed or _was_never_there(file):
            continue
        path = file.path or file.name
        is_made_here = path in digests_made and file.sha256 in (None, digests_made[path])
        if not is_made_here:
            lacking.append(file)
    return lacking


def _was_never_there(file: Input) -> bool:
    """Return whether the job did not read the file, and nobody saw anything of it."""
    if file.sha256 or file.checksums or file.size_bytes is not None:
        return False
    return file.status not in (None, "consumed")


def _outside_input(job_id: str, record: JobRecord, file: Input) -> OutsideInput:
    return OutsideInput(
        job_id=job_id,
        name=file.name,
        namespace=file.namespace or "",
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        places=_recorded_places(record, file),
    )


def _recorded_places(record: JobRecord, file: Input) -> list[str]:
    """Return where the record says that a file was, but for places of the worker node alone."""
    working_directory = ""
    if record.command is not None:
        working_directory = record.command.working_directory or ""
    on_node = _folders_of_node(record)
    if working_directory:
        on_node.append(working_directory)
    places = []
    for place in (file.location or "", posixpath.join(working_directory, file.path or "")):
        path = place.removeprefix("file://")
        if "://" in path:
            places.append(path)
        elif path.startswith("/") and not _is_below(path, on_node):
            places.append(posixpath.normpath(path))
    return list(dict.fromkeys(places))


def _folders_of_node(record: JobRecord) -> list[str]:
    """Return the folders that go with the worker node, or with the job's slot on it."""
    folders = [*_NODE_FOLDERS]
    if record.environment is not None and record.environment.variables:
        for name in _NODE_VARIABLES:
            folder = record.environment.variables.get(name)
            if folder:
                folders.append(str(folder))
    return folders


def _is_below(path: str, folders: Sequence[str]) -> bool:
    plain = posixpath.normpath(path)
    for folder in folders:
        normal = posixpath.normpath(folder)
        if plain == normal or plain.startswith(normal.rstrip("/") + "/"):
            return True
    return False


def locate(inputs: Sequence[OutsideInput], catalogs: Catalogs, experiment: str) -> OutsideInputs:
    """Return inputs with the places that Rucio and SAM know as well.

    `problem` says why they could not be asked. No connection to the database is to be open: a
    catalog may take its time.
    """
    wanted = [WantedFile(file.namespace, file.name) for file in inputs]
    answer = locate_files(wanted, catalogs, experiment)
    addresses: dict[tuple[str, str], list[str]] = {}
    for file in answer.files:
        addresses[file.namespace, file.name] = [replica.address for replica in file.replicas]
    located = []
    for lacking in inputs:
        known = addresses.get((lacking.namespace, lacking.name), [])
        places = list(dict.fromkeys([*lacking.places, *known]))
        located.append(msgspec.structs.replace(lacking, places=places))
    return OutsideInputs(located, answer.problem)
