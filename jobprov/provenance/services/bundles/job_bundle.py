"""The rerun bundle of a job: planned once, then streamed from its plan, always with the same bytes.

The first build stores a plan (a blob: the list of members by digest) and enters it in the ledger;
every later build is the tar of that plan. When the ingredients change (blobs arrive, code is
resolved, the record is revised, another level is asked for), a new plan with the next number is
made. The old plans stay, even when a later version would plan differently.

Whoever may read the job may ask for any of its plans. So a plan holds no more than all of them may
see, whoever asks first: nothing of another experiment that is private.

Source: storage.md, "Bundles"; bundle.md.
"""

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.bundle import tar
from jobprov.provenance.bundle.description.exports import FORMS
from jobprov.provenance.bundle.plan import Plan, ceiling_of, make_plan
from jobprov.provenance.db.connections.engines import Database
from jobprov.provenance.db.queries.holdings.plans import (
    StoredPlan,
    plan_made_of,
    plan_numbered,
    similar_plans,
)
from jobprov.provenance.db.queries.lookup.jobs.details import FoundJob
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.bundles.archive_blobs import GeneratedBlobs, PlannedBlobs
from jobprov.provenance.services.bundles.ingredients import Gathered, gather
from jobprov.provenance.services.bundles.known_inputs import Places, shows_hidden_input
from jobprov.provenance.services.bundles.packed_plans import pack_plan, unpack_plan
from jobprov.provenance.services.bundles.plans import enter_plan
from jobprov.provenance.services.lookup.job import ReadJob, read_job
from jobprov.provenance.services.writing import Writer


