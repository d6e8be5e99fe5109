"""The search box: names that hold some words, in any case, by kind and with counts."""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection

from jobprov.provenance.answers.search import Hit, Hits, KindCount
from jobprov.provenance.db.connections.time_limits import time_limit
from jobprov.provenance.db.queries.search.files import MOST_LOOKED_AT, find_files, finds_all
from jobprov.provenance.db.queries.search.finders import FINDERS
from jobprov.provenance.db.queries.search.matches import Matches, SearchText
from jobprov.provenance.errors import check_choice
from jobprov.provenance.lineage.sentences import name_in_path
from jobprov.provenance.services.search.near_names import MOST_NEAR, near_names

MOST = 10
KINDS = ("file", *FINDERS)
"""What is searched, in the order in which it is shown."""
_SHORT = "Of one or two letters only the beginnings of names are found."
_NEWEST = (
    f"Files are found by the beginning of their names, and by a part of the newest "
    f"{MOST_LOOKED_AT:,} names: the database has no index of parts."
)


def search(
    connection: Connection, text: str, *, kind: str | None = None, limit: int = MOST
) -> Hits:
    """Return the names that hold each word of a text, whatever the case of the letters A to Z.

    People know files by their paths: if no name holds a path or an address, its last part is
    searched for instead. If no name holds that either, names with a similar spelling are offered.

    Args:
        text: blanks around it do not count.
        kind: look at this kind alone.
        limit: how many of a kind are shown.

    Raises:
        BadInputError: there is no such kind.
        LimitError: the search took more than five seconds.
    """
    check_choice("kind", kind, KINDS)
    kinds = KINDS if kind is None else (kind,)
    text = text.strip()
    if not text or "\0" in text:
        return Hits([], text)
    last_part = name_in_path(text) or text
    texts = [text]
    if last_part != text:
        texts.append(last_part)
    with time_limit(connection, "type more of the name"):
        for searched in texts:
            wanted = SearchText(searched, limit)
            matches = _matches_by_kind(connection, wanted, kinds)
            if matches:
                note = _note(connection, wanted, kinds)
                return Hits(_ranked(matches, wanted), searched, _counts(matches), note)
        note = _note(connection, SearchText(text, limit), kinds)
        near = near_names(connection, last_part, kinds, min(limit, MOST_NEAR))
        return Hits([], text, note=note, near=near)


def _matches_by_kind(
    connection: Connection, wanted: SearchText, kinds: Collection[str]
) -> dict[str, Matches]:
    """Return the matches of each kind that has any."""
    matches_by_kind: dict[str, Matches] = {}
    for kind in kinds:
        find = FINDERS.get(kind, find_files)
        matches = find(connection, wanted)
        if matches.total:
            matches_by_kind[kind] = matches
    return matches_by_kind


def _ranked(matches_by_kind: Mapping[str, Matches], wanted: SearchText) -> list[Hit]:
    """Return the hits of all kinds, whole names first."""
    hits: list[Hit] = []
    for matches in matches_by_kind.values():
        hits += matches.hits
    hits.sort(key=lambda hit: _rank(hit, wanted))
    return hits


def _rank(hit: Hit, wanted: SearchText) -> int:
    """Return the place of a hit; a file's name may follow its namespace."""
    rank = wanted.rank(hit.text)
    if hit.kind == "file":
        rank = min(rank, wanted.rank(hit.text.partition(":")[2]))
    return rank


def _counts(matches_by_kind: Mapping[str, Matches]) -> list[KindCount]:
    counts = []
    for kind, matches in matches_by_kind.items():
        counts.append(KindCount(kind, matches.total, matches.has_more))
    return counts


def _note(connection: Connection, wanted: SearchText, kinds: Collection[str]) -> str | None:
    """Return what was not searched, and why; None if everything was."""
    if wanted.is_short:
        return _SHORT
    if "file" in kinds and not finds_all(connection):
        return _NEWEST
    return None
