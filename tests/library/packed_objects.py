"""Canonical packs of objects in memory, for tests of what reads packs."""

from collections.abc import Iterable

from jobprov.provenance.software.object_form import object_id
from jobprov.provenance.software.packs.form import (
    entry_header,
    pack_header,
    sort_key,
    stored_zlib,
    with_trailer,
)


def pack_of_objects(given: Iterable[tuple[str, bytes]]) -> bytes:
    """Return the canonical pack of objects in memory."""
    known = {object_id(kind, content): (kind, content) for kind, content in given}
    order = sorted(known, key=lambda oid: sort_key(known[oid][0], oid))
    parts = [pack_header(len(order))]
    for oid in order:
        kind, content = known[oid]
        parts += [entry_header(kind, len(content)), *stored_zlib([content], len(content))]
    return b"".join(with_trailer(parts))
