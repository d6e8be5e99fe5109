"""What is known of files, gathered for catalog clients: a page of files in a few statements."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Self, TypeVar

from msgspec.structs import replace
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.selections import Application, FileMetadata, FileReference
from jobprov.provenance.db.queries.selections.files import (
    StandingVersion,
    named,
    sightings,
    sizes_of,
    standing_versions,
)
from jobprov.provenance.db.queries.selections.relatives import (
    Relative,
    children_of_files,
    parents_of_claims,
)
from jobprov.provenance.db.writer.keys import chunks
from jobprov.provenance.records.job_record import Output, Software
from jobprov.provenance.selections.conditions import Selection
from jobprov.provenance.services.ledger.witnessed_jobs import read_records_left
from jobprov.provenance.services.selections.files import PAGE, select_files

T = TypeVar("T")

FILES_AT_ONCE = 100
"""Files whose records are held at once."""
_APPLICATION = "core.application"
_OWN_KEYS = frozenset(
    {
        "core.data_tier",
        "core.file_format",
        "core.file_type",
        "core.data_stream",
        "core.event_count",
        "core.first_event_number",
        "core.last_event_number",
    }
)


class _Recorded(NamedTuple):
    """What the record of a file's maker holds of it; empty where no record can be read."""

    output: Output | None = None
    software: Sequence[Software] = ()
    submitter: str | None = None


class _Sighting(NamedTuple):
    """What a catalog had of a file when it was last asked."""

    metadata: Mapping[str, Any]
    locations: list[str]
    checksums: list[str]


class WantedMetadata(NamedTuple):
    """What is wanted of files besides what the tables hold of their versions.

    Attributes:
        records: what the records of their makers and the newest sightings say.
        relatives: parents and children.
    """

    records: bool = True
    relatives: bool = True


_EVERYTHING = WantedMetadata()


def describe_files(
    connection: Connection,
    store: Store,
    experiment: str,
    files: Sequence[FileReference],
    wanted: WantedMetadata = _EVERYTHING,
) -> list[FileMetadata]:
    """Return what is known of files, in their order."""
    described = []
    for page in chunks(files, FILES_AT_ONCE):
        described += _describe_page(connection, store, experiment, page, wanted)
    return described


def list_described(
    reading: Callable[[], AbstractContextManager[Connection]],
    store: Store,
    experiment: str,
    selection: Selection,
    wanted: WantedMetadata,
) -> Iterator[list[FileMetadata]]:
    """Yield what is known of the selected files, page by page, in the order of their ids.

    Raises:
        NotFoundError, SelectionError, LimitError: see `count_files`; before the first page.
    """
    with reading() as connection:
        keys = select_files(connection, experiment, selection)
        for keys_of_page in chunks(keys, PAGE):
            files = named(connection, keys_of_page)
            for part in chunks(files, FILES_AT_ONCE):
                yield _describe_page(connection, store, experiment, part, wanted)


def _describe_page(
    connection: Connection,
    store: Store,
    experiment: str,
    files: Sequence[FileReference],
    wanted: WantedMetadata,
) -> list[FileMetadata]:
    """Return what is known of some files, with a few statements for all of them."""
    page = _FactsOfPage.read(connection, store, files, wanted)
    return [_metadata(file, experiment, page.of(file.key)) for file in files]


class _Facts(NamedTuple):
    """What is known of one file.

    Attributes:
        version: None where no job made it.
        size: of a file that no job made, where it is known.
    """

    version: StandingVersion | None
    recorded: _Recorded
    seen: _Sighting
    parents: list[FileReference]
    children: list[FileReference]
    size: int | None


class _FactsOfPage(NamedTuple):
    """What is known of some files, by key of the file; parents by key of the claim."""

    versions: Mapping[int, StandingVersion]
    recorded: Mapping[int, _Recorded]
    seen: Mapping[int, _Sighting]
    parents: Mapping[int, list[FileReference]]
    children: Mapping[int, list[FileReference]]
    sizes: Mapping[int, int | None]

    @classmethod
    def read(
        cls,
        connection: Connection,
        store: Store,
        files: Sequence[FileReference],
        wanted: WantedMetadata,
    ) -> Self:
        """Return what is known of some files."""
        keys = [file.key for file in files]
        versions = standing_versions(connection, keys)
        recorded: Mapping[int, _Recorded] = {}
        seen: dict[int, _Sighting] = {}
        if wanted.records:
            recorded = _recorded_of(connection, store, versions)
            for key, text in sightings(connection, keys).items():
                seen[key] = _read_sighting(text)
        parents: Mapping[int, list[FileReference]] = {}
        children: Mapping[int, list[FileReference]] = {}
        if wanted.relatives:
            claims = [version.claim_id for version in versions.values()]
            parents = _by_file(parents_of_claims(connection, claims))
            children = _by_file(children_of_files(connection, keys))
        unmade = [key for key in keys if key not in versions]
        sizes: dict[int, int | None] = {}
        if unmade:
            for key, identity in sizes_of(connection, unmade).items():
                sizes[key] = identity.size_bytes
        return cls(versions, recorded, seen, parents, children, sizes)

    def of(self, key: int) -> _Facts:
        """Return what is known of one file."""
        version = self.versions.get(key)
        parents: list[FileReference] = []
        if version is not None:
            parents = self.parents.get(version.claim_id, [])
        return _Facts(
            version,
            self.recorded.get(key, _Recorded()),
            self.seen.get(key, _Sighting({}, [], [])),
            parents,
            self.children.get(key, []),
            self.sizes.get(key),
        )


