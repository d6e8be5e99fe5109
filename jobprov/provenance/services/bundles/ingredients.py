"""Gathers what a job's bundle is made from: its record, possessed blobs, resolved code, capsule."""

import hashlib
import json
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from threading import Lock
from typing import Any, NamedTuple, Self

import msgspec
from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.bundle.comparison.comparators import OutputRule
from jobprov.provenance.bundle.ingredients import (
    Capsule,
    Ingredients,
    KnownFile,
    RanSet,
    Resolution,
)
from jobprov.provenance.bundle.plan import SPEC_VERSION
from jobprov.provenance.db.queries.holdings.possessions import possessed_blobs
from jobprov.provenance.db.queries.lookup.jobs.details import resolutions_of
from jobprov.provenance.db.queries.reruns.capsules import HeldCapsule, Use, capsules_of, use_of
from jobprov.provenance.fhicl import FhiclError
from jobprov.provenance.records.files.inputs import small_inputs
from jobprov.provenance.records.gaps.findings import UnseenReads
from jobprov.provenance.records.gaps.gaps import image_digest
from jobprov.provenance.records.job_record import FclConfiguration, JobRecord
from jobprov.provenance.services.bundles.archive_blobs import PossessedBlobs
from jobprov.provenance.services.bundles.comparators import comparators_of
from jobprov.provenance.services.bundles.known_inputs import Places, known_inputs, known_outputs
from jobprov.provenance.services.bundles.ran_sets import ran_sets
from jobprov.provenance.services.code.products import is_inferred
from jobprov.provenance.services.configurations.configuration import (
    ConfigurationError,
    evaluate_recorded,
)
from jobprov.provenance.services.lookup.job import ReadJob
from jobprov.provenance.services.recording.resolved_code import ambiguous_entries, placed
from jobprov.provenance.services.recording.traced_kinds import TracedKinds

_REMEMBERED = 64
"""Evaluated configurations kept in memory. Thousands of jobs of a release share the same ones."""
_LONGEST_REMEMBERED = 1 << 20
"""Bytes of a configuration, expanded and evaluated; longer ones are not remembered."""


@dataclass(frozen=True)
class Gathered:
    """A job and what its bundle may hold. It is cheap to make, unlike the plan.

    Attributes:
        digest: changes whenever the plan would. By it, an existing plan is found.
    """

    job: ReadJob
    reader: PossessedBlobs
    resolutions: list[Resolution]
    capsule: Capsule | None
    rules: list[OutputRule]
    unseen: UnseenReads | None
    digest: str
    known_inputs: Mapping[int, KnownFile] = field(default_factory=dict)
    known_outputs: Mapping[int, KnownFile] = field(default_factory=dict)

    def ingredients(self, *, has_forms: bool = True) -> Ingredients:
        """Return everything that decides a plan.

        Without `has_forms`, no fcl is expanded and evaluated.
        """
        forms: dict[int, _Forms] = {}
        ran: dict[int, RanSet] = {}
        if has_forms:
            forms = _forms_of_job(self.job, self.reader)
            ran = ran_sets(self.job.reading.record, self.reader)
        return Ingredients(
            record_bytes=self.job.body_of(),
            record=self.job.reading.raw,
            received_at=self.job.found.received_at,
            revision=_revision(self.job),
            resolutions=self.resolutions,
            expanded={place: of_place.expanded for place, of_place in forms.items()},
            evaluated={place: of_place.evaluated for place, of_place in forms.items()},
            capsule=self.capsule,
            schema=record_schema(),
            rules=self.rules,
            unseen=self.unseen,
            known_inputs=self.known_inputs,
            known_outputs=self.known_outputs,
            ran=ran,
        )


def gather(
    connection: Connection,
    store: Store,
    job: ReadJob,
    *,
    level: str | None = None,
    is_holey: bool = False,
    located: Places | None = None,
) -> Gathered:
    """Return what the bundle of a job may hold.

    Args:
        level: the ceiling that was asked for.
        is_holey: whether the bundle lists inputs to fetch.
        located: where inputs are now, if the bundle is to say so.
    """
    documents = {job.found.key: resolutions_of(connection, job.found.key)}
    if is_holey:
        # The level is part of the digest: in this way a holey bundle gets a plan of its own
        level = f"{level or ''}, holey"
    gathered = gather_all(connection, store, [job], documents, level=level)[0]
    inputs, outputs = known_inputs(connection, job, located or {}), known_outputs(connection, job)
    if not inputs and not outputs:
        return gathered
    # Plans of jobs of which catalogs know nothing keep their digests
    document = msgspec.to_builtins([gathered.digest, inputs, outputs], str_keys=True)
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return replace(gathered, known_inputs=inputs, known_outputs=outputs, digest=digest)


