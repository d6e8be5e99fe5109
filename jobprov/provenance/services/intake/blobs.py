"""Blobs and who possesses them: an experiment may name, read and bundle what it uploaded itself.

Bytes are stored once, whoever sends them; naming the digest of another experiment's blob gives
nothing.

Source: storage.md, "Possession".
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.digest import digest_of
from jobprov.archive.store import Store
from jobprov.provenance.db.changes.intake import add_possessions
from jobprov.provenance.db.queries.holdings.awaited import experiments_awaiting
from jobprov.provenance.db.queries.holdings.erasures import (
    erased_among,
    erased_anywhere,
    erased_digests,
)
from jobprov.provenance.db.queries.holdings.expiry import expired_logs, needed_by_nobody
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs, possessed_by_anybody
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.records.files.inputs import all_inputs
from jobprov.provenance.records.reading.decoding import DecodedRecord
from jobprov.provenance.services.intake.packed_texts import SEARCHED_BYTES, is_packed
from jobprov.provenance.services.intake.secrets import find_secret, rules_in_text
from jobprov.provenance.services.work.notices import blob_arrived, blobs_there
from jobprov.provenance.services.writing import Writing

_SEARCHED_PIECE = 1 << 20
_OVERLAP = 1 << 16
_BEGINNING = 8192
_UNCLAIMED_LIMIT = 100_000
_MOST_SEEN = 100_000
_SEEN_SECONDS = 600.0


class Upload(NamedTuple):
    """A blob whose bytes lie in the archive, and the experiment that sent them."""

    experiment: str
    sha256: str


def grant_possession(writing: Writing, uploads: Sequence[Upload]) -> list[bool]:
    """Note who possesses what; return for each upload, in order, whether that is new.

    What was erased on purpose is not taken.
    """
    experiments = intern_experiments(writing, {upload.experiment for upload in uploads})
    not_taken = _possessed_or_erased(writing.connection, experiments, uploads)
    granted: list[tuple[int, str]] = []
    are_new: list[bool] = []
    for upload in uploads:
        is_new = upload not in not_taken
        are_new.append(is_new)
        if is_new:
            granted.append((experiments[upload.experiment], upload.sha256))
            not_taken.add(upload)  # the same again in this list is not new
    add_possessions(writing.connection, granted)
    return are_new


def _possessed_or_erased(
    connection: Connection, experiments: Mapping[str, int], uploads: Sequence[Upload]
) -> set[Upload]:
    """Return the uploads that experiments possess already or erased on purpose."""
    not_taken: set[Upload] = set()
    for experiment in experiments:
        digests = {upload.sha256 for upload in uploads if upload.experiment == experiment}
        not_taken |= _possessed(connection, experiment, digests)
    others = [upload for upload in uploads if upload not in not_taken]
    if others:
        names = {key: name for name, key in experiments.items()}
        pairs = [(experiments[upload.experiment], upload.sha256) for upload in others]
        for key, sha256 in erased_among(connection, pairs):
            not_taken.add(Upload(names[key], sha256))
    return not_taken


def _possessed(connection: Connection, experiment: str, digests: AbstractSet[str]) -> set[Upload]:
    possessed: set[str] = set()
    for part in chunks(sorted(digests)):
        possessed |= possessed_blobs(connection, experiment, part)
    return {Upload(experiment, sha256) for sha256 in possessed}


class BlobQuota:
    """How many bytes of new blobs each experiment may send within a day; thread-safe.

    Counted in memory: a quota is against a token that runs wild, not an account of what is stored.

    Args:
        most_bytes: 0 for any number.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._day = 0
        self._sent: dict[str | None, int] = {}
        self._lock = threading.Lock()

    def add(self, experiment: str | None, count: int) -> None:
        """Count bytes that were stored."""
        with self._lock:
            today = int(time.time()) // 86_400
            if today != self._day:
                self._day, self._sent = today, {}
            self._sent[experiment] = self._sent.get(experiment, 0) + count

    def check(self, experiment: str | None) -> None:
        """Check that the experiment may send more today.

        Raises:
            UnreachableError: it may not; hooks keep their blobs and try again.
        """
        is_today = self._day == int(time.time()) // 86_400
        if self._most and is_today and self._sent.get(experiment, 0) >= self._most:
            raise UnreachableError(
                f"{experiment or 'This service'} sent {self._most / 1e9:g} GB of new blobs today, "
                "which is its quota (JOBPROV_BLOB_QUOTA_GB); send the others tomorrow."
            )


