"""Conditions on metadata that only records hold: replaced by the files whose records meet them.

Metadata from a catalog are in the database. Others (runs, formats, `--metadata` of the hook) are
only in the records of the ledger: so the files that the rest of a selection leaves are read there
and compared, as many as one question allows.

Source: MetaCat's server, whose comparisons hold for a list where they hold for any of its members.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.db.queries.selections.files import named
from jobprov.provenance.db.queries.selections.sighted import has_sighted_key, sighted_keys
from jobprov.provenance.db.writer.keys import chunks
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
from jobprov.provenance.selections.fields import MetadataKey, key_in_metadata
from jobprov.provenance.selections.members import reader_of
from jobprov.provenance.selections.tokens import SelectionError
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.selections.dotted_metadata import dotted_metadata
from jobprov.provenance.services.selections.files import expand_selection, select_files
from jobprov.provenance.services.selections.metadata import (
    FILES_AT_ONCE,
    WantedMetadata,
    describe_files,
)

MOST_READ = 20_000
"""Files whose records are read for one question."""
_SECONDS = 10
_NARROW = "name a dataset, a data tier or the beginning of names as well"

_CORE = "core."
"""Before the keys that every file may have, in MetaCat as in SAM."""
_MOST_KEYS = 40


class _Question(NamedTuple):
    """What is asked, and with what it is answered."""

    connection: Connection
    store: Store
    experiment: str
    refuses_unknown: bool
    until: float


def with_recorded(
    connection: Connection,
    store: Store,
    experiment: str,
    selection: Selection,
    *,
    refuses_unknown: bool,
) -> Selection:
    """Return a selection whose conditions on metadata hold for what records say as well.

    With `refuses_unknown`, a key is refused if no catalog gave it and no record of the files that
    the rest selects has it, as SAM refuses an unknown dimension; else it selects nothing, as in
    MetaCat.

    Raises:
        LimitError: too many files are to be read.
        NotFoundError, SelectionError: see `count_files`.
    """
    if not any(map(_asks_metadata, nodes_of(selection))):
        return selection
    until = time.monotonic() + _SECONDS
    question = _Question(connection, store, experiment, refuses_unknown, until)
    return _with_recorded(question, expand_selection(connection, experiment, selection), [])


def _asks_metadata(node: Selection) -> bool:
    return isinstance(node, Comparison) and key_in_metadata(node.field) is not None


def _with_recorded(question: _Question, node: Selection, others: list[Selection]) -> Selection:
    """Return a node whose conditions hold for recorded metadata too.

    `others` are what its files must meet besides.
    """
    match node:
        case All():
            return _all_with_recorded(question, node, others)
        case Some():
            return Some(tuple(_with_recorded(question, part, others) for part in node.parts))
        case Not() | Related() | Portion():
            met_by_part: list[Selection] = []
            if isinstance(node, Not):
                met_by_part = others
            return replace(node, part=_with_recorded(question, node.part, met_by_part))
        case Combined():
            left, right = (
                _with_recorded(question, node.left, []),
                _with_recorded(question, node.right, []),
            )
            return replace(node, left=left, right=right)
        case Comparison() if _asks_metadata(node):
            return _or_recorded(question, node, others)
        case _:
            return node


def _all_with_recorded(question: _Question, node: All, others: list[Selection]) -> All:
    """Do the same for a node whose parts all must hold.

    Those that ask for no metadata narrow the files that are read for the others.
    """
    plain: list[Selection] = []
    asking: list[Selection] = []
    for part in node.parts:
        if any(map(_asks_metadata, nodes_of(part))):
            asking.append(part)
        else:
            plain.append(part)
    met = list(plain)
    for part in asking:
        # What one part leaves is all that is read for the next
        met.append(_with_recorded(question, part, [*others, *met]))
    return All(tuple(met))


def _or_recorded(question: _Question, condition: Comparison, others: list[Selection]) -> Selection:
    """Return a condition on catalogs with, beside it, the files whose records meet it."""
    key = key_in_metadata(condition.field)
    if key is None:
        return condition
    connection = question.connection
    rest = all_of(others) if others else Everything()
    candidates = select_files(connection, question.experiment, rest)
    experiment = find_experiment(connection, question.experiment)
    is_cataloged = has_sighted_key(connection, experiment, key)
    if len(candidates) > MOST_READ:
        if is_cataloged:
            return condition
        raise LimitError(
            f"Whether {key} is in the records of {len(candidates):,} files cannot be read within a "
            f"question, only of {MOST_READ:,}: {_NARROW}.",
            MOST_READ,
        )
    values = _recorded_values(question, key, candidates)
    if candidates and not values and not is_cataloged:
        _refuse_unknown(question, key, len(candidates))
    holds = reader_of(condition)
    files = tuple(file for file, value in values.items() if holds(value))
    if not files:
        return condition
    return Some((condition, Keys(files)))


def _recorded_values(
    question: _Question, key: MetadataKey, files: Sequence[int]
) -> dict[int, object]:
    """Return what files have under a metadata key, of those that have it.

    Raises:
        LimitError: it takes too long.
    """
    values = {}
    wanted = WantedMetadata(relatives=False)
    for part in chunks(files, FILES_AT_ONCE):
        if time.monotonic() > question.until:
            message = f"The answer took more than {_SECONDS} s; {_NARROW}."
            raise LimitError(message, _SECONDS)
        page = named(question.connection, part)
        for file in describe_files(
            question.connection, question.store, question.experiment, page, wanted
        ):
            value = key.value_in(dotted_metadata(file))
            if value is not None:
                values[file.file.key] = value
    return values


def _refuse_unknown(question: _Question, key: MetadataKey, read: int) -> None:
    """Raise SelectionError for a key that no file has: a slip of the pen selects none in silence.

    MetaCat allows it, and each file may have the keys of its core.
    """
    if not question.refuses_unknown or key.name.startswith(_CORE):
        return
    experiment = find_experiment(question.connection, question.experiment)
    known = [name for name in sighted_keys(question.connection, experiment) if "." in name]
    listed = ", ".join(known[:_MOST_KEYS]) or "none"
    if len(known) > _MOST_KEYS:
        listed += ", …"
    raise SelectionError(
        f"Files cannot be selected by {str(key)!r} here: no catalog or transfer service told it "
        f"with a file (POST /api/v1/files), and none of the {read:,} files that the rest selects "
        f"has it in its job's record. Keys that were told: {listed}."
    )
