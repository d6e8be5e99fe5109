"""Finds the configurations in which a condition on a parameter holds, and the values that met it.

The search goes from keys to values, from values to tables, from tables to parameter sets, and from
sets to the lists of configurations that jobs ran: some thousands of rows, however many jobs there
are. Each step is a statement of its own, since a planner that guesses wrongly at one step of a
large join is lost in the next.

A condition that holds nearly everywhere would lead through nearly every row. So values and tables
are followed in parts that grow, and the search ends once every set is found. The first parts have
the common values, since the first set that was indexed has them.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import nsmallest
from typing import Any, NamedTuple

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
"""The values of fewer keys are looked up at once.

Those of more are taken as they come, since the first may be enough.
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
        self._noted = _NotedValues()
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

        Some may be missing: the search ends when all sets are found, not when all values are.
        """
        if self._configurations is None:
            self._configurations = self._look_up()
        return self._noted.values_of(sets, most)

    def _look_up(self) -> Ran:
        sets = _sets_with(self.connection, self.condition, self._noted)
        rows = fetch_among(self.connection, _LISTS_WITH_SETS, sets) if sets else []
        return {(row[0], row[1]) for row in rows}


class _NotedValues:
    """The values that met a condition, with the tables by which they led to parameter sets.

    Only of the first `MOST_VALUES` values.
    """

    def __init__(self) -> None:
        self._value_count = 0
        self._pair_count = 0
        self._values_by_table: dict[int, list[int]] = {}
        self._tables_by_block: dict[int, list[_TableInBlock]] = {}

    @property
    def is_full(self) -> bool:
        """Whether no more is noted."""
        return self._value_count >= MOST_VALUES or self._pair_count >= _MOST_PAIRS

    def add_values(self, count: int, rows: Sequence[Sequence[int]]) -> None:
        """Note (table, value) of a part of the values."""
        for table, value in rows:
            self._values_by_table.setdefault(table, []).append(value)
        self._value_count += count
        self._pair_count += len(rows)

    def add_tables(self, rows: Iterable[Sequence[int]]) -> None:
        """Note (block, members, table) of tables."""
        for block, members, table in rows:
            if table in self._values_by_table:
                in_block = self._tables_by_block.setdefault(block, [])
                in_block.append(_TableInBlock(table, members))

    def values_of(self, sets: Iterable[int], most: int) -> dict[int, list[int]]:
        """Return the first of the values that led to each set."""
        wanted_members: dict[int, int] = {}
        for parameter_set in sets:
            block, place = divmod(parameter_set, SETS_A_BLOCK)
            wanted_members[block] = wanted_members.get(block, 0) | 1 << place
        values_by_set: dict[int, set[int]] = {}
        for block, wanted in wanted_members.items():
            for table, members in self._tables_by_block.get(block, ()):
                shared = members & wanted
                if not shared:
                    continue
                values = self._values_by_table[table]
                for parameter_set in sets_in(block, shared):
                    values_by_set.setdefault(parameter_set, set()).update(values)
        first_values: dict[int, list[int]] = {}
        for parameter_set, values_of_set in values_by_set.items():
            first_values[parameter_set] = nsmallest(most, values_of_set)
        return first_values


class _TableInBlock(NamedTuple):
    """A table of parameters, and the bits of those sets of a block that have it."""

    table: int
    members: int


def _sets_with(
    connection: Connection, condition: ParameterCondition, noted: _NotedValues
) -> list[int]:
    """Return the integer keys of the parameter sets with a value for which the condition holds.

    The values that led to them are noted.
    """
    total = fetch(connection, _SET_COUNT)[0][0]
    tables_met: set[int] = set()
    members_by_block: dict[int, int] = {}
    length = _FIRST_TABLES
    for values in _values_with(connection, condition):
        if noted.is_full:
            value_rows = fetch_among(connection, _TABLES_ALONE, values)
        else:
            value_rows = fetch_among(connection, _TABLES, values)
            noted.add_values(len(values), value_rows)
        tables = sorted({row[0] for row in value_rows} - tables_met)
        tables_met.update(tables)
        start = 0
        while start < len(tables):
            rows = fetch_among(connection, _SETS, tables[start : start + length])
            noted.add_tables(rows)
            for block, members, _ in rows:
                members_by_block[block] = members_by_block.get(block, 0) | members
            if sum(map(int.bit_count, members_by_block.values())) >= total:
                return _sets_of(members_by_block)
            start += length
            # The sets that these tables did not lead to need many more tables, not a few more
            length *= _GROWTH
    return _sets_of(members_by_block)


def _values_with(connection: Connection, condition: ParameterCondition) -> Iterator[list[int]]:
    """Yield the integer keys of the values for which the condition holds, in parts that grow."""
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
            rows = connection.execute(of_keys).all()
            yield from _growing(sorted(_surely(condition, rows)))
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


def _sets_of(members_by_block: dict[int, int]) -> list[int]:
    keys: list[int] = []
    for block, members in members_by_block.items():
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