class Bundle(NamedTuple):
    """A bundle ready to be streamed.

    Attributes:
        key: integer key of its plan.
        number: of the plan, from 1.
        plan_sha256: digest of the plan's blob.
        tar_sha256: digest of the tar when it was first built whole; None until then.
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
    reader: Store

    @property
    def etag(self) -> str:
        """Return a name of plan and level, which decide every byte of the tar."""
        return f"{self.number}-{self.level}-{self.plan_sha256[:16]}"

    def stream(self) -> Iterator[bytes]:
        """Yield the tar."""
        return stream_plan(self.plan, self.reader)


def build_bundle(
    database: Database,
    writer: Writer,
    store: Store,
    job_id: str,
    *,
    experiment: str | None = None,
    level: str | None = None,
    is_holey: bool = False,
    located: Places | None = None,
    readable_by_readers_of: Callable[[str], Database] | None = None,
) -> Bundle:
    """Return the bundle of a job by the plan for what it is now, which is made if there is none.

    Args:
        database: where the job is recorded.
        writer: enters the plan.
        job_id: its UUID, or a batch id.
        experiment: whose job, where several experiments have one with this id.
        level: a ceiling, `L0` to `L4`: what only higher levels need is left out. By default nothing
            is left out.
        is_holey: list the inputs that are not possessed and have a URL in fetch.txt. Such a bundle
            has a plan of its own.
        located: where inputs are now (`locate_inputs`), if the bundle is to say so.
        readable_by_readers_of: returns the database as everybody may read it who may read an
            experiment; None where no experiment is private.

    Raises:
        NotFoundError: no such job.
        BundleError: an unknown level, or the bundle cannot be built.
    """
    ceiling_of(level)
    with database.reading.connect() as connection:
        job = read_job(connection, store, job_id, experiment=experiment)
    shared = database
    if readable_by_readers_of is not None:
        shared = readable_by_readers_of(job.found.experiment)
    with shared.reading.connect() as connection:
        gathered = gather(connection, store, job, level=level, is_holey=is_holey, located=located)
        stored = plan_made_of(connection, job.found, gathered.digest)
    if stored is not None:
        return _bundle(store, job, stored)
    return _first_build(database, writer, store, gathered, level=level, is_holey=is_holey)


def earlier_bundle(
    database: Database,
    store: Store,
    job_id: str,
    number: int,
    *,
    experiment: str | None = None,
    reading_everything: Callable[[], AbstractContextManager[Connection]] | None = None,
) -> Bundle:
    """Return the bundle of a job by an earlier plan.

    Args:
        database: where the job is recorded.
        job_id: its UUID, or a batch id.
        experiment: whose job, where several experiments have one with this id.
        reading_everything: opens the database with what is hidden from `database`; None where
            nothing is. A plan that tells something of it is not returned.

    Raises:
        NotFoundError: no such job, or no such plan of it.
    """
    with database.reading.connect() as connection:
        job = read_job(connection, store, job_id, experiment=experiment)
        bundle = _bundle(store, job, plan_numbered(connection, job.found, number))
        if reading_everything is not None:
            with reading_everything() as everything:
                _check_readable(connection, everything, job, bundle)
    return bundle


def _first_build(
    database: Database,
    writer: Writer,
    store: Store,
    gathered: Gathered,
    *,
    level: str | None,
    is_holey: bool,
) -> Bundle:
    """Plan a bundle that has no plan yet, store and enter the plan, and return the bundle."""
    job = gathered.job
    plan, plan_sha256 = _make_plan(database, store, gathered, level=level, is_holey=is_holey)
    document = {
        "job_id": job.found.job_id,
        "level": int(plan.level[1:]),
        "ingredients_sha256": gathered.digest,
        "plan_sha256": plan_sha256,
        "tar_bytes": tar.size(plan),
    }
    writer.run(lambda writing: enter_plan(writing, job.found, document))
    with database.reading.connect() as connection:
        stored = plan_made_of(connection, job.found, gathered.digest)
    # Another process may have entered its own plan first, and that one stands
    if stored is not None and stored.plan_sha256 == plan_sha256:
        return _bundle(store, job, stored, plan)
    return _bundle(store, job, stored)


def _make_plan(
    database: Database, store: Store, gathered: Gathered, *, level: str | None, is_holey: bool
) -> tuple[Plan, str]:
    """Return a new plan and the digest of its blob, after storing it and all that it generates."""
    generated = GeneratedBlobs()
    ingredients = gathered.ingredients()
    plan = make_plan(ingredients, gathered.reader, generated.keep, level=level, is_holey=is_holey)
    part_of = next((member.part_of for member in plan.own if member.part_of), "")
    made = generated.take(part_of) if part_of else b""
    job = gathered.job.found
    group = (id(store), job.experiment_key, plan.level, tuple(plan.fragments))
    similar = partial(_similar_plans, database, job)
    packed = pack_plan(plan, made, group, similar, PlannedBlobs(store).get)
    plan_sha256 = generated.keep(packed.data)
    if packed.template:
        generated.keep(packed.template)
    generated.store(store)
    return replace(plan, generated={part_of: made}), plan_sha256


def _similar_plans(database: Database, job: FoundJob) -> list[str]:
    with database.reading.connect() as connection:
        return similar_plans(connection, job)


def _bundle(
    store: Store, job: ReadJob, stored: StoredPlan | None, plan: Plan | None = None
) -> Bundle:
    """Return the bundle of a stored plan. Give `plan` where it is in memory already.

    Raises:
        NotFoundError: there is no such plan.
    """
    if stored is None:
        raise _no_such_plan(job)
    if plan is None:
        plan = read_plan(store, stored.plan_sha256)
    return Bundle(
        key=stored.key,
        job_id=job.found.job_id,
        number=stored.number,
        level=plan.level,
        plan=plan,
        plan_sha256=stored.plan_sha256,
        tar_sha256=stored.tar_sha256,
        size_bytes=stored.tar_bytes,
        reader=store,
    )


def _check_readable(
    readable: Connection, everything: Connection, job: ReadJob, bundle: Bundle
) -> None:
    """Check that a plan holds nothing of an experiment that is hidden from its reader.

    Raises:
        NotFoundError: it does, since it was made when that experiment was open, or by 0.1.0.
    """
    generated = tuple(member for member in bundle.plan.own if member.part_of)
    alone = replace(bundle.plan, own=generated, fragments={})
    texts = b"".join(stream_plan(alone, bundle.reader))
    if shows_hidden_input(readable, everything, job, texts):
        raise _no_such_plan(job)


def _no_such_plan(job: ReadJob) -> NotFoundError:
    return NotFoundError(
        f"Job {job.found.job_id} has no such bundle plan, or it held what was erased or is private."
    )


def read_plan(store: Store, sha256: str) -> Plan:
    """Return a stored plan.

    Raises:
        BundleError: it cannot be read.
    """
    return unpack_plan(store.get(sha256), PlannedBlobs(store).get)


def stream_plan(plan: Plan, store: Store) -> Iterator[bytes]:
    """Yield the tar of a plan.

    Raises:
        BundleError: a blob is not what the plan names.
        ArchiveError: a blob is gone or damaged.
    """
    return tar.stream(plan, PlannedBlobs(store))


def export_job(bundle: Bundle, form: str) -> bytes:
    """Return one of the `FORMS` of a job."""
    path = f"data/prov/{FORMS[form][0]}"
    members = tuple(member for member in bundle.plan.members if member.path == path)
    alone = replace(bundle.plan, own=members, fragments={})
    data = b"".join(stream_plan(alone, bundle.reader))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        extracted = archive.extractfile(f"{bundle.plan.top}/{path}")
        return extracted.read() if extracted is not None else b""
