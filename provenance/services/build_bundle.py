"""The rerun bundle of a job: planned once from what is recorded, streamed from the plan for ever after.

The first build writes a plan (a blob: list of members by digest) and enters it in the ledger; every later build is the tar of that
plan. When blobs arrive, code is resolved or the record is revised, what goes in changes, and so a next plan is made: plan n+1.

Source: storage.md, "Bundles"; bundle.md.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO, NamedTuple, Protocol

from sqlalchemy import Connection, func, select

from provenance.bundle import tar
from provenance.bundle.ingredients import SYMLINK, Ingredients, Resolution, SourceFile
from provenance.bundle.plan import Plan, make_plan
from provenance.db.engines import Database
from provenance.db.keys import KnownKeys, allocate_keys
from provenance.db.queries.job_details import resolutions_of
from provenance.db.recording.writing import table_of
from provenance.db.tables import BundlePlan
from provenance.db.writer import Writer
from provenance.errors import NotFoundError
from provenance.records.gaps import small_inputs
from provenance.services.findings import possessed_blobs
from provenance.services.ledger import Documents, NewEntry, append_document
from provenance.services.read_configuration import ConfigurationError, evaluate_recorded
from provenance.services.show_job import ReadJob, read_job
from provenance.software.read_pack import tree_files


class Blobs(Documents, Protocol):
    """The archive, as bundles use it."""

    def get(self, sha256: str) -> bytes:
        """Return all bytes of a blob."""

    def open(self, sha256: str) -> BinaryIO:
        """Return a blob as a readable file."""

    def size(self, sha256: str) -> int:
        """Return the bytes of a blob, uncompressed."""

    def put(self, data: bytes) -> Any:
        """Store a blob; the answer's `sha256` names it."""

    def put_many(self, items: Sequence[bytes]) -> list[str]:
        """Store many small blobs durably and return their digests, in order."""

    def missing(self, digests: Iterable[str]) -> set[str]:
        """Return those of the digests that are not stored."""


class PossessedBlobs(NamedTuple):
    """The archive, narrowed to what one job's bundle may hold: what its experiment uploaded, and code packs of the service."""

    store: Blobs
    held: frozenset[str]

    def has(self, sha256: str) -> bool:
        """Return whether the bundle may hold this blob."""
        return sha256 in self.held

    def get(self, sha256: str) -> bytes:
        """Return all bytes of a blob."""
        return self.store.get(sha256)

    def open(self, sha256: str) -> BinaryIO:
        """Return a blob as a readable file."""
        return self.store.open(sha256)

    def size(self, sha256: str) -> int:
        """Return the bytes of a blob, uncompressed."""
        return self.store.size(sha256)


class _Made:
    """The generated members of a plan, stored together when it is whole: one flush for a release's thousands of files."""

    def __init__(self) -> None:
        self._made: dict[str, bytes] = {}

    def keep(self, data: bytes) -> str:
        """Hold a member; return its SHA-256."""
        sha256 = hashlib.sha256(data).hexdigest()
        self._made[sha256] = data
        return sha256

    def store(self, blobs: Blobs) -> None:
        """Store what is not stored already, as the files of a release are after its first bundle."""
        blobs.put_many([self._made[sha256] for sha256 in sorted(blobs.missing(self._made))])


class Bundle(NamedTuple):
    """A bundle ready to be streamed.

    Attributes:
        number: of the plan, from 1.
        plan_sha256: digest of the plan's blob.
        tar_sha256: digest that the tar had when it was first built whole; None before.
        size_bytes: of the tar.
    """

    key: int
    job_id: str
    number: int
    level: str
    plan: Plan
    plan_sha256: str
    tar_sha256: str | None
    size_bytes: int
    reader: Blobs

    @property
    def etag(self) -> str:
        """Return what names plan and level, and so the bytes, for ever."""
        return f"{self.number}-{self.level}-{self.plan_sha256[:16]}"

    def stream(self) -> Iterator[bytes]:
        """Yield the tar."""
        return tar.stream(self.plan, self.reader)  # type: ignore[arg-type]


def build_bundle(
    database: Database,
    writer: Writer,
    store: Blobs,
    job_id: str,
    *,
    experiment: str | None = None,
    number: int | None = None,
) -> Bundle:
    """Return the bundle of a job: of the newest plan, made where what goes in has changed, or of the plan asked for.

    Raises:
        NotFoundError: no such job, or no such plan of it.
        BundleError: the bundle cannot be built.
    """
    with database.reading.connect() as connection:
        job = read_job(connection, store, job_id, experiment=experiment)
        if number is not None:
            return _existing(connection, store, job, BundlePlan.number == number)
        ingredients, reader = _gather(connection, store, job)
        digest = _digest_of(ingredients, reader)
        try:
            return _existing(connection, store, job, BundlePlan.ingredients_sha256 == digest)
        except NotFoundError:
            pass
    made = _Made()
    plan = make_plan(ingredients, reader, made.keep)
    made.store(store)
    document = {
        "job_id": job.found.job_id,
        "level": int(plan.level[1:]),
        "ingredients_sha256": digest,
        "plan_sha256": str(store.put(plan.to_bytes()).sha256),
        "tar_bytes": tar.size(plan),
    }
    writer.run(lambda connection, known: _enter(connection, known, job, document))
    with database.reading.connect() as connection:
        return _existing(connection, store, job, BundlePlan.ingredients_sha256 == digest)


def note_digest(connection: Connection, known: KnownKeys, key: int, tar_sha256: str) -> None:  # noqa: ARG001
    """Note the digest that the tar of a plan had when it was first streamed whole."""
    table = table_of(BundlePlan)
    connection.execute(
        table.update().where(table.c.id == key, table.c.tar_sha256.is_(None)).values(tar_sha256=tar_sha256)
    )


