"""All ancestors or all descendants of a file, as a list without edges."""

from typing import Unpack

from sqlalchemy import Connection

from jobprov.provenance.answers.histories.lineage import LineageList
from jobprov.provenance.db.queries.histories.walks import (
    MOST_FILES,
    WalkedFile,
    listed_files,
    met_count,
    walk_ancestors,
    walk_descendants,
)
from jobprov.provenance.db.queries.lookup.files.by_name import FoundFile
from jobprov.provenance.db.queries.lookup.files.focus import Focus
from jobprov.provenance.services.histories.lineage import VersionAsked, find_version


def list_ancestors(connection: Connection, name: str, **asked: Unpack[VersionAsked]) -> LineageList:
    """Return every file that a version of a file was made from.

    Raises:
        NotFoundError, AmbiguousError, BadInputError: see `find_version`.
        LimitError: the walk took more than five seconds.
    """
    file, focus = find_version(connection, name, **asked)
    walked = []
    if focus.claim_id is not None:
        walked = walk_ancestors(connection, focus.claim_id)
    return _answer(connection, file, focus, walked)


def list_descendants(
    connection: Connection, name: str, **asked: Unpack[VersionAsked]
) -> LineageList:
    """Return every file that was made from a file: from any version of it, unless one is named.

    Raises:
        NotFoundError, AmbiguousError, BadInputError, LimitError: as `list_ancestors`.
    """
    file, focus = find_version(connection, name, **asked)
    if asked.get("version") is None:
        focus = focus.of_name()
    walked = walk_descendants(connection, focus.claim_id, file=file.id)
    return _answer(connection, file, focus, walked)


def _answer(
    connection: Connection, file: FoundFile, focus: Focus, walked: list[WalkedFile]
) -> LineageList:
    return LineageList(
        file=file.as_answer(),
        version=focus.version,
        versions=focus.versions,
        count=len({row.file_id for row in walked}),
        files=listed_files(connection, walked),
        is_truncated=met_count(walked) >= MOST_FILES,
    )
