"""Files of a catalog that are joined to jobs under another name, as `POST /files` joins them."""

from collections.abc import Collection, Mapping, Sequence
from functools import partial

from jobprov.provenance.catalogs.answers import plain_metadata
from jobprov.provenance.catalogs.catalog import CatalogFile
from jobprov.provenance.db.queries.catalogs.sightings import namespaces_of_births
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.catalogs.sightings import read_sighting, record_sightings
from jobprov.provenance.services.catalogs.syncing.task import UNITS_AT_ONCE, TaskInCatalog

_SIGHTINGS_AT_ONCE = 100
"""In one transaction: some 0.1 s, so that no record waits longer behind it."""


def see_renamed(compared: TaskInCatalog, files: Sequence[CatalogFile]) -> None:
    """Join files to the jobs that made them under another name, as `POST /files` does.

    They were renamed or moved to another namespace on the way, or their jobs did not know theirs.
    """
    sightings: list[Mapping[str, object]] = []
    for part in chunks(files, UNITS_AT_ONCE):
        names_in_namespaces = []
        for file in part:
            namespace, name = compared.catalog.split(file.name)
            if namespace:
                names_in_namespaces.append(name)
        with compared.database.reading.connect() as connection:
            births = namespaces_of_births(connection, compared.task.key, names_in_namespaces)
        for file in part:
            namespace, name = compared.catalog.split(file.name)
            has_moved = False
            if namespace and (file.job_id or file.task_id):
                has_moved = _was_born_elsewhere(namespace, births.get(name, ()))
            if _has_other_name(file, name) or has_moved:
                sightings.append(sighting_of(compared, file))
    see(compared, sightings)


def see(compared: TaskInCatalog, sightings: Sequence[Mapping[str, object]]) -> None:
    """Record sightings, a few at a time."""
    experiment = compared.declaration.experiment
    readable = [sighting for sighting in sightings if _is_readable(sighting)]
    for part in chunks(readable, _SIGHTINGS_AT_ONCE):
        record = partial(record_sightings, experiment=experiment, documents=part)
        compared.writer.run(record, submitter="catalog sync")


def _was_born_elsewhere(namespace: str, born_in: Collection[str]) -> bool:
    """Return whether jobs made a file of this name in another namespace, or named none."""
    return bool(born_in) and (namespace not in born_in or "" in born_in)


def _has_other_name(file: CatalogFile, name: str) -> bool:
    """Return whether a job made a file under another name than it has in the catalog."""
    return bool(file.job_id and file.born_as and file.born_as != name)


def _is_readable(sighting: Mapping[str, object]) -> bool:
    """Return whether a sighting can be read; if not, its metadata come from no sidecar of ours."""
    try:
        read_sighting(sighting)
    except BadInputError:
        return False
    return True


def sighting_of(compared: TaskInCatalog, file: CatalogFile) -> dict[str, object]:
    """Return what `POST /files` would be told of a file."""
    namespace, name = compared.catalog.split(file.name)
    keys_of_hook = {
        "prov.job_id": file.job_id,
        "prov.output": file.born_as,
        "prov.task_id": file.task_id,
    }
    sighting: dict[str, object] = {"experiment": compared.declaration.experiment, "name": name}
    if namespace:
        sighting["namespace"] = namespace
    if file.size_bytes is not None:
        sighting["size_bytes"] = file.size_bytes
    if file.checksums:
        sighting["checksums"] = list(file.checksums)
    metadata = {key: value for key, value in keys_of_hook.items() if value is not None}
    return {**sighting, "metadata": plain_metadata(file.metadata) | metadata}