def gather_all(
    connection: Connection,
    store: Store,
    jobs: Sequence[ReadJob],
    documents: Mapping[int, Mapping[int, Mapping[str, Any]]],
    *,
    level: str | None = None,
) -> list[Gathered]:
    """Return what the bundles of jobs may hold, in order. The jobs are of one experiment.

    Args:
        documents: their resolutions, by key of the job and position in its software list.
        level: the ceiling that was asked for; each level has plans of its own.
    """
    wanted = [_wanted(job) for job in jobs]
    shared = _Shared.read(connection, jobs, set().union(*wanted))
    gathered = []
    for job, digests in zip(jobs, wanted, strict=True):
        resolutions = shared.resolutions_of(job, documents[job.found.key])
        allowed = frozenset((digests & shared.possessed) | set(_packs_of(resolutions)))
        registered = shared.capsule_of(job)
        named = [] if registered is None else [registered.sha256]
        unseen = shared.traced.unseen(job.reading.record)
        blobs = [*allowed, *named]
        digest = _digest_of(job, blobs, resolutions, shared.rules, unseen, level=level)
        ingredients = Gathered(
            job=job,
            reader=PossessedBlobs(store, allowed),
            resolutions=resolutions,
            capsule=_capsule(job.reading.record, registered, store, allowed),
            rules=shared.rules,
            unseen=unseen,
            digest=digest,
        )
        gathered.append(ingredients)
    return gathered


class _Shared(NamedTuple):
    """What is read once for all bundles of jobs of one experiment.

    Attributes:
        possessed: the blobs that the jobs name and the experiment uploaded.
        capsules: the newest ones, by experiment and what they serve.
        ambiguous: why refs of software may have meant other commits, by digest of the entry.
        traced: what the traced jobs of the kinds of these jobs used.
    """

    experiment: str
    possessed: AbstractSet[str]
    capsules: Mapping[tuple[str, Use], HeldCapsule]
    rules: list[OutputRule]
    ambiguous: Mapping[str, str]
    traced: TracedKinds

    @classmethod
    def read(
        cls, connection: Connection, jobs: Sequence[ReadJob], wanted: AbstractSet[str]
    ) -> Self:
        """Read it; `wanted` are the blobs that the jobs name."""
        experiment = jobs[0].found.experiment
        software = [job.reading.record.software or () for job in jobs]
        return cls(
            experiment,
            possessed_blobs(connection, experiment, wanted),
            capsules_of(connection, [experiment]),
            comparators_of(connection, experiment),
            ambiguous_entries(connection, software),
            TracedKinds.of(connection, [job.reading.record for job in jobs]),
        )

    def resolutions_of(
        self, job: ReadJob, documents: Mapping[int, Mapping[str, Any]]
    ) -> list[Resolution]:
        """Return the resolved code of a job, in the order of its record."""
        ambiguous = placed(job.reading.record, self.ambiguous) if self.ambiguous else {}
        resolutions = []
        for position, document in sorted(documents.items()):
            reason = ambiguous.get(position, "")
            resolutions.append(resolution(document, position, ambiguous=reason))
        return resolutions

    def capsule_of(self, job: ReadJob) -> HeldCapsule | None:
        """Return the capsule that was registered for the release of a job."""
        use = use_of(job.reading.record)
        return None if use is None else self.capsules.get((self.experiment, use))


def _wanted(job: ReadJob) -> set[str]:
    """Return the digests of all blobs that a bundle would hold, possessed or not."""
    record = job.reading.record
    wanted = set(job.reading.references) | small_inputs(record)
    for file in [*(record.inputs or ()), *(record.outputs or ())]:
        if file.sha256:
            wanted.add(file.sha256)
    if image := image_digest(record):
        wanted.add(image)
    return wanted


def _capsule(
    record: JobRecord, registered: HeldCapsule | None, store: Store, allowed: AbstractSet[str]
) -> Capsule | None:
    """Return the environment of a rerun; None where there is none.

    It is the image that the job ran in, if the bundle may hold it, else the capsule registered for
    the job's release.
    """
    image = image_digest(record)
    if image is not None and image in allowed:
        return Capsule(kind="image", name=_image_name(record), sha256=image, size=store.size(image))
    if registered is None:
        return None
    return Capsule(
        kind=registered.kind,
        name=registered.name,
        sha256=registered.sha256,
        size=registered.size_bytes,
    )


