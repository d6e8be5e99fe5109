"""Which files anybody names.

A file whose name a correction or an erasure took out of every record keeps its row, but does not
count as a file. The row stays since other processes may hold its key (`db/writer/keys.py`), and
since finding out that nothing refers to an identity would read all claims; a database that is
rebuilt has no such rows.
"""

from functools import cache

from sqlalchemy import ColumnElement, func, select

from jobprov.provenance.db.tables import Claim, File, Identity, Mention, Parent, Sighting


@cache
def is_named() -> ColumnElement[bool]:
    """Return the condition that a record or a catalog names the file of a row of `files`.

    A few look-ups by index, composed once since that takes longer than they do. Not by EXISTS:
    where several are joined by OR, PostgreSQL reads all claims, mentions and parents, even for a
    page of ten files.
    """
    of_file = select(Identity.id).where(Identity.file_id == File.id).correlate(File)
    namers = (
        select(Claim.id).where(Claim.file_id == File.id).correlate(File),
        of_file.join(Mention, Mention.identity_id == Identity.id),
        of_file.join(Parent, Parent.identity_id == Identity.id),
        select(Sighting.entry_id).where(Sighting.file_id == File.id).correlate(File),
    )
    return func.coalesce(*(query.limit(1).scalar_subquery() for query in namers)).is_not(None)
