"""What art's modules took, as one small row a job.

The costs are one msgpack list of four lists, each as long as the job's module set: events,
seconds_total, seconds_max and rss_delta_bytes_max; None where the record does not say it.
"""

from collections.abc import Mapping, Sequence

import msgspec

from jobprov.provenance.db.recording.job_rows import shared_document
from jobprov.provenance.db.statements.inserting import Insertions
from jobprov.provenance.db.statements.selecting import change_among
from jobprov.provenance.db.tables import ModuleCost, ModuleSet
from jobprov.provenance.db.tables.base import table_of
from jobprov.provenance.db.writer.transaction import Transaction
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
    transaction: Transaction,
    insertions: Insertions,
    records: Mapping[int, JobRecord],
    replaced: Sequence[int],
) -> None:
    """Have written what the modules of these jobs took, by key of the job.

    Those of `replaced` jobs were written before.
    """
    if replaced:
        change_among(
            transaction.connection, "DELETE FROM module_costs WHERE job_id {among}", replaced
        )
    timed = {job: record.modules for job, record in records.items() if record.modules}
    if not timed:
        return
    documents = {job: _set_document(modules) for job, modules in timed.items()}
    rows: dict[str, dict[str, str]] = {}
    for digest, document in documents.values():
        rows[digest] = {"sha256": digest, "document": document}
    sets = transaction.intern(table_of(ModuleSet), ["sha256"], rows)
    cost_rows = []
    for job, modules in timed.items():
        digest, _ = documents[job]
        cost_rows.append({"job_id": job, "module_set_id": sets[digest], "costs": _pack(modules)})
    insertions.add(table_of(ModuleCost), cost_rows)


def unpack_costs(costs: bytes) -> Costs:
    """Return what the modules of a job took."""
    unpacked: Costs = _DECODER.decode(costs)
    return unpacked


def _set_document(modules: Sequence[ModuleTime]) -> tuple[str, str]:
    digest, body = shared_document(
        [[module.step, module.path, module.label, module.type] for module in modules]
    )
    return digest, body.decode()


def _pack(modules: Sequence[ModuleTime]) -> bytes:
    return msgspec.msgpack.encode(
        [
            [module.events for module in modules],
            [module.seconds_total for module in modules],
            [module.seconds_max for module in modules],
            [module.rss_delta_bytes_max for module in modules],
        ]
    )
