"""Code of which a record names a branch or tag and no commit, where that may have meant another commit when the job ran.

Entries of one text share one resolution, made once: what the ref meant when the service first
looked. A branch may have moved before; a tag counts as fixed until a fetch sees it name a second
object. That can happen after the entry was resolved, and another process may see it: what is known
of tags is asked anew for every batch that has such an entry, and only for these.

Source: docs/decisions/0017-refs-that-move.md.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, tuple_

from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.tables import RefObservation
from jobprov.provenance.records.job_record import Software
from jobprov.provenance.services.code.products import is_inferred
from jobprov.provenance.software.names import is_abbreviated_oid, is_oid
from jobprov.provenance.software.resolving import ANNOTATED_TAG, COMMIT, TAG

MOST_NAMED = 3
"""Other objects of a tag that a gap names.

The first that were seen, so that a tag that moves daily does not change it for ever.
"""
TAGS = "refs/tags/"
_LONGEST_REF = 80
_DIGITS = 12
_AT_ONCE = 200

Ref = tuple[str, str]
"""Repository, by its match key, and full name of a ref."""
_Seen = dict[Ref, dict[str, datetime]]


class Meaning(NamedTuple):
    """What a ref was resolved to: of which kind it was, the commit, and the object that it named itself."""

    match_key: str
    kind: str
    commit: str
    oid: str


def names_commit(revision: str | None) -> bool:
    """Whether a `revision` is a commit, whole or by its first digits.

    Some senders write a branch or tag there.
    """
    return bool(revision) and (is_oid(revision or "") or is_abbreviated_oid(revision or ""))


def asks_ref(entry: Software) -> bool:
    """Whether an entry names a branch or tag and no commit."""
    return bool(entry.requested_ref or entry.revision) and not names_commit(entry.revision)


def tag_ref(asked: str) -> str:
    """Return the full name of the tag that was asked for."""
    return asked if asked.startswith("refs/") else TAGS + asked


def note_meaning(
    notes: dict[Any, Any], software: str, match_key: str, resolution: Mapping[str, Any]
) -> None:
    """Remember what the ref of the software entry with this digest was resolved to.

    That does not change.
    """
    kind = resolution.get("ref_kind") or "ref"
    if kind != COMMIT and not is_inferred(resolution):
        oid = resolution.get("tag_object") or resolution["commit"]
        meaning = Meaning(match_key, kind, resolution["commit"], oid)
        notes.setdefault("meanings", {})[software] = meaning


def note_observation(notes: dict[Any, Any], observed: Mapping[str, str], seen_at: datetime) -> None:
    """Remember that a ref named an object, before the row that says so is there."""
    objects = notes.setdefault("observed", {}).setdefault(
        (observed["match_key"], observed["ref"]), {}
    )
    objects[observed["oid"]] = min(seen_at, objects.get(observed["oid"], seen_at))


def ambiguous_code(
    connection: Connection, notes: dict[Any, Any], entries: Mapping[str, Software]
) -> dict[str, str]:
    """Return what is to be said of the entries that may have meant another commit, by digest.

    The words go on after a name.

    `notes` say what the refs of resolved entries mean. No statement is run where each entry names a
    commit.
    """
    meanings: dict[str, Meaning] = notes.get("meanings", {})
    asked = {
        digest: entry.requested_ref or entry.revision or ""
        for digest, entry in entries.items()
        if digest in meanings and asks_ref(entry)
    }
    tags = {
        digest: (meanings[digest].match_key, tag_ref(ref))
        for digest, ref in asked.items()
        if meanings[digest].kind in (TAG, ANNOTATED_TAG)
    }
    seen = _observed(
        connection, notes, {tag for digest, tag in tags.items() if not is_oid(asked[digest])}
    )
    words = {
        digest: _words(asked[digest], meanings[digest]) for digest in asked.keys() - tags.keys()
    }
    for digest, tag in tags.items():
        if others := _others(seen.get(tag, {}), meanings[digest].oid):
            words[digest] = (
                f"{_words(asked[digest], meanings[digest])}; it was seen to name {_listed(others)} as well"
            )
    return words


def _observed(connection: Connection, notes: dict[Any, Any], tags: Iterable[Ref]) -> _Seen:
    """Return the objects that tags were seen to name and when first.

    A replay knows them before their rows are there.
    """
    wanted = sorted(tags)
    noted: _Seen = notes.get("observed", {})
    seen = {tag: dict(noted[tag]) for tag in wanted if tag in noted}
    columns = (
        RefObservation.match_key,
        RefObservation.ref,
        RefObservation.oid,
        RefObservation.first_seen_at,
    )
    for part in chunks(wanted, _AT_ONCE):
        query = select(*columns).where(
            tuple_(RefObservation.match_key, RefObservation.ref).in_(part)
        )
        for match_key, ref, oid, seen_at in connection.execute(query):
            objects = seen.setdefault((match_key, ref), {})
            objects[oid] = min(seen_at, objects.get(oid, seen_at))
    return seen


def _others(objects: Mapping[str, datetime], own: str) -> list[str]:
    """Return the objects but this one, in the order in which they were seen."""
    return sorted(objects.keys() - {own}, key=lambda oid: (objects[oid], oid))


def _words(ref: str, meaning: Meaning) -> str:
    kind = TAG if meaning.kind == ANNOTATED_TAG else meaning.kind
    commit = meaning.commit[:_DIGITS]
    return f"the record names {kind} {ref[:_LONGEST_REF]} and no commit; {commit} is what it meant when the service looked"


def _listed(others: list[str]) -> str:
    named = ", ".join(oid[:_DIGITS] for oid in others[:MOST_NAMED])
    return f"{named} and others" if len(others) > MOST_NAMED else named
