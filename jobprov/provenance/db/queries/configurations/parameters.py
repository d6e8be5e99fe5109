"""Which configurations have a parameter with such a value, and by which values they were met.

A condition leads from keys to values, from values to tables, from tables to sets, from sets to
closures and the lists of them that jobs ran: some thousands of rows whatever the number of jobs.
Each step is a statement of its own: a planner that guesses wrongly at one step is lost in the next.
What holds nearly everywhere would lead through nearly every row, so values and tables are followed
in parts that grow, until every set is found: those met first are the common ones, as the first set
that was indexed has them.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, or_, select

from jobprov.provenance.db.queries.configurations.parameter_values import (
    ParameterCondition,
    holds,
    holds_exactly,
    unsure_text,
)
from jobprov.provenance.db.queries.fragments.membership import among
from jobprov.provenance.db.queries.fragments.patterns import matches
from jobprov.provenance.db.statements.driver import fetch
from jobprov.provenance.db.tables import Job, ParameterKey, ParameterValue
from jobprov.provenance.db.tables.configurations import SETS_A_BLOCK, sets_in

_FIRST_VALUES = 3
"""As many as a list shows why a job is in it."""
_FIRST_TABLES = 10
_GROWTH = 8
_MANY_KEYS = 500
"""Keys whose values are taken as they come, so that the first may be enough.

Those of fewer keys are looked up.
"""

_LISTS_WITH_SETS = """
SELECT e.experiment_id, m.closure_set_id
FROM evaluations AS e JOIN closure_set_members AS m ON m.closure_id = e.closure_id
WHERE e.set_id {among}
"""
_TABLES = "SELECT table_id, value_id FROM parameters WHERE value_id {among}"
_TABLES_ALONE = "SELECT DISTINCT table_id FROM parameters WHERE value_id {among}"
_SETS = "SELECT block, members, table_id FROM parameter_set_tables WHERE table_id {among}"
_SET_COUNT = "SELECT count(*) FROM parameter_sets"
AMONG = {"sqlite": "IN (SELECT value FROM json_each(?))", "postgresql": "= ANY(?::bigint[])"}
"""That a column is one of the keys that `listed` returns."""


Ran = set[tuple[int, int]]
"""Integer keys of experiments and lists of configurations.

