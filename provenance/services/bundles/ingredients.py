"""What a job's bundle is made of, read from database and archive.

The record, what is possessed, what was resolved.
"""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache
from threading import Lock
from typing import Any

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.bundle.comparison.comparators import OutputRule
from jobprov.provenance.bundle.ingredients import Capsule, Ingredients, Resolution
from jobprov.provenance.bundle.plan import SPEC_VERSION
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.queries.lookup.job import resolutions_of
from jobprov.provenance.db.queries.reruns.capsules import HeldCapsule, capsules_of, use_of
from jobprov.provenance.records.gaps import image_digest
from jobprov.provenance.records.inputs import small_inputs
from jobprov.provenance.records.job_record import FclConfiguration, JobRecord
from jobprov.provenance.services.bundles.archive_blobs import PossessedBlobs
from jobprov.provenance.services.bundles.comparators import comparators_of
from jobprov.provenance.services.code.products import is_inferred
from jobprov.provenance.services.configurations.configuration import (
    ConfigurationError,
    evaluate_recorded,
)
from jobprov.provenance.services.lookup.job import ReadJob
from jobprov.provenance.services.recording.resolved_code import ambiguous_entries, placed

_REMEMBERED = 64  # configurations; those of a release are the same in thousands of jobs
_LONGEST_REMEMBERED = 1 << 20


@dataclass(frozen=True)
class Gathered:
    """A job and what its bundle may hold.

    Cheap to make, so that an existing plan is found without more.

    Attributes:
        digest: changes when the plan would: record, what is possessed, what was resolved.
    """

    job: ReadJob
    reader: PossessedBlobs
    resolutions: list[Resolution]
    capsule: Capsule | None
    rules: list[OutputRule]
    digest: str

    def ingredients(self, *, has_forms: bool = True) -> Ingredients:
        """Return everything that a plan is a function of.

        Without `has_forms` no fcl is expanded and evaluated.
        """
        expanded, evaluated = _configurations(self.job, self.reader) if has_forms else ({}, {})
        return Ingredients(
            record_bytes=self.job.body_of(),
            record=self.job.reading.raw,
            received_at=self.job.held.received_at,
            revision=_revision(self.job),
            resolutions=self.resolutions,
            expanded=expanded,
            evaluated=evaluated,
            capsule=self.capsule,
            schema=record_schema(),
            rules=self.rules,
        )


def gather(
    connection: Connection,
    store: Store,
    job: ReadJob,
    *,
    level: str | None = None,
    is_holey: bool = False,
) -> Gathered:
    """Return what the bundle of a job may hold.

    `level` is the ceiling asked for, `is_holey` has a plan of its own.
    """
    found = {job.found.key: resolutions_of(connection, job.found.key)}
    wanted = level if not is_holey else f"{level or ''}, holey"  # part of what tells plans apart
    return gather_all(connection, store, [job], found, level=wanted)[0]


def gather_all(
    connection: Connection,
    store: Store,
    jobs: Sequence[ReadJob],
    documents: Mapping[int, Mapping[int, Mapping[str, Any]]],
    *,
    level: str | None = None,
) -> list[Gathered]:
    """Return what the bundles of jobs of one experiment may hold, in order.

    `documents` are their resolutions by key.

    `level` is what was asked for, in words that tell one plan from another.
    """
    experiment = jobs[0].found.experiment
    wanted = [_wanted(job) for job in jobs]
    possessed = possessed_blobs(connection, experiment, set().union(*wanted))
    capsules = capsules_of(connection, [experiment])
    rules = comparators_of(connection, experiment)
    ambiguous = ambiguous_entries(connection, [job.reading.record.software or () for job in jobs])
    gathered = []
    for job, digests in zip(jobs, wanted, strict=True):
        words = placed(job.reading.record, ambiguous) if ambiguous else {}
        resolutions = [
            resolution(document, place, ambiguous=words.get(place, ""))
            for place, document in sorted(documents[job.found.key].items())
        ]
        packs = {sha256 for found in resolutions for sha256 in _packs(found)}
        use = use_of(job.reading.record)
        registered = None if use is None else capsules.get((experiment, use))
        held = frozenset((digests & possessed) | packs)
        capsule = _capsule(job.reading.record, registered, store, held)
        named = [] if registered is None else [registered.sha256]
        digest = _digest_of(job, [*held, *named], resolutions, rules, level)
        gathered.append(
            Gathered(job, PossessedBlobs(store, held), resolutions, capsule, rules, digest)
        )
    return gathered


def _wanted(job: ReadJob) -> set[str]:
    record = job.reading.record
    wanted = set(job.reading.references) | small_inputs(record)
    wanted |= {
        file.sha256 for file in [*(record.inputs or ()), *(record.outputs or ())] if file.sha256
    }
    image = image_digest(record)
    return wanted | {image} if image else wanted


