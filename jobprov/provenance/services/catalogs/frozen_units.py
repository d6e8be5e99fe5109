"""Makes the frozen list of a task's inputs from what the catalog selects now.

What selects them is a definition, snapshot, dataset or query.

The list is made once: the same declaration again keeps it, however the definition has grown since.
"""

from collections.abc import Callable, Mapping
from typing import Any, NotRequired, TypedDict

from jobprov.provenance.catalogs.catalog import Catalog
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.selections.catalog_source import CatalogSource
from jobprov.provenance.services.tasks.declarations import MOST_UNITS, read_declaration

_FROZEN = ("units", "units_from", "namespace")


def freeze_units(
    document: Mapping[str, Any],
    before: Mapping[str, Any] | None,
    catalog_of: Callable[[str], Catalog],
) -> dict[str, object]:
    """Return a declaration with its units as a list; as it is where it names no source.

    Args:
        document: the declaration as it was sent.
        before: that of the task before, None where there is none.
        catalog_of: opens the catalog of an experiment.

    Raises:
        BadInputError: the source is not valid, or selects nothing, too much, or files of several
            namespaces.
        NotFoundError: no catalog is named, or it does not know the source.
        UnreachableError, ForbiddenError, LimitError: the catalog does not give it.
    """
    declaration = read_declaration(dict(document))
    source = declaration.units
    if not isinstance(source, CatalogSource):
        return dict(document)
    units_from = source.declared()
    if len(units_from) != 1:
        words = "exactly one of definition, snapshot_id, dataset and query"
        raise BadInputError(f"units: say {words}.", {"units": [words]})
    if before is not None and before.get("units_from") == units_from:
        frozen = {name: before[name] for name in _FROZEN if name in before}
        return {**document, **frozen}
    return {**document, **fetch_units(catalog_of(declaration.experiment), source)}


class FrozenUnits(TypedDict):
    """The list of a task's inputs as its declaration has it.

    Attributes:
        units_from: what selected them, see `CatalogSource`.
    """

    units: list[str]
    units_from: NotRequired[dict[str, object]]
    namespace: NotRequired[str]


def fetch_units(
    catalog: Catalog, source: CatalogSource, *, may_be_empty: bool = False
) -> FrozenUnits:
    """Return the list of what the catalog selects now.

    The names are sorted, without their namespace.

    Args:
        catalog: to ask.
        source: what to ask for.
        may_be_empty: whether files may come later.

    Raises:
        BadInputError: nothing is selected, too much, or the names of several namespaces.
    """
    units_from = source.declared()
    names = sorted(set(catalog.list_names(catalog.source_query(source))))
    if not names and may_be_empty:
        return {"units": [], "units_from": units_from}
    if not names:
        raise BadInputError.of_field("units", f"{_said(units_from)} selects no file")
    if len(names) > MOST_UNITS:
        raise BadInputError.of_field(
            "units", f"{_said(units_from)} selects {len(names)} files, which are too many"
        )
    namespaces, units = set(), []
    for name in names:
        namespace, unit = catalog.split(name)
        namespaces.add(namespace)
        units.append(unit)
    if len(namespaces) > 1:
        first = ", ".join(sorted(namespaces)[:3])
        raise BadInputError.of_field(
            "units",
            f"{_said(units_from)} selects files of several namespaces ({first}): "
            "declare a task for each",
        )
    [namespace] = namespaces
    frozen: FrozenUnits = {"units": units, "units_from": units_from}
    if namespace:
        frozen["namespace"] = namespace
    return frozen


def _said(units_from: Mapping[str, object]) -> str:
    """Return what was to select the units in words: `dataset dune:raw`."""
    return ", ".join(f"{kind} {str(value)[:200]!r}" for kind, value in units_from.items())
