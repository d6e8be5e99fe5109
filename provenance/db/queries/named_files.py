"""Which files anybody names: a file whose name a correction or an erasure took out of every record keeps its row, and is no file.

The row stays since other processes may hold its key (`db/keys.py`), and since finding out that nothing refers to an identity would
read all claims; a database that is rebuilt has none of them.
"""

from sqlalchemy import ColumnElement, exists, or_

from provenance.db.tables import Claim, File, Identity, Mention, Parent, Sighting


def is_named() -> ColumnElement[bool]:
    """Return the condition that a record or a catalog names the file of a row of `files`; a few look-ups by index."""
    return or_(
        exists().where(Claim.file_id == File.id).correlate(File),
        exists().where(Identity.file_id == File.id, Mention.identity_id == Identity.id).correlate(File),
        exists().where(Identity.file_id == File.id, Parent.identity_id == Identity.id).correlate(File),
        exists().where(Sighting.file_id == File.id).correlate(File),
    )
