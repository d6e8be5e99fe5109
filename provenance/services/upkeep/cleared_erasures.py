"""Takes what was erased out of archive and database, once the chain says that it was.

That is bodies of segments, blobs, and deleted rows.

Everything is found again from what is recorded, so that this can be done as often as one likes:
after a crash, or after a copy of the archive was restored in which the bytes are back.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.clearing import clear_deleted
from jobprov.provenance.db.engines import Database
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.erasures.blobs import plans_among
from jobprov.provenance.db.queries.holdings.erasures import erased_of, erased_places
from jobprov.provenance.db.queries.holdings.expiry import needed_by_nobody
from jobprov.provenance.db.queries.lookup.experiments import experiment_names
from jobprov.provenance.services.bundles.plan_blobs import generated_for_nobody_else
from jobprov.provenance.services.intake.partial_blobs import HalfSent
from jobprov.provenance.services.ledger.chains import archived_experiments
from jobprov.provenance.services.upkeep.cleared_bodies import erase_bodies
from jobprov.provenance.services.upkeep.sealing import adopt_archived, one_sealer, seal_ledger
from jobprov.provenance.services.writing import Writer


class Cleared(NamedTuple):
    """What went.

    Attributes:
        segments: of which the body was written anew.
        blobs: removed from the archive, those that bundles generated among them.
        left: digests of which a damaged pack still holds a copy.
        is_clear: whether the database's file was written anew; False where somebody held it all the
            time.
    """

    segments: int = 0
    blobs: int = 0
    left: tuple[str, ...] = ()
    is_clear: bool = True


class Parts(NamedTuple):
    """Where things are erased.

    `half_sent` is the folder of blobs that came in part, None where there is none.
    """

    database: Database
    writer: Writer
    store: Store
    half_sent: Path | None = None


def clear_erased(
    parts: Parts,
    experiment: str,
    *,
    entries: Sequence[int] | None = None,
    digests: Sequence[str] | None = None,
) -> Cleared:
    """Seal the ledger of an experiment, then remove the bytes that it says are erased.

    Return what went.

    Args:
        parts: where.
        experiment: whose.
        entries: of the ledger whose bytes go; all that were ever erased where None.
        digests: of bytes that go; all that were ever erased where None.

    Raises:
        SegmentError: the chain in the archive is not the one that the database continues, or a
            segment is damaged.
    """
    seal_ledger(parts.database, parts.writer, parts.store, experiments=[experiment])
    with one_sealer(parts.database):
        with parts.database.reading.connect() as connection:
            places = erased_places(connection, experiment, entries)
        segments = erase_bodies(parts.store, experiment, places)
    with parts.database.reading.connect() as connection:
        wanted = sorted(erased_of(connection, experiment)) if digests is None else list(digests)
        doomed = _doomed(connection, parts.store, wanted)
    left: set[str] = set()
    for part in doomed:  # plans go last, since they name what was generated for them
        left |= set(parts.store.erase(part)) if part else set()
    if parts.half_sent is not None:
        for sha256 in wanted:
            HalfSent(parts.half_sent, experiment, sha256).drop()
            HalfSent(parts.half_sent, None, sha256).drop()
    return Cleared(
        segments, sum(map(len, doomed)), tuple(sorted(left)), clear_deleted(parts.database)
    )


def catch_up(parts: Parts, experiment: str | None) -> None:
    """Have the database know all that the archive does, of one experiment or all.

    What is erased is then all there is.
    """
    names = archived_experiments(parts.store)
    for name in sorted(names) if experiment is None else names & {experiment}:
        adopt_archived(parts.database, parts.writer, parts.store, name)


def finish_erasures(parts: Parts) -> dict[str, Cleared]:
    """Remove all bytes that were ever erased and are still there.

    Return what went, by experiment.
    """
    with parts.database.reading.connect() as connection:
        experiments = [
            name for name in experiment_names(connection) if _is_anything_erased(connection, name)
        ]
    return {experiment: clear_erased(parts, experiment) for experiment in experiments}


def _is_anything_erased(connection: Connection, experiment: str) -> bool:
    return bool(erased_of(connection, experiment) or erased_places(connection, experiment))


def _doomed(connection: Connection, store: Store, wanted: Sequence[str]) -> list[list[str]]:
    """Return what is there and goes.

    First come the generated members of erased plans, then these bytes that nobody sent except who
    erased them.
    """
    free = needed_by_nobody(connection, wanted)
    stored: list[str] = []
    for part in chunks(free, 1000):
        stored += sorted(set(part) - store.missing(part))
    plans = plans_among(connection, stored)
    generated = generated_for_nobody_else(connection, store, plans) if plans else set()
    present = generated - store.missing(sorted(generated)) if generated else set()
    return [sorted({*present, *stored} - plans), sorted(plans)]
