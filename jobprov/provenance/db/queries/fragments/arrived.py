"""Conditions on whether a claimed file reached its catalog."""

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import aliased

from jobprov.provenance.db.tables import CatalogFileRow, Claim, File, Job, Sighting, UnarrivedFile


def was_seen() -> ColumnElement[bool]:
    """Return the condition that a claimed file was seen, under whichever of its names."""
    file, renamed, renamed_file = aliased(File), aliased(Claim), aliased(File)
    at_birth = select(file.id).where(file.id == Claim.file_id)
    later = (
        select(renamed_file.id)
        .select_from(renamed)
        .join(renamed_file, renamed_file.id == renamed.file_id)
        .where(renamed.alias_of == Claim.id)
    )
    was_seen_as = []
    for names, named in ((at_birth, file), (later, renamed_file)):
        sighted = names.join(Sighting, Sighting.file_id == named.id)
        cataloged = names.join(CatalogFileRow, is_named_like(named))
        was_seen_as += [sighted.correlate(Claim).exists(), cataloged.correlate(Claim).exists()]
    return or_(*was_seen_as)


def is_named_like(file: type[File]) -> ColumnElement[bool]:
    """Return the condition that a catalog's file has the name of a recorded one.

    Where either has no namespace, the bare names decide.
    """
    return and_(
        CatalogFileRow.name == file.name,
        CatalogFileRow.experiment_id == file.experiment_id,
        or_(
            file.namespace == "",
            CatalogFileRow.namespace == "",
            file.namespace == CatalogFileRow.namespace,
        ),
    )


def is_not_lost() -> ColumnElement[bool]:
    """Return the condition that a claim is of no file that never arrived, as syncs judged it.

    For a statement with the claim at birth and its job.
    """
    lost = select(UnarrivedFile.file_id).where(
        UnarrivedFile.task_id == Job.task_id,
        UnarrivedFile.job_id == Claim.job_id,
        UnarrivedFile.file_id == Claim.file_id,
    )
    return ~lost.correlate(Job, Claim).exists()
