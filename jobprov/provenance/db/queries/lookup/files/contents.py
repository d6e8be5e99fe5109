"""Files from outside of which jobs read different contents under one name."""

from collections.abc import Collection

from sqlalchemy import Connection, bindparam, exists, select

from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.tables import File, Identity, Mention
from jobprov.provenance.records.files.checksums import may_be_one_content

_MOST_COMPARED = 20
# Whether there is a second one: a name may have been seen with millions of contents
_SECOND = (
    select(Identity.id)
    .where(Identity.file_id == File.id, Identity.checksums != "")
    .offset(1)
    .limit(1)
    .correlate(File)
    .scalar_subquery()
)
_SEEN_AS_SEVERAL = select(File.id).where(
    File.id.in_(bindparam("files", expanding=True)), _SECOND.is_not(None)
)
_READ = (
    select(Identity.size_bytes, Identity.checksums)
    .where(
        Identity.file_id == bindparam("file"),
        Identity.checksums != "",
        exists().where(Mention.identity_id == Identity.id),
    )
    .limit(_MOST_COMPARED)
)


def read_differently(connection: Connection, files: Collection[int]) -> set[int]:
    """Return those of the files of which jobs read contents that surely differ.

    Records with checksums of other kinds may mean one content.
    """
    differing = set()
    for (file,) in run(connection, _SEEN_AS_SEVERAL, {"files": sorted(files)}):
        contents = [(size, checksums) for size, checksums in run(connection, _READ, {"file": file})]
        if not may_be_one_content(contents):
            differing.add(file)
    return differing