A job counts only where its own experiment knows that the condition holds in the list that it ran.
"""

_MOST_PAIRS = 20_000
"""Tables of values: those of a parameter that everything has are many."""
MOST_VALUES = 6000
"""Values of a condition whose way to sets, by tables, is remembered."""


class ParameterSearch:
    """A condition on parameters, and what was looked up for it.

    The values that lead to jobs are also the reason why these are listed. A list needs both, so the
    way from values to sets is walked once.
    """

    def __init__(self, connection: Connection, condition: ParameterCondition) -> None:
        self.connection = connection
        self.condition = condition
        self._way = _Way()
        self._configurations: Ran | None = None

    @property
    def configurations(self) -> Ran:
        """The lists with a configuration in which the condition holds for a parameter.

        Each comes with an experiment that knows it.
        """
        if self._configurations is None:
            self._configurations = self._look_up()
        return self._configurations

    def values_of(self, sets: Iterable[int], most: int) -> dict[int, list[int]]:
        """Return integer keys of values for which the condition holds, by set: `most` at most.

        They are of those that led to the sets, which was not by all where a few led to every set.
        """
        if self._configurations is None:
            self._configurations = self._look_up()
        return self._way.values_of(sets, most)

    def _look_up(self) -> Ran:
        sets = _sets_with(self.connection, self.condition, self._way)
        rows = fetch_among(self.connection, _LISTS_WITH_SETS, sets) if sets else []
        return {(row[0], row[1]) for row in rows}


class _Way:
    """How values led to sets: by which tables, of the first `MOST_VALUES` values."""

    def __init__(self) -> None:
        self._value_count = 0
        self._pair_count = 0
        self._values: dict[int, list[int]] = {}
        """By table."""
        self._tables: dict[int, list[tuple[int, int]]] = {}
        """By block of sets: tables, each with the sets of the block that have it."""

    @property
    def is_full(self) -> bool:
        """Whether so much is noted that no more is."""
        return self._value_count >= MOST_VALUES or self._pair_count >= _MOST_PAIRS

    def add_values(self, count: int, rows: Sequence[Sequence[int]]) -> None:
        """Note (table, value) of a part of the values."""
        for table, value in rows:
            self._values.setdefault(table, []).append(value)
        self._value_count += count
        self._pair_count += len(rows)

    def add_tables(self, rows: Iterable[Sequence[int]]) -> None:
        """Note (block, members, table) of tables."""
        for block, members, table in rows:
            if table in self._values:
                self._tables.setdefault(block, []).append((table, members))

    def values_of(self, sets: Iterable[int], most: int) -> dict[int, list[int]]:
        """Return the first of the values that led to each set."""
        asked: dict[int, int] = {}
        for parameter_set in sets:
            block, place = divmod(parameter_set, SETS_A_BLOCK)
            asked[block] = asked.get(block, 0) | 1 << place
        values_of: dict[int, set[int]] = {}
        for block, places in asked.items():
            for table, members in self._tables.get(block, ()):
                if members & places:
                    for parameter_set in sets_in(block, members & places):
                        values_of.setdefault(parameter_set, set()).update(self._values[table])
        return {
            parameter_set: nsmallest(most, values) for parameter_set, values in values_of.items()
        }


def _sets_with(connection: Connection, condition: ParameterCondition, way: _Way) -> list[int]:
    """Return the integer keys of the parameter sets with a value for which the condition holds.

    What leads to them is noted.
    """
    total = fetch(connection, _SET_COUNT)[0][0]
    met: set[int] = set()
    blocks: dict[int, int] = {}
    length = _FIRST_TABLES
    for values in _values_with(connection, condition):
        if way.is_full:
            value_rows = fetch_among(connection, _TABLES_ALONE, values)
        else:
            value_rows = fetch_among(connection, _TABLES, values)
            way.add_values(len(values), value_rows)
        tables = sorted({row[0] for row in value_rows} - met)
        met.update(tables)
        start = 0
        while start < len(tables):
            rows = fetch_among(connection, _SETS, tables[start : start + length])
            way.add_tables(rows)
            for block, members, _ in rows:
                blocks[block] = blocks.get(block, 0) | members
            if sum(map(int.bit_count, blocks.values())) >= total:
                return _members(blocks)
            start += length
            # what was not met by so many tables is not met by as few of the next part
            length *= _GROWTH
    return _members(blocks)


def _values_with(connection: Connection, condition: ParameterCondition) -> Iterator[list[int]]:
    dialect = connection.dialect.name
    query = select(ParameterValue.id, unsure_text(condition)).where(*holds(dialect, condition))
    if condition.pattern != "*":
        keys = select(ParameterKey.id).where(
            *matches(dialect, ParameterKey.name, condition.pattern)
        )
        first_keys = [row[0] for row in connection.execute(keys.limit(_MANY_KEYS))]
        if not first_keys:
            return
        if len(first_keys) < _MANY_KEYS:  # these are all
            of_keys = query.where(among(connection, ParameterValue.key_id, first_keys))
            yield from _growing(sorted(_surely(condition, connection.execute(of_keys).all())))
            return
        query = query.where(ParameterValue.key_id.in_(keys))
    last, length = 0, _FIRST_VALUES
    while part := connection.execute(_after(query, last, length)).all():
        yield _surely(condition, part)
        last, length = part[-1][0], length * _GROWTH


def _surely(condition: ParameterCondition, rows: Iterable[Any]) -> list[int]:
    """Return the values for which the condition holds exactly: floats may lack digits."""
    return [key for key, text in rows if text is None or holds_exactly(condition, text)]


def _after(query: Select[Any], last: int, length: int) -> Select[Any]:
    return query.where(ParameterValue.id > last).order_by(ParameterValue.id).limit(length)


def _members(blocks: dict[int, int]) -> list[int]:
    keys: list[int] = []
    for block, members in blocks.items():
        keys.extend(sets_in(block, members))
    return keys


def _growing(keys: list[int]) -> Iterator[list[int]]:
    start, length = 0, _FIRST_VALUES
    while start < len(keys):
        yield keys[start : start + length]
        start, length = start + length, length * _GROWTH


def fetch_among(connection: Connection, statement: str, keys: Sequence[int]) -> list[Any]:
    """Return the rows of a statement about some integer keys."""
    return fetch(
        connection,
        statement.format(among=AMONG[connection.dialect.name]),
        (listed(connection, keys),),
    )


def listed(connection: Connection, keys: Sequence[int]) -> str:
    """Return integer keys as one parameter.

    Drivers take a text in a tenth of the time of a list.
    """
    inside = ",".join(map(str, keys))
    return f"[{inside}]" if connection.dialect.name == "sqlite" else f"{{{inside}}}"


def ran_one_of(connection: Connection, ran: Ran) -> ColumnElement[bool]:
    """Return the condition that a job ran one of these lists, as its own experiment knows them.

    This is for finding all such jobs; `newest_that_ran` finds the newest ones sooner.
    """
    sets: dict[int, list[int]] = {}
    for experiment, closure_set in sorted(ran):
        sets.setdefault(experiment, []).append(closure_set)
    by_experiment = []
    for experiment, closure_sets in sets.items():
        ran_one = among(connection, Job.closure_set_id, closure_sets)
        by_experiment.append(and_(Job.experiment_id == experiment, ran_one))
    if len(sets) == 1:
        return by_experiment[0]
    # this condition alone lets the database use the index of lists
    all_sets = sorted({closure_set for _, closure_set in ran})
    return and_(among(connection, Job.closure_set_id, all_sets), or_(*by_experiment))
