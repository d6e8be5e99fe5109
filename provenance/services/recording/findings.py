"""What only the service knows about records: which blobs are here, which code is resolved.

Set-wise, for a batch.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec
from sqlalchemy import Connection

from jobprov.provenance.db.base import table_of
from jobprov.provenance.db.driver import fetch
from jobprov.provenance.db.keys import KnownKeys
from jobprov.provenance.db.queries.holdings.erasures import erased_digests
from jobprov.provenance.db.queries.holdings.expiry import expired_logs
from jobprov.provenance.db.queries.reruns.capsules import use_of, uses_served
from jobprov.provenance.db.recording.software_rows import repository_match_key, software_digests
from jobprov.provenance.db.selecting import select_by
from jobprov.provenance.db.tables import Possession, Resolution, SoftwareRow
from jobprov.provenance.records.gaps import NO_REPOSITORY, Findings, image_digest
from jobprov.provenance.records.inputs import all_inputs, small_inputs
from jobprov.provenance.records.job_record import JobRecord, Software
from jobprov.provenance.services.code.ambiguous_code import ambiguous_code, asks_ref, note_meaning
from jobprov.provenance.services.code.products import is_inferred, unresolved_words
from jobprov.provenance.services.recording.evaluations import find_evaluations

_POSSESSIONS = table_of(Possession)
_SOFTWARE = table_of(SoftwareRow)
_RESOLUTIONS = table_of(Resolution)


class Reading(msgspec.Struct, frozen=True):
    """A job as all its witnesses say it.

    Attributes:
        record: the typed reading.
        repairs: field paths of values out of range.
        contradictions: fields of which witnesses say different things.
        references: the blobs that the record refers to.
        columns: what the table of jobs says of the record, where that was found out already.
    """

    record: JobRecord
    repairs: tuple[str, ...]
    contradictions: tuple[str, ...]
    references: AbstractSet[str]
    columns: dict[str, Any] | None = None


def find_for(
    connection: Connection, known: KnownKeys | None, readings: Sequence[Reading]
) -> list[Findings]:
    """Return the findings for each reading, in order.

    `known` remembers what cannot become untrue; readers pass None.
    """
    if not readings:
        return []
    notes = known.notes if known is not None else {}
    referenced = [reading.references for reading in readings]
    inputs = [small_inputs(reading.record) for reading in readings]
    wanted: dict[str, set[str]] = {}
    for reading, blobs, small in zip(readings, referenced, inputs, strict=True):
        wanted.setdefault(reading.record.experiment, set()).update(
            blobs, small, _image(reading.record)
        )
    held = {name: _possessed(connection, notes, name, digests) for name, digests in wanted.items()}
    erased = _erased(connection, notes, wanted)
    for name, digests in erased.items():
        held[name] -= digests  # erased by another process: what is noted here is older
    software = _distinct([r.record.software for r in readings if r.record.software])
    unresolved = _unresolved(connection, notes, software)
    ambiguous = ambiguous_code(connection, notes, software)
    unreferenced: set[str] = notes.get("unreferenced", set())
    inferred: set[str] = notes.get("inferred", set())
    incomplete: set[str] = notes.get("incomplete", set())
    served = uses_served(connection, wanted) | notes.get("served", set())
    is_held = [
        (reading.record.experiment, use_of(reading.record)) in served
        or bool(_image(reading.record) & held[reading.record.experiment])
        for reading in readings
    ]
    large: dict[str, set[str]] = {}
    for place, reading in enumerate(readings):
        if is_held[place]:  # only there does a grade tell large inputs that are held from others
            inputs[place] = all_inputs(reading.record)
            large.setdefault(reading.record.experiment, set()).update(inputs[place])
    for name, digests in large.items():
        held[name] |= _possessed(connection, notes, name, digests)
    for name, digests in _erased(connection, notes, large).items():
        held[name] -= digests
        erased.setdefault(name, set()).update(digests)
    gone: list[AbstractSet[str]] = [
        erased.get(reading.record.experiment, frozenset()) for reading in readings
    ]
    missing = [
        blobs - held[reading.record.experiment] - lost
        for reading, blobs, lost in zip(readings, referenced, gone, strict=True)
    ]
    expired = _expired(connection, notes, readings, missing) if any(missing) else {}
    evaluations = find_evaluations(
        connection, notes, [reading.record for reading in readings], held
    )
    return [
        Findings(
            missing_blobs=blobs - expired.get(reading.record.experiment, frozenset()),
            expired=blobs & expired.get(reading.record.experiment, frozenset()),
            unresolved=placed(reading.record, unresolved) if unresolved else {},
            ambiguous=placed(reading.record, ambiguous) if ambiguous else {},
            unreferenced=_places(reading.record, unreferenced) if unreferenced else frozenset(),
            submodules=_places(reading.record, incomplete) if incomplete else frozenset(),
            inferred=_places(reading.record, inferred) if inferred else frozenset(),
            unheld_inputs=wanted_inputs - held[reading.record.experiment] - lost,
            repairs=reading.repairs,
            contradictions=reading.contradictions,
            unevaluated=evaluated.problems,
            differing=evaluated.differences,
            pending=evaluated.pending,
            has_capsule=has_capsule,
            erased=(reading.references | wanted_inputs) & lost if lost else frozenset(),
        )
        for reading, blobs, wanted_inputs, evaluated, has_capsule, lost in zip(
            readings, missing, inputs, evaluations, is_held, gone, strict=True
        )
    ]


def _erased(
    connection: Connection, notes: dict[Any, Any], wanted: Mapping[str, AbstractSet[str]]
) -> dict[str, set[str]]:
    """Return those of the digests that were erased on purpose, by experiment.

    A replay knows them before their rows are there.
    """
    found = erased_digests(connection, wanted) if wanted else {}
    for name, digests in wanted.items():
        if noted := digests & notes.get(("erased", name), frozenset()):
            found[name] = found.get(name, set()) | noted
    return found


def _expired(
    connection: Connection,
    notes: dict[Any, Any],
    readings: Sequence[Reading],
    missing: Sequence[AbstractSet[str]],
) -> dict[str, AbstractSet[str]]:
    """Return those of the missing blobs that are expired logs, by experiment.

    A replay knows them before their rows are there.
    """
    wanted: dict[str, set[str]] = {}
    for reading, digests in zip(readings, missing, strict=True):
        if digests and reading.record.logs:
            wanted.setdefault(reading.record.experiment, set()).update(digests)
    return {
        name: expired_logs(connection, name, digests).keys()
        | (digests & notes.get(("expired", name), set()))
        for name, digests in wanted.items()
    }


def _image(record: JobRecord) -> set[str]:
    digest = image_digest(record)
    return {digest} if digest else set()


def pending_of(readings: Sequence[Reading], findings: Sequence[Findings]) -> set[tuple[str, str]]:
    """Return (experiment, digest) of the configurations that can be evaluated now."""
    return {
        (reading.record.experiment, digest)
        for reading, found in zip(readings, findings, strict=True)
        for digest in found.pending
    }


def possessed_blobs(connection: Connection, experiment: str, digests: Iterable[str]) -> set[str]:
    """Return those of `digests` that the experiment uploaded."""
    return _possessed(connection, {}, experiment, set(digests))


def _possessed(
    connection: Connection, notes: dict[Any, Any], experiment: str, digests: set[str]
) -> set[str]:
    held: set[str] = notes.setdefault(("possessed", experiment), set())
    if len(held) > 20_000:  # noqa: PLR2004 - 2 MB; a fresh start costs one query a batch
        held.clear()
    unknown = sorted(digests - held)
    if unknown and (
        key := fetch(connection, "SELECT id FROM experiments WHERE name = ?", (experiment,))
    ):
        wanted = [(key[0][0], sha256) for sha256 in unknown]
        found = select_by(
            connection, _POSSESSIONS, ("is_entered",), ("experiment_id", "sha256"), wanted
        )
        held.update(sha256 for _, sha256 in found)
    return digests & held


def _distinct(lists: Sequence[Sequence[Software]]) -> dict[str, Software]:
    """Return the software entries of lists by digest of their document."""
    by_digest: dict[str, Software] = {}
    for entries in lists:
        by_digest.update(zip(software_digests(entries), entries, strict=True))
    return by_digest


def _unresolved(
    connection: Connection, notes: dict[Any, Any], by_digest: Mapping[str, Software]
) -> dict[str, str]:
    """Return why software entries have no commit in a mirror, by digest of their document."""
    resolved: set[str] = notes.setdefault("resolved", set())
    unknown = [digest for digest in by_digest if digest not in resolved]
    if not unknown:
        return {}
    found = select_by(connection, _SOFTWARE, ("resolution_id",), ("sha256",), unknown)
    known = {digest: row[0] for digest, row in found.items() if row[0] is not None}
    _note_kinds(connection, notes, known, by_digest)
    registered = {row[0] for row in fetch(connection, "SELECT match_key FROM repositories")}
    left = {digest: by_digest[digest] for digest in unknown if digest not in resolved}
    products = unresolved_words(connection, left)
    return {
        digest: products.get(digest) or _reason(entry, registered) for digest, entry in left.items()
    }


def ambiguous_entries(
    connection: Connection, lists: Sequence[Sequence[Software]]
) -> dict[str, str]:
    """Return what is to be said of entries of these software lists whose ref may have meant another commit, by digest."""
    named = {digest: entry for digest, entry in _distinct(lists).items() if asks_ref(entry)}
    found = (
        select_by(connection, _SOFTWARE, ("resolution_id",), ("sha256",), list(named))
        if named
        else {}
    )
    notes: dict[Any, Any] = {}
    _note_kinds(
        connection,
        notes,
        {digest: row[0] for digest, row in found.items() if row[0] is not None},
        named,
    )
    return ambiguous_code(connection, notes, named)


def _note_kinds(
    connection: Connection,
    notes: dict[Any, Any],
    known: Mapping[str, int],
    entries: Mapping[str, Software],
) -> None:
    """Remember what a gap may tell of these resolved entries.

    `known` are the keys of their resolutions.
    """
    rows = select_by(
        connection, _RESOLUTIONS, ("match_key", "document"), ("id",), sorted(set(known.values()))
    )
    documents = {
        key: (match_key, json.loads(document)) for key, (match_key, document) in rows.items()
    }
    for digest, key in known.items():
        match_key, document = documents[key]
        _note_resolved(notes, digest, document)
        if asks_ref(entries[digest]):
            note_meaning(notes, digest, match_key, document)


def note_resolution(
    notes: dict[Any, Any], software: str, match_key: str, resolution: Mapping[str, Any]
) -> None:
    """Remember that the software entry with this digest is resolved, before the rows that say so are there."""
    _note_resolved(notes, software, resolution)
    note_meaning(notes, software, match_key, resolution)


def _note_resolved(notes: dict[Any, Any], software: str, resolution: Mapping[str, Any]) -> None:
    for kind in ("resolved", *_kinds_of(resolution)):
        notes.setdefault(kind, set()).add(software)


def _kinds_of(resolution: Mapping[str, Any]) -> list[str]:
    """Return what a gap says of code that is resolved."""
    kinds = {
        "unreferenced": not resolution["is_referenced"],
        "incomplete": _lacks_submodules(resolution),
        "inferred": is_inferred(resolution),
    }
    return [kind for kind, holds in kinds.items() if holds]


def _lacks_submodules(resolution: Mapping[str, Any]) -> bool:
    inner = resolution.get("submodules") or ()
    return any(
        not submodule.get("pack_sha256") or _lacks_submodules(submodule) for submodule in inner
    )


def _places(record: JobRecord, digests: set[str]) -> frozenset[int]:
    """Return the positions of software entries that are among these."""
    return frozenset(
        place
        for place, digest in enumerate(software_digests(record.software or ()))
        if digest in digests
    )


def placed(record: JobRecord, words: Mapping[str, str]) -> dict[int, str]:
    """Return what is said of software entries, by position."""
    digests = software_digests(record.software or ())
    return {place: words[digest] for place, digest in enumerate(digests) if digest in words}


def _reason(entry: Software, registered: set[str]) -> str:
    if entry.tarball and entry.tarball.sha256:
        return "code from a tar file; its repository is not known"
    if not entry.repository:
        return "no repository is named" if entry.revision else NO_REPOSITORY
    if repository_match_key(entry.repository) not in registered:
        return f"repository {entry.repository} is not registered here"
    return f"{entry.revision or entry.requested_ref or 'its version'} is not resolved yet"