def _existing(connection: Connection, store: Blobs, job: ReadJob, condition: Any) -> Bundle:
    query = (
        select(BundlePlan.id, BundlePlan.number, BundlePlan.plan_sha256, BundlePlan.tar_sha256, BundlePlan.tar_bytes)
        .where(BundlePlan.job_id == job.found.key, condition)
        .order_by(BundlePlan.number.desc())
        .limit(1)
    )
    row = connection.execute(query).first()
    if row is None:
        raise NotFoundError(f"Job {job.found.job_id} has no such bundle plan.")
    plan = Plan.from_bytes(store.get(row.plan_sha256))
    return Bundle(
        row.id, job.found.job_id, row.number, plan.level, plan, row.plan_sha256, row.tar_sha256, row.tar_bytes, store
    )


def _enter(connection: Connection, known: KnownKeys, job: ReadJob, document: dict[str, Any]) -> None:
    """Enter the plan in the ledger and its table; a plan for the same ingredients that came first stands."""
    held = select(BundlePlan.id).where(
        BundlePlan.job_id == job.found.key, BundlePlan.ingredients_sha256 == document["ingredients_sha256"]
    )
    if connection.execute(held).first() is None:
        new = NewEntry(job.found.experiment_key, "plan", datetime.now(UTC), None, b"")
        write_plan_row(connection, known, job.found.key, append_document(connection, new, document), document)


def write_plan_row(
    connection: Connection,
    known: KnownKeys,  # noqa: ARG001
    job: int,
    entry: int,
    document: Mapping[str, Any],
) -> None:
    """Write the row of a plan whose ledger entry is there; its number follows those of the job's earlier plans."""
    last = connection.execute(select(func.max(BundlePlan.number)).where(BundlePlan.job_id == job)).scalar_one()
    [key] = allocate_keys(connection, table_of(BundlePlan), 1)
    row = {name: document[name] for name in ("level", "ingredients_sha256", "plan_sha256", "tar_bytes")}
    row |= {"id": key, "job_id": job, "number": (last or 0) + 1, "entry_id": entry}
    connection.execute(table_of(BundlePlan).insert(), [row])


def _gather(connection: Connection, store: Blobs, job: ReadJob) -> tuple[Ingredients, PossessedBlobs]:
    record = job.reading.record
    wanted = job.reading.references | small_inputs(record)
    wanted |= {output.sha256 for output in record.outputs or () if output.sha256}
    documents = resolutions_of(connection, job.found.key)
    resolutions = _resolutions(documents)
    trees = {place: found.get("worktree_tree") or found["commit"] for place, found in documents.items()}
    packs = {found.pack_sha256 for found in resolutions if found.pack_sha256}
    held = possessed_blobs(connection, job.found.experiment, wanted) | packs
    expanded, evaluated = _configurations(store, job, held)
    ingredients = Ingredients(
        record_bytes=job.body_of(),
        record=job.reading.raw,
        received_at=datetime.fromisoformat(str(job.held.received_at)),
        revision=max([final.revision for final in job.held.finals.values()], default=0),
        resolutions=resolutions,
        source_files=lambda resolution: _source_files(store, resolution, trees[resolution.index]),
        expanded=expanded,
        evaluated=evaluated,
    )
    return ingredients, PossessedBlobs(store, frozenset(held))


def _resolutions(documents: Mapping[int, Mapping[str, Any]]) -> list[Resolution]:
    return [
        Resolution(
            index=place,
            name=document.get("name") or f"software-{place}",
            url=document.get("url") or "",
            requested_ref=document.get("requested_ref") or "",
            ref_kind=document.get("ref_kind") or "",
            tag_object=document.get("tag_object"),
            commit=document.get("commit") or "",
            tree=document.get("tree") or "",
            describe=document.get("describe") or "",
            committed_at=document.get("committed_at") or "",
            pack_sha256=document.get("pack_sha256"),
            is_worktree=bool(document.get("worktree_tree")),
        )
        for place, document in sorted(documents.items())
    ]


def _source_files(store: Blobs, resolution: Resolution, tree: str) -> Iterator[SourceFile]:
    """Yield the files of a commit or working tree, from its canonical pack alone: no git is needed."""
    if resolution.pack_sha256 is None:
        return
    for file in tree_files(store.get(resolution.pack_sha256), tree):
        is_link = file.mode_bits == SYMLINK
        content = file.content.decode("utf-8", "surrogateescape") if is_link else file.content
        yield file.path, file.mode_bits, content


def _configurations(store: Blobs, job: ReadJob, held: set[str]) -> tuple[dict[int, bytes], dict[int, bytes]]:
    """Return expanded and evaluated fcl by position; a configuration that cannot be evaluated is left out."""
    expanded, evaluated = {}, {}
    for place, recorded in enumerate(job.reading.record.configurations or ()):
        digests = {file.sha256 for file in recorded.files or () if file.sha256}
        try:
            configuration = evaluate_recorded(recorded, {sha256: store.get(sha256) for sha256 in digests & held})
        except ConfigurationError:
            continue
        expanded[place] = configuration.expanded
        evaluated[place] = configuration.to_indented_string().encode()
    return expanded, evaluated


def _digest_of(ingredients: Ingredients, reader: PossessedBlobs) -> str:
    """Return what changes when the plan would: record, what is possessed, what was resolved."""
    document = [
        hashlib.sha256(ingredients.record_bytes).hexdigest(),
        hashlib.sha256(json.dumps(ingredients.record, sort_keys=True).encode()).hexdigest(),
        ingredients.revision,
        sorted(reader.held),
        [[found.index, found.commit, found.tag_object, found.pack_sha256] for found in ingredients.resolutions],
    ]
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
