"""Names that may be meant by a text that nothing has: candidates, which are compared elsewhere.

A slip is one wrong, missing or added letter, or two that changed places. It leaves one half of a word
as it was, or, where it lies in the middle, both ends; names that hold these are candidates. Of a file's
whole name all that one slip makes of it are looked up, and what stands beside it in the order of names,
where a number or an extension is wrong. Each source gives few, whatever there is.
"""

import string
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, case, func, literal, or_, select

from jobprov.provenance.answers.addresses import file_page
from jobprov.provenance.answers.search import Hit
from jobprov.provenance.db.queries.fragments.named_files import is_named
from jobprov.provenance.db.queries.fragments.patterns import (
    TextColumn,
    begins_in_any_case,
    ends_in_any_case,
)
from jobprov.provenance.db.queries.fragments.patterns import holds as holds_part
from jobprov.provenance.db.queries.lookup.jobs.by_id import jobs_by_batch_id, jobs_by_id
from jobprov.provenance.db.queries.search.files import find_files, finds_all
from jobprov.provenance.db.queries.search.finders import FINDERS
from jobprov.provenance.db.queries.search.matches import SearchText
from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.tables import Experiment, File
from jobprov.provenance.db.tables.name_index import LETTERS
from jobprov.provenance.records.files.names import full_name

NEAR_KINDS = ("file", "job", "task", "campaign", "stage", "site", "host", "software")
"""Of which kinds names may be offered that are spelled like a text."""
SHORTEST, LONGEST = 3, 150
"""Letters of a text for which names are looked for."""
_MOST = 20
"""Candidates of each source."""
_LEAST_TO_HALVE = 2 * LETTERS
_MOST_WORDS = 4
_JOB_ID_LETTERS = 8
_LETTERS = string.ascii_lowercase + string.digits + "_-."
_names = (
    select(File.name, File.namespace, Experiment.name.label("experiment"))
    .join(Experiment, Experiment.id == File.experiment_id)
    .where(is_named())
)
_AMONG_NAMES = _names.where(File.name.in_(bindparam("names", expanding=True))).limit(_MOST)


class Mistyped(SearchText):
    """What is looked for where one word of the text has a slip."""

    def condition(self, connection: Connection, column: TextColumn) -> ColumnElement[bool]:
        """Return the condition that a column holds what a slip leaves, of each word in turn."""
        dialect = connection.dialect.name
        choices: list[ColumnElement[bool]] = []
        for word, others in _each_word(self.text):
            holds_others = [holds_part(dialect, column, other) for other in others]
            if len(word) < _LEAST_TO_HALVE:
                first = begins_in_any_case(dialect, column, word[0])
                last = ends_in_any_case(dialect, column, word[-1])
                is_as_long = func.length(column).between(len(word) - 1, len(word) + 1)
                choices.append(and_(is_as_long, or_(first, last), *holds_others))
            for parts in left_of(word):
                holds_parts = [holds_part(dialect, column, part) for part in parts]
                choices.append(and_(*holds_parts, *holds_others))
        return or_(*choices)

    def order(self, connection: Connection, column: TextColumn) -> ColumnElement[int]:
        """Return the order of names: first those that differ at their end, then by length."""
        dialect = connection.dialect.name
        differs_at_end = case(
            (begins_in_any_case(dialect, column, self.text[:-1]), literal(0)),
            (begins_in_any_case(dialect, column, self.text[:-2]), literal(1)),
            else_=literal(2),
        )
        return differs_at_end * LONGEST + func.abs(func.length(column) - len(self.text))


def left_of(word: str) -> list[list[str]]:
    """Return the parts that one slip can leave of a word: those of one of these lists are held."""
    middle = len(word) // 2
    if len(word) < _LEAST_TO_HALVE:
        return []
    choices = [[word[:middle]], [word[middle:]]]
    ends = [word[: middle - 1], word[middle + 1 :]]
    if len(ends[0]) >= LETTERS:
        choices.append(ends)
    return choices


def one_slip_away(name: str) -> set[str]:
    """Return the names that one slip makes of this one, in letters that names usually have."""
    letters = set(_LETTERS) | set(name)
    if name.upper() == name:
        letters |= set(string.ascii_uppercase)
    made = set()
    for place in range(len(name) + 1):
        head, tail = name[:place], name[place:]
        made.add(head + tail[1:])
        made.add(head + tail[1:2] + tail[:1] + tail[2:])
        for letter in letters:
            made.add(head + letter + tail)
            made.add(head + letter + tail[1:])
    return made - {name, ""}


def candidates(connection: Connection, text: str, kind: str) -> list[Hit]:
    """Return names of a kind that may be meant, in no order."""
    if kind == "file":
        return files_that_may_be_meant(connection, text)
    if kind == "job":
        return _jobs(connection, text)
    return FINDERS[kind](connection, Mistyped(text, _MOST)).hits


def files_that_may_be_meant(connection: Connection, text: str) -> list[Hit]:
    """Return files whose name, or a part of it, may be meant; a namespace before it does not count."""
    name = text.rpartition(":")[2]
    hits: list[Hit] = []
    if len(name.split()) == 1:
        # Most names are in small letters, whatever somebody typed
        spellings = {name, name.lower()}
        slips = spellings.union(*map(one_slip_away, spellings))
        whole = _hits(run(connection, _AMONG_NAMES, {"names": sorted(slips)}))
        hits = list(whole)
        for spelling in sorted(spellings):
            hits += files_beside(connection, spelling)
        if whole:
            return hits
    if not finds_all(connection):
        # Without an index, each part would be looked for in hundreds of thousands of names
        return hits
    for word, others in _each_word(name):
        for parts in left_of(word):
            hits += find_files(connection, SearchText(" ".join([*parts, *others]), _MOST)).hits
    return hits


def files_beside(connection: Connection, name: str) -> list[Hit]:
    """Return the files that stand before and after a name in the order of names, nearest first."""
    before = _names.where(File.name < name).order_by(File.name.desc()).limit(_MOST // 2)
    after = _names.where(File.name > name).order_by(File.name).limit(_MOST // 2)
    return _hits(connection.execute(after)) + _hits(connection.execute(before))


def _each_word(text: str) -> list[tuple[str, Sequence[str]]]:
    """Return each word, which may have the slip, with the others, which then have none."""
    words = text.split(maxsplit=_MOST_WORDS - 1)
    return [(word, words[:place] + words[place + 1 :]) for place, word in enumerate(words)]


def _jobs(connection: Connection, text: str) -> list[Hit]:
    """Return jobs whose id begins with the same eight digits, or whose batch job has the cluster."""
    hits = jobs_by_id(connection, text.replace("-", "")[:_JOB_ID_LETTERS], _MOST)
    cluster, point, _ = text.partition(".")
    if point:
        hits += jobs_by_batch_id(connection, cluster + point, _MOST)
    return hits


def _hits(rows: Iterable[Any]) -> list[Hit]:
    hits = []
    for name, namespace, experiment in rows:
        url = file_page(name, experiment, namespace)
        hits.append(Hit("file", full_name(name, namespace), experiment, url))
    return hits
