"""What people call the code of a job: `sbndcode v09_88_00`, by its list of software."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple
from weakref import WeakKeyDictionary

import msgspec
from sqlalchemy import Connection, Engine, bindparam, select

from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.statements.composed import run
from jobprov.provenance.db.tables import SoftwareRow, SoftwareSetMember
from jobprov.provenance.records.job_record import Software
from jobprov.provenance.records.release_products import NOT_ONE, release_rank

_SOFTWARE = (
    select(
        SoftwareSetMember.software_set_id,
        SoftwareRow.id,
        SoftwareRow.name,
        SoftwareRow.requested_ref,
        SoftwareRow.revision,
    )
    .join(SoftwareRow, SoftwareRow.id == SoftwareSetMember.software_id)
    .where(SoftwareSetMember.software_set_id.in_(bindparam("sets", expanding=True)))
    .order_by(SoftwareSetMember.software_set_id, SoftwareSetMember.position)
)
_DOCUMENTS = select(SoftwareRow.id, SoftwareRow.document).where(
    SoftwareRow.id.in_(bindparam("entries", expanding=True))
)
_code_versions: "WeakKeyDictionary[Engine, dict[int, str]]" = WeakKeyDictionary()
"""By key of a software list, which never becomes another."""
_MOST_REMEMBERED = 10_000


class _Entry(NamedTuple):
    """An entry of a software list; `version` is the requested ref, or the commit, or empty."""

    key: int
    name: str
    version: str


def code_versions(connection: Connection, software_sets: Iterable[int]) -> dict[int, str]:
    """Return what people call the code of each software list, by key of the list.

    That is name and version of its first entry that has a ref or a commit; of a list of products
    alone, of the product of the experiment's release, else the first.
    """
    # on SQLite the key of a list that was rolled back is another's next; and asking is cheap
    remembered: dict[int, str] = {}
    if connection.dialect.name == "postgresql":
        remembered = _code_versions.setdefault(connection.engine, {})
    wanted = set(software_sets)
    versions: dict[int, str] = {}
    for key in wanted:
        # another thread may clear it between two look-ups, so each key is looked up once
        version = remembered.get(key)
        if version is not None:
            versions[key] = version
    if missing := sorted(wanted - versions.keys()):
        versions |= _named(connection, _main_entries(connection, missing))
    if len(remembered) > _MOST_REMEMBERED:
        remembered.clear()
    remembered.update(versions)
    return versions


def release_products(connection: Connection) -> list[str]:
    """Return the names of the products that releases of experiments are; else of LArSoft's."""
    names = {name for (name,) in connection.execute(select(SoftwareRow.name).distinct()) if name}
    best = min(map(release_rank, names), default=NOT_ONE)
    if best == NOT_ONE:
        return []
    return sorted(name for name in names if release_rank(name) == best)


def _main_entries(connection: Connection, software_sets: Sequence[int]) -> dict[int, _Entry]:
    """Return the entry of each list that names its code."""
    rows = run(connection, _SOFTWARE, {"sets": software_sets})
    chosen: dict[int, _Entry] = {}
    for software_set, members in groupby(rows, key=itemgetter(0)):
        entries = []
        for _, key, name, ref, revision in members:
            entries.append(_Entry(key, name or "", ref or (revision or "")[:12]))
        chosen[software_set] = _main_entry(entries)
    return chosen


def _main_entry(entries: Sequence[_Entry]) -> _Entry:
    for entry in entries:
        if entry.version:
            return entry
    return min(entries, key=lambda entry: release_rank(entry.name))


def _named(connection: Connection, chosen: Mapping[int, _Entry]) -> dict[int, str]:
    """Return name and version of these entries, of products the version in their document."""
    versions = {entry.key: entry.version for entry in chosen.values()}
    products = [key for key, version in versions.items() if not version]
    if products:
        for key, document in run(connection, _DOCUMENTS, {"entries": products}):
            product = msgspec.json.decode(unpack(document), type=Software).product
            versions[key] = (product.version if product else None) or ""
    named: dict[int, str] = {}
    for software_set, entry in chosen.items():
        words = [word for word in (entry.name, versions[entry.key]) if word]
        named[software_set] = " ".join(words)
    return named
