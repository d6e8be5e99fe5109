"""Outputs that jobs of a task say they wrote, and that its catalog may have."""

from collections.abc import Sequence
from functools import partial

from jobprov.provenance.catalogs.catalog import CatalogFile
from jobprov.provenance.db.queries.catalogs.catalogs import UnknownOutput, unknown_outputs
from jobprov.provenance.services.catalogs.rows import write_claimed
from jobprov.provenance.services.catalogs.syncing.retired import settle
from jobprov.provenance.services.catalogs.syncing.sightings import see_renamed
from jobprov.provenance.services.catalogs.syncing.task import (
    UNITS_AT_ONCE,
    TaskInCatalog,
    TaskSync,
)


def sync_claims(compared: TaskInCatalog, progress: TaskSync) -> TaskSync:
    """Ask for files that jobs say they wrote and that, to the catalog, are no child of a unit."""
    units = compared.declaration.listed_units()
    listed = set(units or ())
    after = 0
    while True:
        if compared.is_over():
            return progress._replace(is_whole=False)
        with compared.database.reading.connect() as connection:
            claims = unknown_outputs(
                connection,
                compared.task.key,
                only_of_units=units is not None,
                after=after,
                limit=UNITS_AT_ONCE,
            )
        if not claims:
            return progress
        after = claims[-1].claim
        files = _claimed_files(compared, claims)
        unit_of = {}
        for claim in claims:
            unit_of[claim.name] = claim.unit if claim.unit in listed else ""
        unsettled = compared.writer.run(
            partial(
                write_claimed,
                catalog=compared.catalog,
                task=compared.task,
                unit_of=unit_of,
                files=files,
            )
        )
        outputs = [file for file in files if not file.is_retired]
        see_renamed(compared, outputs)
        progress = settle(compared, progress, unsettled)
        progress = progress._replace(outputs=progress.outputs + len(outputs))


def _claimed_files(compared: TaskInCatalog, claims: Sequence[UnknownOutput]) -> list[CatalogFile]:
    """Return the files of the catalog that these claims may be about, retired ones too.

    A job does not always know the namespace that its output will be declared in, which need not be
    that of its inputs: then any file of its name is asked for. One in another namespace has to
    agree in something else.
    """
    catalog = compared.catalog
    full_names = [catalog.join(claim.namespace, claim.name) for claim in claims if claim.namespace]
    files = catalog.read_files(full_names)

    open_claims = {claim.name: claim for claim in claims if not claim.namespace}
    for file in catalog.find_files(open_claims):
        namespace, name = catalog.split(file.name)
        claim = open_claims.get(name)
        if namespace == compared.namespace or (claim and _agrees(compared, claim, file)):
            files.append(file)
    return files


def _agrees(compared: TaskInCatalog, claim: UnknownOutput, file: CatalogFile) -> bool:
    """Return whether a file of a claim's name has its size, or its metadata name job or task."""
    is_as_large = claim.size_bytes is not None and claim.size_bytes == file.size_bytes
    return is_as_large or claim.job_id == file.job_id or compared.task.task_id == file.task_id
