"""Comparators of an experiment: declared anew as a whole, every version kept.

The newest counts for bundles made from then on.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, func, select

from jobprov.provenance.bundle.comparison.comparators import OutputRule, read_rules
from jobprov.provenance.db.recording.writing import intern_experiments, table_of
from jobprov.provenance.db.tables import ComparatorSet, Experiment, LedgerEntry
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.records.reading.documents import check_experiment_name
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.writing import Writing


def declare_comparators(
    writing: Writing,
    experiment: str,
    document: Mapping[str, Any],
) -> dict[str, Any]:
    """Declare how outputs of an experiment are compared; return `{experiment, version, is_new}`.

    The same again changes nothing.

    Raises:
        BadInputError: the rules cannot be read, or no record could name the experiment.
    """
    connection = writing.connection
    read_rules(document)
    key = intern_experiments(writing, {check_experiment_name(experiment)})[experiment]
    held = _newest(connection, experiment)
    if held is not None and json.loads(held.document) == document:
        return {"experiment": experiment, "version": held.version, "is_new": False}
    entry = enter_document(writing, key, "comparators", {"comparators": dict(document)})
    return {
        "experiment": experiment,
        "version": write_comparator_row(connection, key, entry, document),
        "is_new": True,
    }


def write_comparator_row(
    connection: Connection, experiment: int, entry: int, document: Mapping[str, Any]
) -> int:
    """Write the row of a declaration whose ledger entry is there.

    Return its version, which follows the one before.
    """
    table = table_of(ComparatorSet)
    last = select(func.max(table.c.version)).where(table.c.experiment_id == experiment)
    version = (connection.execute(last).scalar_one() or 0) + 1
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    row = {"entry_id": entry, "experiment_id": experiment, "version": version, "document": text}
    connection.execute(table.insert(), [row])
    return version


def comparators_of(connection: Connection, experiment: str) -> list[OutputRule]:
    """Return the newest rules of an experiment; none where it declared none."""
    held = _newest(connection, experiment)
    return [] if held is None else read_rules(json.loads(held.document)).output


def show_comparators(
    connection: Connection, experiment: str, *, version: int | None = None
) -> dict[str, Any]:
    """Return `{experiment, version, comparators, versions}`.

    The newest rules or those asked for, and when each came.

    Raises:
        NotFoundError: there are none, or no such version.
    """
    query = (
        select(
            ComparatorSet.version,
            ComparatorSet.document,
            LedgerEntry.received_at,
            LedgerEntry.submitter,
        )
        .join(Experiment, Experiment.id == ComparatorSet.experiment_id)
        .join(LedgerEntry, LedgerEntry.id == ComparatorSet.entry_id)
        .where(Experiment.name == experiment)
        .order_by(ComparatorSet.version.desc())
    )
    rows = connection.execute(query).all()
    shown = next((row for row in rows if version in (None, row.version)), None)
    if shown is None:
        which = "" if version is None else f" of version {version}"
        raise NotFoundError(f"Experiment {experiment} declared no comparators{which}.")
    versions = [
        {
            "version": row.version,
            "received_at": row.received_at.isoformat(),
            "submitter": row.submitter,
        }
        for row in rows
    ]
    document = json.loads(shown.document)
    return {
        "experiment": experiment,
        "version": shown.version,
        "comparators": document,
        "versions": versions,
    }


def _newest(connection: Connection, experiment: str) -> Any:
    query = (
        select(ComparatorSet.version, ComparatorSet.document)
        .join(Experiment, Experiment.id == ComparatorSet.experiment_id)
        .where(Experiment.name == experiment)
        .order_by(ComparatorSet.version.desc())
        .limit(1)
    )
    return connection.execute(query).first()
