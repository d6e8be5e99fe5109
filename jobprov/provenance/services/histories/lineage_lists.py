"""All ancestors or all descendants of a file, as a list without edges."""

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
from jobprov.provenance.db.queries.lookup.files.focus import Focus, focus_of
from jobprov.provenance.services.lookup.file import find_file


def list_ancestors(
    connection: Connection,
    name: str,
    *,
    experiment: str | None = None,
    namespace: str | None = None,
    version: int | None = None,
) -> LineageList:
    """Return every file that a version of a file was made from; the newest version by default.

    Raises:
        NotFoundError: no record mentions the file.
        AmbiguousError: several experiments or namespaces know the name.
        BadInputError: there is no such version.
        LimitError: the walk took more than five seconds.
    """
    file = find_file(connection, name, experiment=experiment, namespace=namespace)
    focus = focus_of(connection, file.id, version)
    walked = []
    if focus.claim_id is not None:
        walked = walk_ancestors(connection, focus.claim_id)
    return _answer(connection, file, focus, walked)


def list_descendants(
    connection: Connection,
    name: str,
    *,
    experiment: str | None = None,
    namespace: str | None = None,
    version: int | None = None,
) -> LineageList:
    """Return every file that was made from a file: from any version of it, unless one is named.

    Raises:
        NotFoundError, AmbiguousError, BadInputError, LimitError: as `list_ancestors`.
    """
    file = find_file(connection, name, experiment=experiment, namespace=namespace)
    focus = focus_of(connection, file.id, version)
    if version is None:
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
