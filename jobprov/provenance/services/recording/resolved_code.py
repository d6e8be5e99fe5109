"""Which software entries of records have a commit in a mirror.

This also finds what a gap says of those that have none.

Resolutions do not change, so the writer remembers the entries that have one. A replay of the ledger
notes them before their rows are there.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from jobprov.provenance.db.queries.recording.findings import (
    registered_match_keys,
    resolutions_of,
)
from jobprov.provenance.db.recording.software_rows import repository_match_key, software_digests
from jobprov.provenance.db.writer.transaction import Memory
from jobprov.provenance.records.gaps.gaps import NO_REPOSITORY
from jobprov.provenance.records.job_record import JobRecord, Software
from jobprov.provenance.services.code.ambiguous_code import RefMeanings, ambiguous_code, asks_ref
from jobprov.provenance.services.code.products import is_inferred, unresolved_words


class ResolvedSoftware:
    """Remembers the software entries that have a resolution, by digest of their document.

    Attributes:
        unreferenced: those of them whose commit no branch or tag reaches.
        incomplete: those that lack the code of a submodule.
        inferred: those whose commit follows from the version of a product.
    """

    def __init__(self) -> None:
        self._digests: set[str] = set()
        self.unreferenced: set[str] = set()
        self.incomplete: set[str] = set()
        self.inferred: set[str] = set()

    def __contains__(self, software: str) -> bool:
        return software in self._digests

    def note(self, software: str, resolution: Mapping[str, Any]) -> None:
        """Remember what gaps of the entry with this digest are about."""
        self._digests.add(software)
        if not resolution.get("is_referenced", True):
            self.unreferenced.add(software)
        if _lacks_submodules(resolution):
            self.incomplete.add(software)
        if is_inferred(resolution):
            self.inferred.add(software)


def _lacks_submodules(resolution: Mapping[str, Any]) -> bool:
    return any(map(_is_incomplete, resolution.get("submodules") or ()))


def _is_incomplete(submodule: Mapping[str, Any]) -> bool:
    return not submodule.get("pack_sha256") or _lacks_submodules(submodule)


def note_resolution(
    memory: Memory, software: str, match_key: str, resolution: Mapping[str, Any]
) -> None:
    """Remember that the software entry with this digest is resolved before rows say so."""
    memory.of(ResolvedSoftware).note(software, resolution)
    memory.of(RefMeanings).note(software, match_key, resolution)


class CodeFindings:
    """What gaps of the code of a batch of jobs are about."""

    def __init__(
        self,
        resolved: ResolvedSoftware,
        unresolved: Mapping[str, str],
        ambiguous: Mapping[str, str],
    ) -> None:
        self._resolved = resolved
        self._unresolved = unresolved
        self._ambiguous = ambiguous

    @classmethod
    def of(
        cls, connection: Connection, memory: Memory, records: Iterable[JobRecord]
    ) -> "CodeFindings":
        """Return the findings for the software entries of these records."""
        entries = distinct_entries(record.software for record in records if record.software)
        unresolved = _unresolved(connection, memory, entries)
        return cls(
            memory.of(ResolvedSoftware), unresolved, ambiguous_code(connection, memory, entries)
        )

    def unresolved(self, record: JobRecord) -> dict[int, str]:
        """Return why entries have no commit in a mirror, by position."""
        return placed(record, self._unresolved) if self._unresolved else {}

    def ambiguous(self, record: JobRecord) -> dict[int, str]:
        """Return why the refs of entries may have meant another commit, by position."""
        return placed(record, self._ambiguous) if self._ambiguous else {}

    def unreferenced(self, record: JobRecord) -> frozenset[int]:
        """Return the positions of entries whose commit no branch or tag reaches."""
        return _positions(record, self._resolved.unreferenced)

    def incomplete(self, record: JobRecord) -> frozenset[int]:
        """Return the positions of entries that lack the code of a submodule."""
        return _positions(record, self._resolved.incomplete)

    def inferred(self, record: JobRecord) -> frozenset[int]:
        """Return the positions of entries whose commit follows from the version of a product."""
        return _positions(record, self._resolved.inferred)


def placed(record: JobRecord, reasons: Mapping[str, str]) -> dict[int, str]:
    """Return the reasons of a record's software entries, by position."""
    by_position: dict[int, str] = {}
    for position, digest in enumerate(software_digests(record.software or ())):
        if digest in reasons:
            by_position[position] = reasons[digest]
    return by_position


def _positions(record: JobRecord, among: set[str]) -> frozenset[int]:
    """Return the positions of the software entries whose digests are among these."""
    if not among:
        return frozenset()
    digests = software_digests(record.software or ())
    return frozenset(position for position, digest in enumerate(digests) if digest in among)


def distinct_entries(lists: Iterable[Sequence[Software]]) -> dict[str, Software]:
    """Return the entries of software lists by digest of their document."""
    by_digest: dict[str, Software] = {}
    for entries in lists:
        by_digest.update(zip(software_digests(entries), entries, strict=True))
    return by_digest


def _unresolved(
    connection: Connection, memory: Memory, entries: Mapping[str, Software]
) -> dict[str, str]:
    """Return why software entries have no commit in a mirror, by digest."""
    resolved = memory.of(ResolvedSoftware)
    unknown = [digest for digest in entries if digest not in resolved]
    if not unknown:
        return {}
    _note_resolutions(connection, memory, {digest: entries[digest] for digest in unknown})
    unresolved = {digest: entries[digest] for digest in unknown if digest not in resolved}
    registered = registered_match_keys(connection)
    # No product is mapped to a repository where none is registered
    of_products = unresolved_words(connection, unresolved) if registered else {}
    reasons: dict[str, str] = {}
    for digest, entry in unresolved.items():
        reasons[digest] = of_products.get(digest) or _reason(entry, registered)
    return reasons


def ambiguous_entries(
    connection: Connection, lists: Iterable[Sequence[Software]]
) -> dict[str, str]:
    """Return why the refs in these software lists may have meant other commits, by digest."""
    entries = distinct_entries(lists)
    naming_refs = {digest: entry for digest, entry in entries.items() if asks_ref(entry)}
    memory = Memory()
    _note_resolutions(connection, memory, naming_refs)
    return ambiguous_code(connection, memory, naming_refs)


def _note_resolutions(
    connection: Connection, memory: Memory, entries: Mapping[str, Software]
) -> None:
    """Remember those of the entries that have a resolution, and what their refs mean."""
    resolved, meanings = memory.of(ResolvedSoftware), memory.of(RefMeanings)
    for digest, resolution in resolutions_of(connection, list(entries)).items():
        resolved.note(digest, resolution.document)
        if asks_ref(entries[digest]):
            meanings.note(digest, resolution.match_key, resolution.document)


def _reason(entry: Software, registered: set[str]) -> str:
    if entry.tarball and entry.tarball.sha256:
        return "code from a tar file; its repository is not known"
    if not entry.repository:
        return "no repository is named" if entry.revision else NO_REPOSITORY
    if repository_match_key(entry.repository) not in registered:
        return f"repository {entry.repository} is not registered here"
    return f"{entry.revision or entry.requested_ref or 'its version'} is not resolved yet"
