"""Makes the frozen list of a task's inputs from what the catalog selects now.

What selects them is a definition, snapshot, dataset or query.

The list is made once: the same declaration again keeps it, however the definition has grown since.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from jobprov.provenance.catalogs.catalog import Catalog, Source
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.tasks.declarations import MOST_UNITS, UnitSource, read_declaration


def freeze_units(
    document: Mapping[str, Any],
    held: Mapping[str, Any] | None,
    catalog_of: Callable[[str], Catalog],
) -> dict[str, Any]:
    """Return a declaration with its units as a list; as it is where it names no source.

    Args:
        document: the declaration as it was sent.
        held: that of the task before, None where there is none.
        catalog_of: opens the catalog of an experiment.

    Raises:
        BadInputError: the source is none, selects nothing or too much, or names that one task
            cannot tell apart.
        NotFoundError: no catalog is named, or it does not know the source.
        UnreachableError, ForbiddenError, LimitError: the catalog does not give it.
    """
    declaration = read_declaration(dict(document))
    source = declaration.units
    if not isinstance(source, UnitSource):
        return dict(document)
    said = msgspec.to_builtins(source)
    if len(said) != 1:
        words = "exactly one of definition, snapshot_id, dataset and query"
        raise BadInputError(f"units: say {words}.", {"units": [words]})
    if held is not None and held.get("units_from") == said:
        kept = {name: held[name] for name in ("units", "units_from", "namespace") if name in held}
        return {**document, **kept}
    return {**document, **fetch_units(catalog_of(declaration.experiment), source)}


def fetch_units(
    catalog: Catalog, source: UnitSource, *, may_be_empty: bool = False
) -> dict[str, Any]:
    """Return `{units, units_from, namespace}` of what the catalog selects now.

    The names are sorted, without their namespace.

    Args:
        catalog: to ask.
        source: what to ask for.
        may_be_empty: whether files may come later.

    Raises:
        BadInputError: nothing is selected, too much, or the names of several namespaces.
    """
    said = msgspec.to_builtins(source)
    names = sorted(set(catalog.list_names(catalog.source_query(Source(**said)))))
    if not names and may_be_empty:
        return {"units": [], "units_from": said}
    if not names or len(names) > MOST_UNITS:
        words = (
            f"{said} selects {len(names)} files, which are too many"
            if names
            else f"{said} selects no file"
        )
        raise BadInputError(f"units: {words}.", {"units": [words]})
    split = [catalog.split(name) for name in names]
    namespaces = {namespace for namespace, _ in split}
    if len(namespaces) > 1:
        words = (
            f"{said} selects files of several namespaces ({', '.join(sorted(namespaces)[:3])}): "
            "declare a task for each"
        )
        raise BadInputError(f"units: {words}.", {"units": [words]})
    [namespace] = namespaces
    return {
        "units": [bare for _, bare in split],
        "units_from": said,
        **({"namespace": namespace} if namespace else {}),
    }
