"""Inputs that jobs of a task recorded by bare name, and in which namespace its catalog has them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from jobprov.provenance.catalogs.catalog import CatalogFile
from jobprov.provenance.db.queries.catalogs.catalogs import bare_inputs, jobs_of_task
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.lineage.words import counted, number
from jobprov.provenance.services.catalogs.syncing.sightings import see, sighting_of
from jobprov.provenance.services.catalogs.syncing.task import (
    UNITS_AT_ONCE,
    TaskInCatalog,
    TaskSync,
)

_MOST_REMEMBERED = 10_000
"""Names of inputs that were asked for, since many jobs read the same."""
_MOST_REASONS = 3


def sync_inputs(compared: TaskInCatalog, progress: TaskSync) -> TaskSync:
    """Give inputs that jobs recorded by bare name the namespace that the catalog has them in.

    Where it has a name in several, nothing is guessed: it stays bare, and is told.
    """
    if compared.catalog.kind == "sam":  # it has no namespaces
        return progress
    with compared.database.reading.connect() as connection:
        jobs = jobs_of_task(connection, compared.task.key)
    asked_names: set[str] = set()
    bare_count, reasons = 0, list[str]()
    for part in chunks(jobs, UNITS_AT_ONCE):
        if compared.is_over():
            return progress._replace(is_whole=False)
        names = _bare_inputs(compared, part) - asked_names
        if len(asked_names) > _MOST_REMEMBERED:
            asked_names.clear()
        asked_names |= names
        namespaces = _name_inputs(compared, names)
        still_bare = _bare_inputs(compared, part) & namespaces.keys()
        bare_count += len(still_bare)
        for name in sorted(still_bare)[: _MOST_REASONS - len(reasons)]:
            reasons.append(_why_bare(name, namespaces[name]))
        named = len(namespaces) - len(still_bare)
        progress = progress._replace(named=progress.named + named)
    if reasons and not progress.problem:
        message = f"{counted(bare_count, 'input')} recorded without a namespace got none: "
        message += "; ".join(reasons)
        if bare_count > len(reasons):
            message += f"; and {number(bare_count - len(reasons))} more"
        progress = progress._replace(problem=f"{message}.")
    return progress


def _bare_inputs(compared: TaskInCatalog, jobs: Sequence[int]) -> set[str]:
    with compared.database.reading.connect() as connection:
        return bare_inputs(connection, jobs, experiment=compared.task.experiment_key)


def _name_inputs(compared: TaskInCatalog, names: AbstractSet[str]) -> dict[str, list[str]]:
    """Note where the catalog has these names, if in one namespace; return its namespaces of each.

    Names that it does not know are left out.
    """
    files = compared.catalog.find_files(sorted(names)) if names else []
    files_of_name: dict[str, list[CatalogFile]] = defaultdict(list)
    for file in files:
        if not file.is_retired:
            _, name = compared.catalog.split(file.name)
            files_of_name[name].append(file)
    sightings: list[Mapping[str, object]] = []
    namespaces: dict[str, list[str]] = {}
    for name, same_name in files_of_name.items():
        namespaces[name] = sorted({compared.catalog.split(file.name)[0] for file in same_name})
        if len(namespaces[name]) == 1:
            sightings.append({**sighting_of(compared, same_name[0]), "is_only_namespace": True})
    see(compared, sightings)
    return namespaces


def _why_bare(name: str, namespaces: Sequence[str]) -> str:
    if len(namespaces) == 1:
        return f"{namespaces[0]}:{name} in the catalog differs in size or checksum"
    return f"the catalog has {name} in {', '.join(namespaces)}"
