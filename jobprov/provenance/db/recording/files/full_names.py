"""Inputs that jobs recorded by bare name, under the namespace that their catalog knows them in.

A sighting says so (`is_only_namespace`): the catalog has the name in this namespace alone. Mentions
and parents of the bare name then stand at an *image* of their identity, a row of the full name with
the same key, and all that asks by files finds them there. The identity of the bare name keeps its
row, to which they go back where a second sighting names another namespace.

Nothing is guessed: a bare name that a job claims stays (`aliases.py` joins it), and so do
identities whose size or checksums the sighting contradicts. What is stored follows from all
sightings, claims and mentions, so that it does not matter which came first.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.recording.files.edges import IdentityFacts, contradict
from jobprov.provenance.db.recording.files.linking import link_files
from jobprov.provenance.db.statements.driver import change_many
from jobprov.provenance.db.statements.selecting import select_among
from jobprov.provenance.db.tables import Identity, Sighting
from jobprov.provenance.db.tables.base import ColumnValue, table_of
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.db.writer.transaction import Transaction
from jobprov.provenance.db.writer.turns import take_files
from jobprov.provenance.records.files.checksums import unpack_checksums

_SIGHTED_NAMES = """
SELECT f.id, g.id FROM files f CROSS JOIN files g
WHERE f.id {among} AND f.namespace = ''
AND g.name = f.name AND g.experiment_id = f.experiment_id AND g.namespace <> ''
AND EXISTS (SELECT 1 FROM sightings s WHERE s.file_id = g.id)
"""
_BARE_NAMES = """
SELECT f.id FROM files g CROSS JOIN files f
WHERE g.id {among} AND f.name = g.name AND f.experiment_id = g.experiment_id AND f.namespace = ''
"""
_READ_BARE = """
SELECT DISTINCT f.id FROM mentions m CROSS JOIN identities i CROSS JOIN files f
WHERE m.job_id {among} AND i.id = m.identity_id AND f.id = i.file_id AND f.namespace = ''
"""
_DECLARED_BARE = """
SELECT DISTINCT f.id FROM claims c CROSS JOIN parents p CROSS JOIN identities i CROSS JOIN files f
WHERE c.job_id {among} AND p.claim_id = c.id
AND i.id = p.identity_id AND f.id = i.file_id AND f.namespace = ''
"""
_WRITTEN = "SELECT DISTINCT file_id FROM claims WHERE job_id {among}"
_CLAIMED = """
SELECT f.id FROM files f
WHERE f.id {among} AND EXISTS (SELECT 1 FROM claims c WHERE c.file_id = f.id)
"""
_IDENTITIES = """
SELECT file_id, id, key, size_bytes, checksums, campaign FROM identities WHERE file_id {among}
"""
_MOVES = (
    "UPDATE mentions SET identity_id = ? WHERE identity_id = ?",
    "UPDATE parents SET identity_id = ? WHERE identity_id = ?",
)


class _StoredIdentity(NamedTuple):
    """A row of `identities`."""

    file: int
    id: int
    key: bytes
    size_bytes: int | None
    checksums: str
    campaign: str

    def facts(self) -> IdentityFacts:
        """Return what compares."""
        return IdentityFacts(self.id, self.size_bytes, self.checksums, self.campaign)


class _Seen(NamedTuple):
    """What sightings say of a full name.

    Attributes:
        identity: as which the newest sighting that says so saw it.
    """

    is_only: bool
    identity: int


class _Move(NamedTuple):
    """Mentions and parents go from one identity to another."""

    to_identity: int
    from_identity: int


def name_inputs(transaction: Transaction, jobs: Sequence[int], unclaimed: Iterable[int]) -> None:
    """Bring bare names that were just written up to date, as inputs or as outputs.

    Args:
        transaction: under way.
        jobs: keys of the jobs that were written.
        unclaimed: files that an earlier reading of these jobs claimed.
    """
    connection = transaction.connection
    files = set(unclaimed)
    for statement in (_READ_BARE, _DECLARED_BARE, _WRITTEN):
        files.update(row[0] for row in select_among(connection, statement, jobs))
    _place_files(transaction, files)


def name_sighted(transaction: Transaction, files: Sequence[int]) -> None:
    """Bring the bare names of files up to date after sightings of them were written."""
    rows = select_among(transaction.connection, _BARE_NAMES, files)
    _place_files(transaction, {row[0] for row in rows})


def _place_files(transaction: Transaction, bare_files: Iterable[int]) -> None:
    """Have what was read by these bare names stand where their sightings say."""
    connection = transaction.connection
    for part in chunks(sorted(bare_files)):
        full_names: dict[int, list[int]] = defaultdict(list)
        for bare, full in select_among(connection, _SIGHTED_NAMES, part):
            full_names[bare].append(full)
        if not full_names:
            continue
        concerned = set(full_names).union(*full_names.values())
        take_files(connection, sorted(concerned))
        moves = _moves(transaction, full_names)
        if moves:
            for statement in _MOVES:
                change_many(connection, statement, moves)
            link_files(connection, concerned)


def _moves(transaction: Transaction, full_names: dict[int, list[int]]) -> list[_Move]:
    """Return what has to go where, of the identities of bare names that have full names."""
    connection = transaction.connection
    full_files = set().union(*full_names.values())
    sightings = _sightings(connection, sorted(full_files))
    claimed = {row[0] for row in select_among(connection, _CLAIMED, list(full_names))}
    identities = _identities(connection, [*full_names, *sightings])
    moves: list[_Move] = []
    for bare, files in full_names.items():
        # Only a bare name that can mean one file alone stands for that file
        only_file = None
        if len(files) == 1 and sightings[files[0]].is_only and bare not in claimed:
            only_file = files[0]
        for identity in identities[bare]:
            images = _images(identity, files, identities)
            target = identity.id
            if only_file is not None and _agrees(
                identity, sightings[only_file], identities[only_file]
            ):
                target = images.get(only_file) or _add_image(transaction, identity, only_file)
            moved = {identity.id, *images.values()} - {target}
            moves += [_Move(target, source) for source in sorted(moved)]
    return moves


def _images(
    identity: _StoredIdentity,
    files: Sequence[int],
    identities: dict[int, list[_StoredIdentity]],
) -> dict[int, int]:
    """Return the images of an identity by file."""
    images = {}
    for file in files:
        for other in identities[file]:
            if other.key == identity.key:
                images[file] = other.id
    return images


def _add_image(transaction: Transaction, identity: _StoredIdentity, file: int) -> int:
    """Return the image of an identity under another file, made where it is new."""
    row: dict[str, ColumnValue] = {
        "file_id": file,
        "key": identity.key,
        "size_bytes": identity.size_bytes,
        "checksums": identity.checksums,
        "campaign": identity.campaign,
    }
    key = (file, identity.key)
    return transaction.intern(table_of(Identity), ["file_id", "key"], {key: row})[key]


def _agrees(identity: _StoredIdentity, seen: _Seen, of_file: Sequence[_StoredIdentity]) -> bool:
    """Return whether nothing contradicts that a bare identity is what the sighting saw."""
    for other in of_file:
        if other.id == seen.identity:
            return not contradict(identity.facts(), other.facts())
    return False


def _identities(connection: Connection, files: Sequence[int]) -> dict[int, list[_StoredIdentity]]:
    """Return the identities of files, with checksums as words."""
    identities: dict[int, list[_StoredIdentity]] = defaultdict(list)
    rows = select_among(connection, _IDENTITIES, files)
    for file, identity, key, size_bytes, checksums, campaign in rows:
        words = unpack_checksums(checksums)
        identities[file].append(
            _StoredIdentity(file, identity, bytes(key), size_bytes, words, campaign)
        )
    return identities


def _sightings(connection: Connection, files: Sequence[int]) -> dict[int, _Seen]:
    """Return what the sightings of each file say."""
    query = (
        select(Sighting.file_id, Sighting.identity_id, Sighting.document)
        .where(Sighting.file_id.in_(files))
        .order_by(Sighting.entry_id)
    )
    seen: dict[int, _Seen] = {}
    for file, identity, document in connection.execute(query):
        if json.loads(document).get("is_only_namespace") is True:
            seen[file] = _Seen(is_only=True, identity=identity)
        else:
            seen.setdefault(file, _Seen(is_only=False, identity=identity))
    return seen
