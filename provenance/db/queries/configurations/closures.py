"""Recorded configurations that are to be evaluated."""

from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, select

from jobprov.provenance.db.recording.configurations.art_runs import RecordedClosure
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.tables import Closure, Experiment


class FoundClosure(NamedTuple):
    """A configuration as records have it, and the name of an experiment."""

    id: int
    experiment: str
    recorded: RecordedClosure


def closure_of(connection: Connection, experiment: int, sha256: str) -> FoundClosure | None:
    """Return the configuration with this digest for an experiment; None if either is unknown."""
    query = (
        select(Closure.id, Closure.document, Experiment.name)
        .join(Experiment, Experiment.id == experiment)
        .where(Closure.sha256 == sha256)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    recorded = msgspec.json.decode(unpack(row.document), type=RecordedClosure)
    return FoundClosure(row.id, row.name, recorded)
