"""Files from outside of which jobs read different contents under one name."""

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import Connection, ScalarSelect, bindparam, exists, select

from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.tables import File, Identity, Mention
from jobprov.provenance.records.files.checksums import may_be_one_content

_MOST_COMPARED = 20
_CROWD = 1000


def _identity_after(count: int) -> ScalarSelect[int]:
    """Return an identity of the file that has so many others; NULL if the file has no more."""
    return (
        select(Identity.id)
        .where(Identity.file_id == File.id, Identity.checksums != "")
        .offset(count)
        .limit(1)
        .correlate(File)
        .scalar_subquery()
    )


_SEEN_AS_SEVERAL = select(File.id, _identity_after(_CROWD).is_not(None).label("is_crowd")).where(
    File.id.in_(bindparam("files", expanding=True)), _identity_after(1).is_not(None)
)
_READ = select(Identity.file_id, Identity.size_bytes, Identity.checksums).where(
    Identity.file_id.in_(bindparam("files", expanding=True)),
    Identity.checksums != "",
    exists().where(Mention.identity_id == Identity.id),
)


def read_differently(connection: Connection, files: Collection[int]) -> set[int]:
    """Return the files that some jobs surely read with different contents.

    Records with checksums of other kinds may mean one content.
    """
    differing, several = set(), []
    for row in run(connection, _SEEN_AS_SEVERAL, {"files": sorted(files)}):
        if row.is_crowd:  # one content does not have that many sets of checksums
            differing.add(row.id)
        else:
            several.append(row.id)
    if not several:
        return differing
    contents = defaultdict(list)
    for row in run(connection, _READ, {"files": several}):
        contents[row.file_id].append((row.size_bytes, row.checksums))
    for file, of_file in contents.items():
        if not may_be_one_content(of_file[:_MOST_COMPARED]):
            differing.add(file)
    return differing
