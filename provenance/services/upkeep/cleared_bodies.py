"""Removes the bytes of erased entries from the archive, by rewriting the bodies of their segments.

The new body is stored and read back before the old one is removed, so that one of them is there
whenever the power fails. The head, with every leaf, does not change: it still proves all others.
"""

from collections.abc import Collection, Mapping

from jobprov.archive.store import Store
from jobprov.provenance.services.ledger.erased_segments import (
    NO_SALT,
    next_name,
    read_rewritten,
    rewritten_names,
    write_rewritten,
)
from jobprov.provenance.services.ledger.frames import body_name
from jobprov.provenance.services.ledger.segments import (
    SealedEntry,
    SegmentReader,
    forget_segments,
    write_frames,
)


def erase_bodies(store: Store, experiment: str, places: Mapping[int, Collection[int]]) -> int:
    """Rewrite the bodies of segments without the entries at these positions.

    Return how many segments still had them.

    Raises:
        SegmentError: the body of a segment does not match its head. It stays as it is.
    """
    count = 0
    try:
        for segment, positions in sorted(places.items()):
            # Another process may have rewritten this body since it was kept in memory
            forget_segments()
            reader = SegmentReader.open(store, experiment, segment)
            first_name = body_name(experiment, segment, reader.head.body_sha256)
            if not all(reader.is_erased(position) for position in positions):
                _write_without(store, reader, first_name, frozenset(positions))
                count += 1
            _remove_older(store, first_name)
    finally:
        forget_segments()
    return count


def _write_without(
    store: Store, reader: SegmentReader, first_name: str, positions: frozenset[int]
) -> None:
    """Store the body of a segment without these entries, and read it back."""
    entries: list[SealedEntry] = []
    for position, entry in enumerate(reader.entries()):
        if position in positions:
            entries.append(entry._replace(salt=NO_SALT, body=b"", erased=entry.leaf))
        else:
            entries.append(entry)
    document = write_rewritten(*write_frames(entries))
    while not store.put_document(name := next_name(store, first_name), document):
        pass  # another process took this number just now: try the next one
    frames, body = read_rewritten(store.get_document(name))
    for _ in SegmentReader(reader.head_bytes, body, frames=frames).entries():
        pass  # reading an entry compares it with its leaf


def _remove_older(store: Store, first_name: str) -> None:
    """Remove the first body and every rewritten one but the newest."""
    if names := rewritten_names(store, first_name):
        store.erase_documents([first_name, *names[:-1]])