def _recorded_of(
    connection: Connection, store: Store, versions: dict[int, StandingVersion]
) -> dict[int, _Recorded]:
    """Return what the records of the makers hold of the files, by file."""
    makers = {version.job_key for version in versions.values()}
    # The answer for files whose records were erased is made from the tables alone
    records = read_records_left(connection, store, sorted(makers))
    recorded = {}
    for file, version in versions.items():
        record = records.get(version.job_key)
        if record is None:
            continue
        places = dict(enumerate(record.outputs or ()))
        submitter = record.task.submitted_by if record.task is not None else None
        recorded[file] = _Recorded(places.get(version.position), record.software or (), submitter)
    return recorded


def _read_sighting(text: str) -> _Sighting:
    document = json.loads(text)
    return _Sighting(
        document.get("metadata") or {},
        document.get("locations") or [],
        document.get("checksums") or [],
    )


def _by_file(relatives: Iterable[Relative]) -> dict[int, list[FileReference]]:
    """Return the relatives of each file or claim, each once, in the order of their ids."""
    by_file: dict[int, dict[int, FileReference]] = {}
    for relative in sorted(relatives, key=lambda relative: relative.key):
        file = FileReference(relative.key, relative.namespace, relative.name)
        by_file.setdefault(relative.of, {})[relative.key] = file
    return {of: list(files.values()) for of, files in by_file.items()}


def _metadata(file: FileReference, experiment: str, facts: _Facts) -> FileMetadata:
    """Return what is known of one file; the facts of its version where a job made it."""
    recorded, seen, version = facts.recorded, facts.seen, facts.version
    output = recorded.output or Output(name=file.name)
    metadata = {**(output.metadata or {}), **seen.metadata}
    locations = dict.fromkeys(seen.locations)
    if output.location:
        locations[output.location] = None
    described = FileMetadata(
        file=file,
        experiment=experiment,
        size_bytes=facts.size,
        checksums=seen.checksums,
        event_count=_sighted_value(seen, "core.event_count", int),
        data_tier=_sighted_value(seen, "core.data_tier", str),
        file_type=output.file_type,
        file_format=output.file_format,
        data_stream=output.data_stream,
        first_event=output.first_event,
        last_event=output.last_event,
        runs=output.runs or [],
        started_at=None,
        made_at=None,
        seen_at=None,
        submitter=recorded.submitter,
        application=_application(metadata, recorded.software),
        provenance={},
        metadata=_others(metadata),
        parents=facts.parents,
        children=facts.children,
        locations=list(locations),
    )
    if version is None:
        return described
    return replace(
        described,
        size_bytes=version.size_bytes,
        checksums=version.checksums.split(),
        event_count=version.event_count,
        data_tier=version.data_tier,
        started_at=version.started_at,
        made_at=version.ended_at,
        seen_at=version.received_at,
        provenance=_provenance(version, output, recorded.submitter),
    )


def _sighted_value(seen: _Sighting, key: str, kind: type[T]) -> T | None:
    """Return a value that a catalog has of a file, if it has the right type."""
    value = seen.metadata.get(key)
    return value if isinstance(value, kind) else None


def _provenance(version: StandingVersion, output: Output, submitter: str | None) -> dict[str, str]:
    """Return the `prov.*` keys of a file; those that are not known are left out."""
    known = {
        "prov.job_id": version.job_id,
        "prov.task_id": version.task_id,
        "prov.output": output.name,
        "prov.campaign": version.campaign,
        "prov.stage": version.stage,
        "prov.unit": version.unit,
        "prov.batch_id": version.batch_id,
        "prov.host": version.host,
        "prov.site": version.site,
        "prov.submitted_by": submitter,
    }
    return {key: value for key, value in known.items() if value}


def _application(metadata: Mapping[str, Any], software: Sequence[Software]) -> Application | None:
    """Return the program in the metadata, or the first product that the job ran, or None."""
    family = metadata.get(f"{_APPLICATION}.family")
    name = metadata.get(f"{_APPLICATION}.name")
    version = metadata.get(f"{_APPLICATION}.version")
    if family or name or version:
        return Application(family, name, version)
    for entry in software:
        used = None
        if entry.product is not None:
            used = entry.product.version
        used = used or entry.requested_ref or entry.revision
        if entry.name and used:
            return Application(None, entry.name, used)
    return None


def _others(metadata: Mapping[str, Any]) -> dict[str, object]:
    """Return metadata with dotted keys that appear nowhere else in the answer."""
    others = {}
    for key, value in metadata.items():
        is_shown = key in _OWN_KEYS or key.startswith((f"{_APPLICATION}.", "prov."))
        if "." in key and not is_shown:
            others[key] = value
    return others
