"""The full names (`namespace:name`) that catalogs gave to files which jobs recorded without one.

An output has it as an alias of its claim, an input by the claim that it was made by, or as what its
identity stands for. A file that two namespaces have stays as it was recorded.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Select, select
from sqlalchemy.orm import aliased

from jobprov.provenance.db.queries.fragments.membership import among
from jobprov.provenance.db.queries.lookup.jobs.details import input_files
from jobprov.provenance.db.tables import Claim, File, Mention, Producer

_alias, _recorded = aliased(Claim), aliased(File)


class FullName(NamedTuple):
    """A name with the namespace of its catalog."""

    namespace: str
    name: str


def full_names_of_claims(connection: Connection, claims: Sequence[int]) -> dict[int, FullName]:
    """Return those of claims, by key; claims without one are left out."""
    if not claims:
        return {}
    made: Select[int, str, str] = select(Claim.id, File.namespace, File.name).select_from(Claim)
    query = _with_full_names(made).where(among(connection, Claim.id, claims))
    return _only(connection.execute(query))


def full_names_of_outputs(connection: Connection, job: int) -> dict[int, FullName]:
    """Return those of a job's outputs, by position."""
    made: Select[int, str, str] = select(Claim.position, File.namespace, File.name).select_from(
        Claim
    )
    return _only(connection.execute(_with_full_names(made).where(Claim.job_id == job)))


def full_names_of_inputs(connection: Connection, job: int) -> dict[int, FullName]:
    """Return those of a job's inputs, by position; of inputs recorded with a namespace theirs."""
    made: Select[int, str, str] = (
        select(Mention.position, File.namespace, File.name)
        .select_from(Mention)
        .join(Producer, Producer.identity_id == Mention.identity_id)
        .join(Claim, Claim.id == Producer.claim_id)
    )
    names = _only(connection.execute(_with_full_names(made).where(Mention.job_id == job)))
    for position, file in input_files(connection, job).items():
        if file.namespace:
            names[position] = FullName(file.namespace, file.name)
    return names


def _with_full_names(query: Select[int, str, str]) -> Select[int, str, str]:
    """Return a query over claims that were recorded by bare name, joined to the full ones."""
    return (
        query.join(_recorded, _recorded.id == Claim.file_id)
        .join(_alias, _alias.alias_of == Claim.id)
        .join(File, File.id == _alias.file_id)
        .where(_recorded.namespace == "", File.namespace != "")
        .distinct()
    )


def _only(rows: Iterable[Any]) -> dict[int, FullName]:
    """Return the name of each key that has just one."""
    found: dict[int, set[FullName]] = {}
    for key, namespace, name in rows:
        found.setdefault(key, set()).add(FullName(namespace, name))
    return {key: next(iter(names)) for key, names in found.items() if len(names) == 1}
