"""Parents, children, ancestors and descendants of a file, as trees that catalog clients print."""

from collections.abc import Callable, Iterable, Sequence

from sqlalchemy import Connection

from jobprov.provenance.answers.selections import FileReference, RelatedFile
from jobprov.provenance.db.connections.time_limits import limited
from jobprov.provenance.db.queries.selections.files import standing_versions
from jobprov.provenance.db.queries.selections.relatives import (
    MOST_RELATIVES,
    Relative,
    children_of_claims,
    children_of_files,
    parents_of_claims,
    parents_of_identities,
)
from jobprov.provenance.errors import LimitError

MOST_STEPS = 150
"""Files within each other; a reader of JSON takes some hundred."""
_ADVICE = "ask for parents or children, one step at a time"


@limited(_ADVICE)
def list_parents(connection: Connection, file: FileReference) -> list[RelatedFile]:
    """Return the files from which the standing version of a file was made."""
    return _files(_first_parents(connection, file))


@limited(_ADVICE)
def list_children(connection: Connection, file: FileReference) -> list[RelatedFile]:
    """Return the files that were made from a file."""
    return _files(_checked(children_of_files(connection, [file.key])))


@limited(_ADVICE)
def trace_ancestors(connection: Connection, file: FileReference) -> list[RelatedFile]:
    """Return the parents of a file, each with its own, and so on.

    A file that is there twice has its relatives in the first place alone.

    Raises:
        LimitError: there are too many, too deep, or it took more than five seconds.
    """
    return _tree(
        _first_parents(connection, file), lambda via: parents_of_identities(connection, via)
    )


@limited(_ADVICE)
def trace_descendants(connection: Connection, file: FileReference) -> list[RelatedFile]:
    """Return the children of a file, each with its own; see `trace_ancestors`."""
    first = _checked(children_of_files(connection, [file.key]))
    return _tree(first, lambda via: children_of_claims(connection, via))


@limited(_ADVICE)
def list_first_ancestors(connection: Connection, file: FileReference) -> list[RelatedFile]:
    """Return the ancestors of a file that were made from nothing recorded: its raw data.

    Raises:
        LimitError: see `trace_ancestors`.
    """
    firsts: dict[int, RelatedFile] = {}
    waiting = trace_ancestors(connection, file)
    expanded = {related.key for related in _flat(waiting) if related.relatives}
    for related in _flat(waiting):
        if not related.relatives and related.key not in expanded:
            firsts[related.key] = related
    return list(firsts.values())


def _first_parents(connection: Connection, file: FileReference) -> list[Relative]:
    version = standing_versions(connection, [file.key]).get(file.key)
    if version is None:
        return []
    return _checked(parents_of_claims(connection, [version.claim_id]))


def _flat(files: Iterable[RelatedFile]) -> list[RelatedFile]:
    flat = list(files)
    for related in flat:
        flat.extend(related.relatives)
    return flat


def _files(relatives: Iterable[Relative]) -> list[RelatedFile]:
    """Return files, each once, in the order of their ids."""
    by_key = {related.key: related for related in relatives}
    return [RelatedFile(key, by_key[key].namespace, by_key[key].name, []) for key in sorted(by_key)]


def _tree(
    first: list[Relative], relatives_of: Callable[[Sequence[int]], list[Relative]]
) -> list[RelatedFile]:
    """Return the tree of relatives, found level by level, one statement each."""
    roots: list[RelatedFile] = []
    level = [(roots, related) for related in _sorted(first)]
    met: set[int] = set()
    steps = 0
    while level:
        steps += 1
        if steps > MOST_STEPS:
            raise LimitError(f"There are more than {MOST_STEPS} steps; {_ADVICE}.", MOST_STEPS)
        places = _placed(level)
        new = {via: place for via, place in places.items() if via not in met}
        met.update(new)
        if len(met) > MOST_RELATIVES:
            raise _too_many()
        relatives = _checked(relatives_of(sorted(new)))
        level = [(new[related.of].relatives, related) for related in _sorted(relatives)]
    return roots


def _placed(level: list[tuple[list[RelatedFile], Relative]]) -> dict[int, RelatedFile]:
    """Put the relatives of a level into the lists of those before; return them by `via`."""
    places: dict[int, RelatedFile] = {}
    for place, related in level:
        if not place or place[-1].key != related.key:
            place.append(RelatedFile(related.key, related.namespace, related.name, []))
        places.setdefault(related.via, place[-1])
    return places


def _sorted(relatives: Iterable[Relative]) -> list[Relative]:
    return sorted(relatives, key=lambda related: (related.of, related.key))


def _checked(relatives: list[Relative]) -> list[Relative]:
    if len(relatives) > MOST_RELATIVES:
        raise _too_many()
    return relatives


def _too_many() -> LimitError:
    return LimitError(f"There are more than {MOST_RELATIVES:,} files; {_ADVICE}.", MOST_RELATIVES)
