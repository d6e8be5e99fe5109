"""Packs of resolved code."""

from collections.abc import Iterator

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import Resolution


def resolved_packs(connection: Connection) -> list[str]:
    """Return the digests of the packs of all resolved code, without its submodules."""
    query = select(Resolution.pack_sha256).where(Resolution.pack_sha256.is_not(None)).distinct()
    return [sha256 for (sha256,) in connection.execute(query) if sha256]


def resolutions_with_submodules(connection: Connection) -> Iterator[str]:
    """Yield the JSON documents of resolutions that may have submodules."""
    # Only the document names packs of submodules. Its text is searched, so that few are parsed
    query = select(Resolution.document).where(Resolution.document.contains("submodules"))
    for (document,) in connection.execute(query):
        yield document