def _capsule(
    record: JobRecord, registered: HeldCapsule | None, store: Store, held: AbstractSet[str]
) -> Capsule | None:
    """Return the image that the job ran in, where it is held.

    Where it is not, return the capsule that was registered for the job's release.
    """
    image = image_digest(record)
    if image not in held:
        if registered is None:
            return None
        return Capsule(
            kind=registered.kind,
            name=registered.name,
            sha256=registered.sha256,
            size=registered.size_bytes,
        )
    return Capsule(kind="image", name=_image_name(record), sha256=image, size=store.size(image))


def _digest_of(
    job: ReadJob,
    held: Iterable[str],
    resolutions: Sequence[Resolution],
    rules: Sequence[OutputRule],
    level: str | None,
) -> str:
    """Return what changes when the plan would."""
    document = [
        SPEC_VERSION,
        level,
        hashlib.sha256(job.body_of()).hexdigest(),
        hashlib.sha256(json.dumps(job.reading.raw, sort_keys=True).encode()).hexdigest(),
        _revision(job),
        sorted(held),
        [_identity(found) for found in resolutions],
        [msgspec.to_builtins(rule) for rule in rules],
    ]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def resolution(document: Mapping[str, Any], place: int = 0, *, ambiguous: str = "") -> Resolution:
    """Return a stored resolution, as a bundle sees it; submodules are resolutions of their own."""
    return Resolution(
        index=place,
        name=document.get("name") or f"software-{place}",
        path=document.get("path") or "",
        url=document.get("url") or "",
        requested_ref=document.get("requested_ref") or "",
        ref_kind=document.get("ref_kind") or "",
        tag_object=document.get("tag_object"),
        commit=document.get("commit") or "",
        tree=document.get("tree") or "",
        describe=document.get("describe") or "",
        committed_at=document.get("committed_at") or "",
        pack_sha256=document.get("pack_sha256"),
        worktree_tree=document.get("worktree_tree"),
        submodules=[resolution(inner) for inner in document.get("submodules") or ()],
        ambiguous=ambiguous,
        inferred={field: document.get(field) for field in ("product", "template")}
        if is_inferred(document)
        else None,
    )


@cache
def record_schema() -> bytes:
    """Return the JSON schema of records, as bundles hold it beside the record."""
    return json.dumps(msgspec.json.schema(JobRecord), sort_keys=True, indent=1).encode() + b"\n"


def _revision(job: ReadJob) -> int:
    return max([final.revision for final in job.held.finals.values()], default=0)


def _packs(found: Resolution) -> list[str]:
    inner = [sha256 for submodule in found.submodules for sha256 in _packs(submodule)]
    return [found.pack_sha256, *inner] if found.pack_sha256 else inner


def _identity(found: Resolution) -> list[Any]:
    submodules = [_identity(submodule) for submodule in found.submodules]
    how: list[Any] = [found.inferred] if found.inferred is not None else []
    how += [found.ambiguous] if found.ambiguous else []
    return [
        found.index,
        found.path,
        found.commit,
        found.tag_object,
        found.pack_sha256,
        submodules,
        *how,
    ]


def _image_name(record: JobRecord) -> str:
    container = record.environment.container if record.environment else None
    return (container.image or "") if container else ""


_evaluated: OrderedDict[str, tuple[bytes, bytes] | None] = OrderedDict()
_lock = Lock()


def _configurations(
    job: ReadJob, reader: PossessedBlobs
) -> tuple[dict[int, bytes], dict[int, bytes]]:
    """Return expanded and evaluated fcl by position.

    A configuration that cannot be evaluated is left out.
    """
    expanded, evaluated = {}, {}
    for place, recorded in enumerate(job.reading.record.configurations or ()):
        forms = _forms(recorded, reader)
        if forms is not None:
            expanded[place], evaluated[place] = forms
    return expanded, evaluated


def _forms(recorded: FclConfiguration, reader: PossessedBlobs) -> tuple[bytes, bytes] | None:
    held = {file.sha256 for file in recorded.files or () if file.sha256} & reader.held
    key = hashlib.sha256(msgspec.json.encode([recorded, sorted(held)])).hexdigest()
    with _lock:
        if key in _evaluated:
            _evaluated.move_to_end(key)
            return _evaluated[key]
    try:
        configuration = evaluate_recorded(
            recorded, {sha256: reader.store.get(sha256) for sha256 in held}
        )
        forms = configuration.expanded, configuration.to_indented_string().encode()
    except ConfigurationError:
        forms = None
    if forms is None or len(forms[0]) + len(forms[1]) <= _LONGEST_REMEMBERED:
        with _lock:
            _evaluated[key] = forms
            while len(_evaluated) > _REMEMBERED:
                _evaluated.popitem(last=False)
    return forms
