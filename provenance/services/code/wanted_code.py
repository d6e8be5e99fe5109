"""The software entry that is to be resolved.

Its own repository and ref, or those that an operator says its product has.
"""

from typing import NamedTuple

import msgspec
from sqlalchemy import Connection, func, select

from jobprov.provenance.db.queries.code.products import unsourced_entry
from jobprov.provenance.db.recording.packing import unpack
from jobprov.provenance.db.recording.writing import table_of
from jobprov.provenance.db.tables import Job, Repository, SoftwareRow, SoftwareSetMember
from jobprov.provenance.records.job_record import Software
from jobprov.provenance.services.code.products import (
    ProductMap,
    inferred,
    is_by,
    map_of,
    product_maps,
    product_tag,
)
from jobprov.provenance.services.code.repositories import RegisteredRepository


class WantedCode(NamedTuple):
    """A software entry to be resolved, and the repository that it names.

    Attributes:
        product_map: what an operator says of the product, where the entry names no repository
            itself.
    """

    sha256: str
    software: Software
    repository: RegisteredRepository
    experiment: int
    product_map: ProductMap | None = None


def read_wanted(connection: Connection, sha256: str) -> WantedCode | None:
    """Return the entry with this digest.

    None where it is resolved already or nobody says which repository it is of.

    Raises:
        SoftwareError: it is of a product that an operator mapped, and its version names no tag.
    """
    repository_columns = [table_of(Repository).c[field] for field in RegisteredRepository._fields]
    query = (
        select(SoftwareRow.id, SoftwareRow.document, *repository_columns)
        .join(Repository, Repository.match_key == SoftwareRow.match_key)
        .where(SoftwareRow.sha256 == sha256, SoftwareRow.resolution_id.is_(None))
    )
    row = connection.execute(query).first()
    if row is None:
        return _read_product(connection, sha256)
    experiment = _first_user(connection, row[0])
    if experiment is None:
        return None
    software = msgspec.json.decode(unpack(row[1]), type=Software)
    return WantedCode(sha256, software, RegisteredRepository(*row[2:]), experiment)


def _read_product(connection: Connection, sha256: str) -> WantedCode | None:
    """Return the entry where it is of a product that an operator mapped.

    None where it is resolved as the map has it.

    Raises:
        SoftwareError: its version names no tag.
    """
    maps = product_maps(connection)
    entry = unsourced_entry(connection, sha256) if maps else None
    if entry is None or (meant := map_of(maps, entry.software)) is None or is_by(entry, meant):
        return None
    experiment = _first_user(connection, entry.id)
    if experiment is None:
        return None
    software = inferred(entry.software, product_tag(meant, entry.software))
    return WantedCode(sha256, software, meant.repository, experiment, meant)


def _first_user(connection: Connection, key: int) -> int | None:
    """Return the first experiment that used a software entry."""
    users = (
        select(func.min(Job.experiment_id))
        .join(SoftwareSetMember, SoftwareSetMember.software_set_id == Job.software_set_id)
        .where(SoftwareSetMember.software_id == key)
    )
    return connection.execute(users).scalar_one()


def is_still_wanted(connection: Connection, wanted: WantedCode) -> bool:
    """Whether no operator changed their mind about a product while its code was looked for."""
    if wanted.product_map is None:
        return True
    meant = product_maps(connection).get((wanted.product_map.name, wanted.product_map.manager))
    return meant is not None and (meant.template, meant.repository.id) == (
        wanted.product_map.template,
        wanted.repository.id,
    )
