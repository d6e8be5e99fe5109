"""Comparators of an experiment. Each declaration replaces all of them; every version is kept.

The newest version counts for bundles planned from then on.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.answers.bundles import (
    ComparatorsDeclared,
    ComparatorsVersion,
    ExperimentComparators,
)
from jobprov.provenance.bundle.comparison.comparators import OutputRule, read_rules
from jobprov.provenance.db.changes.bundles import add_comparators
from jobprov.provenance.db.changes.reruns import note_due_proofs
from jobprov.provenance.db.queries.reruns.bundles import comparator_versions, newest_comparators
from jobprov.provenance.db.recording.writing import intern_experiments
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.records.reading.documents import check_experiment_name
from jobprov.provenance.services.ledger.entries import enter_document
from jobprov.provenance.services.writing import Writing


def declare_comparators(
    writing: Writing, experiment: str, document: Mapping[str, Any]
) -> ComparatorsDeclared:
    """Declare how outputs of an experiment are compared. Declaring the same again changes nothing.

    Raises:
        BadInputError: the rules cannot be read, or the experiment's name is not valid in a record.
    """
    connection = writing.connection
    read_rules(document)
    key = intern_experiments(writing, {check_experiment_name(experiment)})[experiment]
    newest = newest_comparators(connection, experiment)
    if newest is not None and json.loads(newest.document) == document:
        return ComparatorsDeclared(experiment, newest.version, is_new=False)
    entry = enter_document(writing, key, "comparators", {"comparators": dict(document)})
    version = write_comparator_row(connection, key, entry, document)
    note_due_proofs(connection, experiment=key)
    return ComparatorsDeclared(experiment, version, is_new=True)


def write_comparator_row(
    connection: Connection, experiment: int, entry: int, document: Mapping[str, Any]
) -> int:
    """Write the row of a declaration whose ledger entry exists; return its version."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False)
    return add_comparators(connection, experiment=experiment, entry=entry, document=text)


def comparators_of(connection: Connection, experiment: str) -> list[OutputRule]:
    """Return the newest rules of an experiment; none where it declared none."""
    newest = newest_comparators(connection, experiment)
    return [] if newest is None else read_rules(json.loads(newest.document)).output


def show_comparators(
    connection: Connection, experiment: str, *, version: int | None = None
) -> ExperimentComparators:
    """Return the newest rules, or those of one version, with the times of all versions.

    Raises:
        NotFoundError: there are none, or no such version.
    """
    # Newest first
    declared = comparator_versions(connection, experiment)
    shown = next((row for row in declared if version in (None, row.version)), None)
    if shown is None:
        which = "" if version is None else f" of version {version}"
        raise NotFoundError(f"Experiment {experiment} declared no comparators{which}.")
    versions = []
    for row in declared:
        received_at = row.received_at.isoformat()
        versions.append(ComparatorsVersion(row.version, received_at, row.submitter))
    return ExperimentComparators(experiment, shown.version, json.loads(shown.document), versions)
