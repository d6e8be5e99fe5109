"""Recorded configurations that are to be evaluated."""

from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, bindparam, select

from jobprov.provenance.db.recording.configurations.art_runs import RecordedClosure
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.tables import Closure, Experiment

_CLOSURE = (
    select(Closure.id, Closure.document, Experiment.name)
    .join(Experiment, Experiment.id == bindparam("experiment"))
    .where(Closure.sha256 == bindparam("sha256"))
)


class FoundClosure(NamedTuple):
    """A configuration as records have it, and the name of an experiment."""

    id: int
    experiment: str
    recorded: RecordedClosure


def closure_of(connection: Connection, experiment: int, sha256: str) -> FoundClosure | None:
    """Return the configuration with this digest for an experiment; None if either is unknown."""
    rows = run(connection, _CLOSURE, {"experiment": experiment, "sha256": sha256})
    if not rows:
        return None
    row = rows[0]
    recorded = msgspec.json.decode(unpack(row.document), type=RecordedClosure)
    return FoundClosure(row.id, row.name, recorded)
