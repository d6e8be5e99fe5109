"""What a database says, without the accidents of how it came to say it.

Rows with natural keys instead of integer ones.

Two databases that took the same ledger have equal logical tables, whatever the order of arrival and
whichever engine.

Left out on purpose:

* what an operator did or the service remembers to do, and provisional records with the jobs that
  have any (`NOT_DERIVED`);
* shared rows that nothing refers to any more, such as the gaps that a job had before its blobs
  came;
* digests of bundles (`tar_sha256`), a note for speed that the next building writes again;
* keys that hash integer keys, salts, and the bytes of entries that wait to be sealed.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Table, select

from jobprov.provenance.db.tables.base import Base
from jobprov.provenance.db.tables.configurations import sets_in
from jobprov.provenance.services.upkeep.database_rebuild import NOT_DERIVED

LogicalTables = dict[str, list[dict[str, Any]]]
_Row = dict[str, Any]

_NATURAL = {
    "experiments": ("name",),
    "hosts": ("hostname", "site", "facility"),
    "stages": ("experiment_id", "campaign", "name"),
    "tasks": ("experiment_id", "task_id"),
    "closures": ("sha256",),
    "closure_sets": ("sha256",),
    "software": ("sha256",),
    "software_sets": ("sha256",),
    "gap_sets": ("sha256",),
    "module_sets": ("sha256",),
    "random_engines": ("name",),
    "resolutions": ("sha256",),
    "parameter_sets": ("identity",),
    "parameter_tables": ("key",),
    "parameter_keys": ("name",),
    "parameter_values": ("key_id", "canonical"),
    "files": ("experiment_id", "namespace", "name"),
    "identities": ("file_id", "size_bytes", "checksums", "campaign"),
    "jobs": ("experiment_id", "uuid"),
    "workflows": ("experiment_id", "name", "version"),
    "orders": ("uuid",),
    "alerts": ("experiment_id", "uuid"),
    "claims": ("job_id", "position", "file_id"),
    "ledger_entries": ("experiment_id", "segment", "position", "kind", "received_at"),
}
_REFERENCES_WITHOUT_CONSTRAINT = {
    ("claims", "alias_of"): "claims",
    ("ledger_entries", "job_id"): "jobs",
    ("parameter_set_tables", "set_id"): "parameter_sets",
}
_SHARED = frozenset(
    {
        "experiments",
        "hosts",
        "stages",
        "tasks",
        "closures",
        "closure_sets",
        "software",
        "software_sets",
        "gap_sets",
        "module_sets",
        "random_engines",
        "parameter_sets",
        "parameter_tables",
        "parameter_keys",
        "parameter_values",
        "files",
        "identities",
    }
)
_PART_OF = {  # in the order in which one makes the rows of the next count
    "closure_set_members": ("closure_set_id", "closure_sets"),
    "closure_files": ("closure_id", "closures"),
    "software_set_members": ("software_set_id", "software_sets"),
    "evaluations": ("closure_id", "closures"),
    "parameter_set_tables": ("set_id", "parameter_sets"),
    "parameters": ("table_id", "parameter_tables"),
}
_LEFT_OUT = {
    "identities": {"key"},
    "bundle_plans": {"tar_sha256"},
    "alerts": {"calm_since"},
    "alert_deliveries": {"due_at", "leased_until", "attempts", "is_uncertain", "problem"},
}
_SKIPPED = frozenset({*NOT_DERIVED, "entry_bodies"})


def logical_tables(connection: Connection) -> LogicalTables:
    """Return every derived table as sorted rows with natural keys."""
    return _Logical(connection).tables()


class _Logical:
    def __init__(self, connection: Connection) -> None:
        self._tables: dict[str, Table] = {}
        self._rows: LogicalTables = {}
        self._by_id: dict[str, dict[int, _Row]] = {}
        for table in Base.metadata.sorted_tables:
            rows = [dict(row) for row in connection.execute(select(table)).mappings()]
            if table.name == "parameter_set_tables":
                rows = _without_blocks(rows)
            self._tables[table.name] = table
            self._rows[table.name] = rows
            self._by_id[table.name] = {row["id"]: row for row in rows if "id" in row}
        self._names: dict[tuple[str, int], tuple[Any, ...]] = {}
        self._used: set[tuple[str, int]] = set()
        self._provisional = {row["job_id"] for row in self._rows["provisional_records"]}

    def tables(self) -> LogicalTables:
        """Return all; rows of shared tables after those that refer to them are known."""
        found: LogicalTables = {}
        for name in self._facts_first():
            rows = [self._logical(name, row) for row in self._rows[name] if self._counts(name, row)]
            found[name] = sorted(rows, key=repr)
        return found

    def _facts_first(self) -> Iterable[str]:
        """Yield the tables so that each shared one comes after all that refer to it."""
        order = [name for name in reversed(self._tables) if name not in _SKIPPED]
        facts = [name for name in order if name not in _SHARED and name not in _PART_OF]
        shared = [name for name in order if name in _SHARED]
        # members make what a set is of used, so they come before it and after the sets
        first = ["closure_sets", "closure_set_members", "closures", "software_sets"]
        return [*facts, *first, *(name for name in (*_PART_OF, *shared) if name not in first)]

    def _counts(self, name: str, row: _Row) -> bool:
        if name in _PART_OF:
            column, target = _PART_OF[name]
            return (target, row[column]) in self._used
        if name in _SHARED:
            return (name, row["id"]) in self._used or bool(name == "tasks" and row["entry_id"])
        job = row["id"] if name == "jobs" else self._job_of(name, row)
        return job not in self._provisional

    def _job_of(self, name: str, row: _Row) -> int | None:
        if name in ("parents", "producers"):
            claim = self._by_id["claims"][row["claim_id"]]
            return int(claim["job_id"])
        # an entry is there whatever became of its job: of one with a provisional record, too
        return None if name == "ledger_entries" else row.get("job_id")

    def _logical(self, name: str, row: _Row) -> _Row:
        left_out = {"id", *_LEFT_OUT.get(name, ())}
        return {
            column: self._value(name, column, value)
            for column, value in row.items()
            if column not in left_out
        }

    def _value(self, name: str, column: str, value: Any) -> Any:
        target = _target(self._tables[name], column)
        if target is None or value is None:
            return bytes(value) if isinstance(value, memoryview) else value
        self._use(target, value)
        return self._name(target, value)

    def _use(self, name: str, key: int) -> None:
        """Note that a row is referred to, and all that its natural key refers to."""
        if (name, key) in self._used:
            return
        self._used.add((name, key))
        row = self._by_id[name][key]
        for column in row if name in _SHARED else _NATURAL[name]:
            target = _target(self._tables[name], column)
            if target is not None and row[column] is not None:
                self._use(target, row[column])

    def _name(self, name: str, key: int) -> tuple[Any, ...]:
        if (name, key) not in self._names:
            row = self._by_id[name][key]
            named = []
            for column in _NATURAL[name]:
                target = _target(self._tables[name], column)
                named.append(self._name(target, row[column]) if target else row[column])
            self._names[name, key] = tuple(named)
        return self._names[name, key]


def _without_blocks(rows: Iterable[_Row]) -> list[_Row]:
    """Return a row for each set of a table of parameters; the database packs many into one."""
    unpacked: list[_Row] = []
    for row in rows:
        for key in sets_in(row["block"], row["members"]):
            unpacked.append({"table_id": row["table_id"], "set_id": key})
    return unpacked


def _target(table: Table, column: str) -> str | None:
    """Return the table that a column refers to."""
    for key in table.c[column].foreign_keys if column in table.c else ():
        return key.column.table.name
    return _REFERENCES_WITHOUT_CONSTRAINT.get((table.name, column))


def differences(first: LogicalTables, second: LogicalTables, *, most: int = 20) -> list[str]:
    """Return what is in one and not in the other, a line each; nothing where both say the same."""
    found: list[str] = []
    for name in sorted(first.keys() | second.keys()):
        one = {repr(row) for row in first.get(name, [])}
        other = {repr(row) for row in second.get(name, [])}
        found += [f"{name}: only in the first: {row}" for row in sorted(one - other)]
        found += [f"{name}: only in the second: {row}" for row in sorted(other - one)]
        if len(first.get(name, [])) != len(second.get(name, [])):
            found.append(
                f"{name}: {len(first.get(name, []))} rows in the first, "
                f"{len(second.get(name, []))} in the second"
            )
    return found[:most]