class LostBlobs:
    """Finds blobs that experiments uploaded and that the archive has no more; thread-safe.

    What was there is believed to be there for ten minutes: in a bucket each look is a request.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[str, float] = {}

    def among(self, digests: AbstractSet[str]) -> set[str]:
        """Return those of the digests that are not in the archive."""
        now = time.monotonic()
        unsure = {sha256 for sha256 in digests if self._seen.get(sha256, 0.0) < now}
        if not unsure:
            return set()
        lost = self._store.missing(unsure)
        if len(self._seen) > _MOST_SEEN:
            self._seen = {}
        self._seen.update(dict.fromkeys(unsure - lost, now + _SEEN_SECONDS))
        return lost


def missing_of(
    connection: Connection,
    experiment: str | None,
    digests: Sequence[str],
    lost_blobs: LostBlobs | None = None,
) -> list[str]:
    """Return those of the digests that the experiment has not uploaded, or that were lost since.

    They come in the order asked, each once. With None as the experiment, an upload by any counts.

    Logs that expired are not asked for again, nor is what was erased on purpose.
    """
    distinct = list(dict.fromkeys(digests))
    if experiment is None:
        not_wanted = possessed_by_anybody(connection, distinct)
    else:
        not_wanted = possessed_blobs(connection, experiment, distinct)
        if lost_blobs is not None:
            not_wanted -= lost_blobs.among(not_wanted)
        others = [sha256 for sha256 in distinct if sha256 not in not_wanted]
        not_wanted |= expired_logs(connection, experiment, others).keys()
        not_wanted |= erased_digests(connection, {experiment: distinct}).get(experiment, set())
    return [sha256 for sha256 in distinct if sha256 not in not_wanted]


class Unclaimed:
    """Blobs that came to a service without tokens, before any record named them.

    The first record that names a blob gives it to the record's experiment.

    Kept in memory alone and used by the writer's thread alone. What is forgotten (a restart, more
    than 100,000) comes to its experiment all the same: the answer to the record lists it as
    missing, and it is sent again.
    """

    def __init__(self) -> None:
        self._digests: dict[str, None] = {}

    def add(self, sha256: str) -> None:
        """Remember a blob."""
        self._digests[sha256] = None
        if len(self._digests) > _UNCLAIMED_LIMIT:
            self._digests.pop(next(iter(self._digests)))

    def adopt(self, writing: Writing, records: Sequence[DecodedRecord]) -> None:
        """Give experiments those of the blobs that their records name."""
        if not self._digests:
            return
        uploads: list[Upload] = []
        for decoded in records:
            named = sorted(_named_in(decoded) & self._digests.keys())
            uploads.extend(Upload(decoded.experiment, sha256) for sha256 in named)
        grant_possession(writing, uploads)
        for upload in uploads:
            self._digests.pop(upload.sha256, None)

    def claim(self, writing: Writing, experiment: str, digests: Iterable[str]) -> None:
        """Give an experiment those of the blobs that it names in a declaration."""
        named = sorted(self._digests.keys() & set(digests))
        if named:
            grant_possession(writing, [Upload(experiment, sha256) for sha256 in named])
            for sha256 in named:
                self._digests.pop(sha256)


def _named_in(decoded: DecodedRecord) -> set[str]:
    """Return every digest that a bundle of the job could hold."""
    named = set(decoded.references)
    if decoded.record is not None:
        named |= all_inputs(decoded.record)
        named |= {output.sha256 for output in decoded.record.outputs or () if output.sha256}
    return named


def settle_blob(writing: Writing, experiment: str, sha256: str) -> bool:
    """Note that an experiment sent a blob, and bring the jobs that waited for it up to date.

    Return whether it is new to it.
    """
    is_new = grant_possession(writing, [Upload(experiment, sha256)])[0]
    if is_new:
        blob_arrived(writing.connection, sha256)
    return is_new


def settle_blobs(writing: Writing, uploads: Sequence[Upload]) -> list[bool]:
    """Note that blobs were sent, as `settle_blob` does; return for each whether it is new."""
    are_new = grant_possession(writing, uploads)
    arrived = {upload.sha256 for upload, is_new in zip(uploads, are_new, strict=True) if is_new}
    blobs_there(writing.connection, sorted(arrived))
    return are_new


def settle_unclaimed(writing: Writing, unclaimed: Unclaimed, digests: Sequence[str]) -> None:
    """Note that blobs came without a token.

    They are for those whose jobs wait for them, and for the records to come.
    """
    awaited = experiments_awaiting(writing.connection, digests)
    settle_blobs(writing, [Upload(experiment, sha256) for experiment, sha256 in awaited])
    for sha256 in digests:
        unclaimed.add(sha256)


def unwanted_among(
    connection: Connection, experiment: str | None, digests: Sequence[str]
) -> set[str]:
    """Return the digests that an experiment erased on purpose, so that they are not stored again.

    Without a token, those that any did.
    """
    if experiment is None:
        return erased_anywhere(connection, digests)
    return erased_digests(connection, {experiment: digests}).get(experiment, set())


def nobodys_among(connection: Connection, digests: Sequence[str]) -> set[str]:
    """Return the digests of blobs that no experiment possesses."""
    return set(needed_by_nobody(connection, digests))


def without_erased(connection: Connection, digests: Sequence[str]) -> list[str]:
    """Return the digests that no experiment erased on purpose."""
    erased = erased_anywhere(connection, digests)
    return [sha256 for sha256 in digests if sha256 not in erased]


def has_digest(data: bytes, sha256: str) -> bool:
    """Tell whether these are the bytes that a digest names."""
    return digest_of(data) == sha256


def searched_chunks(
    chunks: Iterable[bytes], refuse: Callable[[list[str]], Exception]
) -> Iterator[bytes]:
    """Yield the chunks of a long blob; each piece is searched for secrets first.

    A secret is found across the end of a piece as well, if it is no longer than 64 kB. Whether the
    blob is text is judged by its beginning. Of what is packed, the first 8 MiB are unpacked.

    Raises:
        Exception: what `refuse` makes of the rules by which it holds a secret.
    """
    search = _PiecewiseSearch()
    for chunk in chunks:
        rules = search.add(chunk)
        if rules:
            raise refuse(rules)
        yield chunk
    rules = search.end()
    if rules:
        raise refuse(rules)


class _PiecewiseSearch:
    """Searches a long blob for secrets, a piece of at least 1 MiB at a time."""

    def __init__(self) -> None:
        self._piece = bytearray()
        self._is_text = False
        self._is_over = False  # the rest is not searched

    def add(self, chunk: bytes) -> list[str]:
        """Take the next chunk; return the rules that find a secret in the piece that it ends."""
        if self._is_over:
            return []
        self._piece += chunk
        if len(self._piece) < _SEARCHED_PIECE:
            return []
        if self._is_text:
            return self._search_text()
        return self._search_beginning()

    def end(self) -> list[str]:
        """Return the rules that find a secret in what is left at the end of the blob."""
        return [] if self._is_over else find_secret(bytes(self._piece))

    def _search_text(self) -> list[str]:
        rules = rules_in_text(bytes(self._piece))
        self._keep_overlap()
        return rules

    def _search_beginning(self) -> list[str]:
        """Search the first piece, by which the kind of the blob is judged."""
        beginning = bytes(self._piece[:_BEGINNING])
        if is_packed(beginning) and len(self._piece) < SEARCHED_BYTES:
            return []  # more of it is needed to unpack it
        rules = find_secret(bytes(self._piece))
        self._is_text = b"\0" not in beginning and not is_packed(beginning)
        self._is_over = not self._is_text
        self._keep_overlap()
        return rules

    def _keep_overlap(self) -> None:
        """Drop what was searched, up to a secret that may go on in the next chunk."""
        kept = _OVERLAP if self._is_text else 0
        del self._piece[: len(self._piece) - kept]
