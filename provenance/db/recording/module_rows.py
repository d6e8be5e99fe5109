"""What art's modules took, as one small row a job.

The costs are one msgpack list of four lists, each as long as the job's module set: events,
seconds_total, seconds_max and rss_delta_bytes_max; None where the record does not say it.
"""

from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import Connection

from jobprov.provenance.db.base import table_of
from jobprov.provenance.db.inserting import insert_rows
from jobprov.provenance.db.keys import KnownKeys
from jobprov.provenance.db.recording.job_rows import shared_document
from jobprov.provenance.db.selecting import change_among
from jobprov.provenance.db.tables import ModuleCost, ModuleSet
from jobprov.provenance.records.job_record import JobRecord, ModuleTime

Costs = tuple[
    list[int | None],
    list[float | int | None],
    list[float | int | None],
    list[int | None],
]
"""Events, seconds in all, seconds of the slowest event, growth of the resident memory in bytes."""

_DECODER = msgspec.msgpack.Decoder(Costs)


def write_modules(
    connection: Connection,
    known: KnownKeys,
    records: Mapping[int, JobRecord],
    replaced: Sequence[int],
) -> None:
    """Write what the modules of these jobs took, by key of the job.

    Those of `replaced` jobs were written before.
    """
    if replaced:
        change_among(connection, "DELETE FROM module_costs WHERE job_id {among}", replaced)
    told = {job: record.modules for job, record in records.items() if record.modules}
    if not told:
        return
    documents = {job: _set_document(modules) for job, modules in told.items()}
    rows = {
        digest: {"sha256": digest, "document": document} for digest, document in documents.values()
    }
    sets = known.intern(connection, table_of(ModuleSet), ["sha256"], rows)
    insert_rows(
        connection,
        table_of(ModuleCost),
        [
            {"job_id": job, "module_set_id": sets[documents[job][0]], "costs": _pack(modules)}
            for job, modules in told.items()
        ],
    )


def unpack_costs(costs: bytes) -> Costs:
    """Return what the modules of a job took."""
    found: Costs = _DECODER.decode(costs)
    return found


def _set_document(modules: Sequence[ModuleTime]) -> tuple[str, str]:
    digest, body = shared_document(
        [[each.step, each.path, each.label, each.type] for each in modules]
    )
    return digest, body.decode()


def _pack(modules: Sequence[ModuleTime]) -> bytes:
    return msgspec.msgpack.encode(
        [
            [each.events for each in modules],
            [each.seconds_total for each in modules],
            [each.seconds_max for each in modules],
            [each.rss_delta_bytes_max for each in modules],
        ]
    )
