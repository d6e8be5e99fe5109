"""Code for which a record names only a branch or tag: it may have meant another commit then.

Software entries with the same text share one resolution: what the ref meant when the service first
looked. A branch may have moved before that. A tag counts as fixed until a fetch sees it name a
second object, which may happen after the entry was resolved, and in another process. So what tags
were seen to name is queried for every batch with such an entry, and only for these.

Source: docs/decisions/0017-refs-that-move.md.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from jobprov.provenance.db.queries.code.ref_observations import Ref, seen_objects
from jobprov.provenance.db.writer.transaction import Memory
from jobprov.provenance.records.job_record import Software
from jobprov.provenance.services.code.products import is_inferred
from jobprov.provenance.software.names import is_abbreviated_oid, is_oid
from jobprov.provenance.software.resolving import ANNOTATED_TAG, COMMIT, TAG

MOST_NAMED = 3
"""How many other objects of a tag a gap names: the first that were seen.

With a limit, a tag that moves every night does not change the gaps of all its jobs every night.
"""
TAGS = "refs/tags/"
_LONGEST_REF = 80
_DIGITS = 12


class Meaning(NamedTuple):
    """What a ref was resolved to.

    Attributes:
        match_key: of the repository.
        kind: of the ref: a tag, an annotated tag, a branch.
        oid: the object that the ref itself names: for an annotated tag, the tag object.
    """

    match_key: str
    kind: str
    commit: str
    oid: str

    @property
    def is_tag(self) -> bool:
        """Whether the ref was a tag, annotated or not."""
        return self.kind in (TAG, ANNOTATED_TAG)


def names_commit(revision: str | None) -> bool:
    """Whether a `revision` is a commit, whole or abbreviated. Some senders put a branch there."""
    if not revision:
        return False
    return is_oid(revision) or is_abbreviated_oid(revision)


def asks_ref(entry: Software) -> bool:
    """Whether an entry names a branch or tag and no commit."""
    return bool(entry.requested_ref or entry.revision) and not names_commit(entry.revision)


def tag_ref(ref: str) -> str:
    """Return the full name of the tag that was asked for."""
    return ref if ref.startswith("refs/") else TAGS + ref


class RefMeanings:
    """Remembers what the refs of software entries were resolved to, by digest of the entry.

    It is never out of date, since a resolution does not change.
    """

    def __init__(self) -> None:
        self.by_entry: dict[str, Meaning] = {}

    def note(self, software: str, match_key: str, resolution: Mapping[str, Any]) -> None:
        """Remember what the ref of the software entry with this digest was resolved to."""
        kind = resolution.get("ref_kind") or "ref"
        if kind != COMMIT and not is_inferred(resolution):
            oid = resolution.get("tag_object") or resolution["commit"]
            self.by_entry[software] = Meaning(match_key, kind, resolution["commit"], oid)


class TagObservations:
    """The objects that tags were seen to name, and when they were first seen.

    The one in a writer's memory holds what a replay read in advance, before the rows exist.
    """

    def __init__(self) -> None:
        self._objects: dict[Ref, dict[str, datetime]] = {}

    def note(self, tag: Ref, oid: str, seen_at: datetime) -> None:
        """Add that a tag named an object."""
        objects = self._objects.setdefault(tag, {})
        objects[oid] = min(seen_at, objects.get(oid, seen_at))

    def objects_of(self, tag: Ref) -> Mapping[str, datetime]:
        """Return the objects that a tag was seen to name, and when they were first seen."""
        return self._objects.get(tag, {})

    def others(self, tag: Ref, oid: str) -> list[str]:
        """Return the other objects that a tag was seen to name, the first seen first."""
        objects = self.objects_of(tag)
        return sorted(objects.keys() - {oid}, key=lambda other: (objects[other], other))


def ambiguous_code(
    connection: Connection, memory: Memory, entries: Mapping[str, Software]
) -> dict[str, str]:
    """Return why entries may have meant another commit, by digest of the entry.

    The text continues a sentence that begins with the entry's name. If each entry names a commit,
    no statement is run.
    """
    meanings = memory.of(RefMeanings).by_entry
    sentences: dict[str, str] = {}
    tags: dict[str, Ref] = {}
    for digest, entry in entries.items():
        if digest not in meanings or not asks_ref(entry):
            continue
        ref, meaning = entry.requested_ref or entry.revision or "", meanings[digest]
        if meaning.is_tag and is_oid(ref):
            continue  # the name of the tag is itself the hash of a commit
        sentences[digest] = _sentence(ref, meaning)
        if meaning.is_tag:
            tags[digest] = meaning.match_key, tag_ref(ref)
    observed = _observed(connection, memory, tags.values())
    for digest, tag in tags.items():
        others = observed.others(tag, meanings[digest].oid)
        if others:
            sentences[digest] += f"; it was seen to name {_listed(others)} as well"
        else:
            del sentences[digest]  # a tag is fixed until it is seen to move
    return sentences


def _observed(connection: Connection, memory: Memory, tags: Iterable[Ref]) -> TagObservations:
    """Return which objects these tags were seen to name, from rows and what a replay read ahead."""
    wanted = sorted(set(tags))
    observed = TagObservations()
    for tag in wanted:
        for oid, seen_at in memory.of(TagObservations).objects_of(tag).items():
            observed.note(tag, oid, seen_at)
    for seen in seen_objects(connection, wanted):
        observed.note(seen.ref, seen.oid, seen.first_seen_at)
    return observed


def _sentence(ref: str, meaning: Meaning) -> str:
    kind = TAG if meaning.kind == ANNOTATED_TAG else meaning.kind
    commit = meaning.commit[:_DIGITS]
    return (
        f"the record names {kind} {ref[:_LONGEST_REF]} and no commit; {commit} is what it meant "
        "when the service looked"
    )


def _listed(oids: list[str]) -> str:
    named = ", ".join(oid[:_DIGITS] for oid in oids[:MOST_NAMED])
    return f"{named} and others" if len(oids) > MOST_NAMED else named
