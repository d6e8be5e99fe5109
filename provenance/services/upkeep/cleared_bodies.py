"""Takes the bytes of erased entries out of the archive.

The body of their segment is written anew without them.

The new body is stored and read back before the old one goes, so that one of them is there whenever
the power goes. The head, with every leaf, stays as it is: all other entries are proved as before.
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
    """Write the bodies of segments anew without the entries at these positions.

    Return how many segments still had them.

    Raises:
        SegmentError: a segment does not hold what its head says; its body stays as it is.
    """
    count = 0
    try:
        for segment, positions in sorted(places.items()):
            # another process may have written this body anew since it was kept in memory
            forget_segments()
            reader = SegmentReader.open(store, experiment, segment)
            first_name = body_name(experiment, segment, reader.head["body_sha256"])
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
    entries = [
        SealedEntry(entry.kind, entry.received_at, entry.submitter, NO_SALT, b"", entry.leaf)
        if place in positions
        else entry
        for place, entry in enumerate(reader.entries())
    ]
    document = write_rewritten(*write_frames(entries))
    while not store.put_document(name := next_name(store, first_name), document):
        pass  # somebody else wrote one of this number at the same moment
    frames, body = read_rewritten(store.get_document(name))
    for _ in SegmentReader(reader.head_bytes, body, frames=frames).entries():
        pass  # each is compared with its leaf


def _remove_older(store: Store, first_name: str) -> None:
    if names := rewritten_names(store, first_name):
        store.erase_documents([first_name, *names[:-1]])
