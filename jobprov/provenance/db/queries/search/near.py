"""Names that somebody may have meant by a mistyped one: candidates, which are ranked elsewhere.

A slip is one wrong, missing or added letter, or two letters that changed places. It leaves one half
of a word as it was or, if it lies in the middle, both ends: names that contain these are
candidates. For the whole name of a file, all names that are one slip away are looked up; so are its
neighbours in the order of names, in case a number or an extension is wrong. Each source
gives a few.
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
"""What may be offered in place of a mistyped name."""
SHORTEST, LONGEST = 3, 150
"""Letters: no candidates are looked for if a text is shorter or longer."""
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
    """A search text of which one word has a slip."""

    def condition(self, connection: Connection, column: TextColumn) -> ColumnElement[bool]:
        """Return the condition that a column contains the text but for a slip in any one word."""
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
        """Return the order of names: first those that only differ at the end, then by length."""
        dialect = connection.dialect.name
        differs_at_end = case(
            (begins_in_any_case(dialect, column, self.text[:-1]), literal(0)),
            (begins_in_any_case(dialect, column, self.text[:-2]), literal(1)),
            else_=literal(2),
        )
        return differs_at_end * LONGEST + func.abs(func.length(column) - len(self.text))


def left_of(word: str) -> list[list[str]]:
    """Return what one slip can leave of a word: a name with the slip has all parts of one list."""
    middle = len(word) // 2
    if len(word) < _LEAST_TO_HALVE:
        return []
    choices = [[word[:middle]], [word[middle:]]]
    ends = [word[: middle - 1], word[middle + 1 :]]
    if len(ends[0]) >= LETTERS:
        choices.append(ends)
    return choices


def one_slip_away(name: str) -> set[str]:
    """Return the names that are one slip away, of letters that names usually have."""
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
    """Return names of a kind that may have been meant, in no order."""
    if kind == "file":
        return files_that_may_be_meant(connection, text)
    if kind == "job":
        return _jobs(connection, text)
    return FINDERS[kind](connection, Mistyped(text, _MOST)).hits


def files_that_may_be_meant(connection: Connection, text: str) -> list[Hit]:
    """Return files that may have been meant by a name or a part of it; a namespace is ignored."""
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
    """Return the neighbours of a name in the order of file names, nearest first."""
    before = _names.where(File.name < name).order_by(File.name.desc()).limit(_MOST // 2)
    after = _names.where(File.name > name).order_by(File.name).limit(_MOST // 2)
    return _hits(connection.execute(after)) + _hits(connection.execute(before))


def _each_word(text: str) -> list[tuple[str, Sequence[str]]]:
    """Return each word of a text, which may have the slip, with its other words."""
    words = text.split(maxsplit=_MOST_WORDS - 1)
    return [(word, words[:place] + words[place + 1 :]) for place, word in enumerate(words)]


def _jobs(connection: Connection, text: str) -> list[Hit]:
    """Return jobs whose id begins with the same eight digits, or that are of the same cluster."""
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
