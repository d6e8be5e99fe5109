"""Files by metadata that a record holds: they are read, and the files found stand for the condition.

What a catalog told of a file is asked of the database. What only the record of its job holds (runs,
formats, `--metadata` of the hook) stands in the ledger alone: here the files that the rest of a
selection leaves are read and compared, as many as can be within a question.

Source: MetaCat's server, whose comparisons hold for a list where they hold for any of its members.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.selections import FileMetadata
from jobprov.provenance.db.queries.selections.files import named
from jobprov.provenance.db.queries.selections.sighted import unknown_keys
from jobprov.provenance.errors import LimitError
from jobprov.provenance.selections.conditions import (
    All,
    Combined,
    Comparison,
    Everything,
    Keys,
    Not,
    Portion,
    Related,
    Selection,
    Some,
    all_of,
    nodes_of,
)
from jobprov.provenance.selections.fields import key_in_catalog
from jobprov.provenance.selections.members import reader_of
from jobprov.provenance.services.selections.definitions import find_experiment
from jobprov.provenance.services.selections.files import expand_selection, select_files
from jobprov.provenance.services.selections.metadata import FILES_AT_ONCE, Wanted, describe_files

MOST_READ = 20_000
"""Files whose records are read for one question."""
_SECONDS = 10
_NARROW = "name a dataset, a data tier or the beginning of names as well"

MetadataOf = Callable[[FileMetadata], Mapping[str, object]]
"""Returns the metadata of a file by the keys that a client sees."""


class _Question(NamedTuple):
    """What is asked, and with what it is answered."""

    connection: Connection
    store: Store
    experiment: str
    metadata_of: MetadataOf
    until: float


def with_recorded(
    connection: Connection,
    store: Store,
    experiment: str,
    selection: Selection,
    metadata_of: MetadataOf,
) -> Selection:
    """Return a selection whose conditions on metadata hold for what records say as well.

    Raises:
        LimitError: too many files are to be read.
        NotFoundError, SelectionError: see `count_files`.
    """
    if not any(map(_asks_metadata, nodes_of(selection))):
        return selection
    question = _Question(connection, store, experiment, metadata_of, time.monotonic() + _SECONDS)
    return _answered(question, expand_selection(connection, experiment, selection), [])


def _asks_metadata(node: Selection) -> bool:
    return isinstance(node, Comparison) and key_in_catalog(node.field) is not None


def _answered(question: _Question, node: Selection, others: list[Selection]) -> Selection:
    """Return a node with what was found; `others` are what its files must meet besides."""
    match node:
        case All():
            return _answered_all(question, node, others)
        case Some():
            return Some(tuple(_answered(question, part, others) for part in node.parts))
        case Not() | Related() | Portion():
            met_by_part: list[Selection] = []
            if isinstance(node, Not):
                met_by_part = others
            return replace(node, part=_answered(question, node.part, met_by_part))
        case Combined():
            left, right = _answered(question, node.left, []), _answered(question, node.right, [])
            return replace(node, left=left, right=right)
        case Comparison() if _asks_metadata(node):
            return _found(question, node, others)
        case _:
            return node


def _answered_all(question: _Question, node: All, others: list[Selection]) -> All:
    """Return a node with what was found; its parts that ask for no metadata narrow the others."""
    plain: list[Selection] = []
    asking: list[Selection] = []
    for part in node.parts:
        if any(map(_asks_metadata, nodes_of(part))):
            asking.append(part)
        else:
            plain.append(part)
    met = [_answered(question, part, [*others, *plain]) for part in asking]
    return All((*plain, *met))


def _found(question: _Question, condition: Comparison, others: list[Selection]) -> Selection:
    """Return the files that meet a condition according to catalogs or to records."""
    key = str(key_in_catalog(condition.field))
    connection, experiment = question.connection, question.experiment
    candidates = select_files(
        connection, experiment, all_of(others) if others else Everything(), refuses_unknown=False
    )
    if len(candidates) > MOST_READ:
        if not unknown_keys(connection, find_experiment(connection, experiment), [key]):
            return condition
        raise LimitError(
            f"Whether {key} is in the records of {len(candidates):,} files cannot be read within a "
            f"question, only of {MOST_READ:,}: {_NARROW}.",
            MOST_READ,
        )
    holds = reader_of(condition)
    keys = []
    for start in range(0, len(candidates), FILES_AT_ONCE):
        if time.monotonic() > question.until:
            message = f"The answer took more than {_SECONDS} s; {_NARROW}."
            raise LimitError(message, _SECONDS)
        files = named(connection, candidates[start : start + FILES_AT_ONCE].tolist())
        wanted = Wanted(relatives=False)
        described = describe_files(connection, question.store, experiment, files, wanted)
        for file in described:
            metadata = question.metadata_of(file)
            if key in metadata and holds(metadata[key]):
                keys.append(file.file.key)
    return Some((condition, Keys(tuple(keys)))) if keys else condition
