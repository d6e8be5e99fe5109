"""The ends of the chains of sealed segments, as far as the database knows them."""

from typing import NamedTuple

from sqlalchemy import Connection, select

from jobprov.provenance.db.tables import ChainHead, Experiment


class LastSegment(NamedTuple):
    """The last segment of a chain: its number, and the digest of its head."""

    segment: int
    head_sha256: str


def last_segment(connection: Connection, experiment: str) -> LastSegment | None:
    """Return the last segment of an experiment's chain; None before the first."""
    query = (
        select(ChainHead.segment, ChainHead.head_sha256)
        .join(Experiment, Experiment.id == ChainHead.experiment_id)
        .where(Experiment.name == experiment)
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else LastSegment(row.segment, row.head_sha256)