def _digest_of(
    job: ReadJob,
    blobs: Iterable[str],
    resolutions: Sequence[Resolution],
    rules: Sequence[OutputRule],
    unseen: UnseenReads | None,
    *,
    level: str | None,
) -> str:
    """Return a digest of everything that decides the plan."""
    document = [
        SPEC_VERSION,
        level,
        hashlib.sha256(job.body_of()).hexdigest(),
        hashlib.sha256(json.dumps(job.reading.raw, sort_keys=True).encode()).hexdigest(),
        _revision(job),
        sorted(blobs),
        [_identity(resolved) for resolved in resolutions],
        [msgspec.to_builtins(rule) for rule in rules],
        msgspec.to_builtins(unseen),
    ]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def resolution(
    document: Mapping[str, Any], position: int = 0, *, ambiguous: str = ""
) -> Resolution:
    """Return a stored resolution in the form that bundles use, with its submodules."""
    inferred = None
    if is_inferred(document):
        inferred = {"product": document.get("product"), "template": document.get("template")}
    return Resolution(
        index=position,
        name=_text(document, "name") or f"software-{position}",
        path=_text(document, "path"),
        url=_text(document, "url"),
        requested_ref=_text(document, "requested_ref"),
        ref_kind=_text(document, "ref_kind"),
        tag_object=document.get("tag_object"),
        commit=_text(document, "commit"),
        tree=_text(document, "tree"),
        describe=_text(document, "describe"),
        committed_at=_text(document, "committed_at"),
        pack_sha256=document.get("pack_sha256"),
        worktree_tree=document.get("worktree_tree"),
        submodules=[resolution(submodule) for submodule in document.get("submodules") or ()],
        ambiguous=ambiguous,
        inferred=inferred,
    )


def _text(document: Mapping[str, Any], member: str) -> str:
    """Return a member of a document, empty where it is missing or null."""
    return document.get(member) or ""


@cache
def record_schema() -> bytes:
    """Return the JSON schema of records, as bundles hold it beside the record."""
    return json.dumps(msgspec.json.schema(JobRecord), sort_keys=True, indent=1).encode() + b"\n"


def _revision(job: ReadJob) -> int:
    return max([final.revision for final in job.witnesses.finals.values()], default=0)


def _packs_of(resolutions: Iterable[Resolution]) -> Iterator[str]:
    """Yield the digests of the packs of resolved code, submodules of any depth included."""
    for resolved in resolutions:
        if resolved.pack_sha256:
            yield resolved.pack_sha256
        yield from _packs_of(resolved.submodules)


def _identity(resolved: Resolution) -> list[Any]:
    """Return the parts of a resolution that decide a plan."""
    identity: list[Any] = [
        resolved.index,
        resolved.path,
        resolved.commit,
        resolved.tag_object,
        resolved.pack_sha256,
        [_identity(submodule) for submodule in resolved.submodules],
    ]
    # Added only where they exist, so that the plans of all other code keep their digests
    if resolved.inferred is not None:
        identity.append(resolved.inferred)
    if resolved.ambiguous:
        identity.append(resolved.ambiguous)
    return identity


def _image_name(record: JobRecord) -> str:
    container = record.environment.container if record.environment else None
    return (container.image or "") if container else ""


class _Forms(NamedTuple):
    """A configuration as one text: with its includes, and evaluated."""

    expanded: bytes
    evaluated: bytes


_evaluated: OrderedDict[str, _Forms | None] = OrderedDict()
_lock = Lock()


def _forms_of_job(job: ReadJob, reader: PossessedBlobs) -> dict[int, _Forms]:
    """Return the forms of a job's configurations that can be evaluated, by position."""
    forms_of_job = {}
    for place, recorded in enumerate(job.reading.record.configurations or ()):
        forms = _forms(recorded, reader)
        if forms is not None:
            forms_of_job[place] = forms
    return forms_of_job


def _forms(recorded: FclConfiguration, reader: PossessedBlobs) -> _Forms | None:
    """Return the forms of a configuration; None if it cannot be evaluated."""
    listed = {file.sha256 for file in recorded.files or () if file.sha256}
    readable = listed & reader.digests
    key = hashlib.sha256(msgspec.json.encode([recorded, sorted(readable)])).hexdigest()
    with _lock:
        if key in _evaluated:
            _evaluated.move_to_end(key)
            return _evaluated[key]
    sources = {sha256: reader.store.get(sha256) for sha256 in readable}
    # Outside the lock: other threads build bundles meanwhile. Two may evaluate the same one
    forms: _Forms | None = None
    with suppress(ConfigurationError, FhiclError):
        configuration = evaluate_recorded(recorded, sources)
        forms = _Forms(configuration.expanded, configuration.to_indented_string().encode())
    if forms is None or len(forms.expanded) + len(forms.evaluated) <= _LONGEST_REMEMBERED:
        with _lock:
            _evaluated[key] = forms
            while len(_evaluated) > _REMEMBERED:
                _evaluated.popitem(last=False)
    return forms
