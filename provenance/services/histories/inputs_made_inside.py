"""Which inputs of a job an earlier step of the same job wrote, where only its record says that.

The tables have no steps (docs/decisions/0001); what was derived from an input tells it of most, but
not of shared ones, nor where outputs declare what they were made from.
"""

from sqlalchemy import Connection, select

from jobprov.archive.store import Store
from jobprov.provenance.db.keys import chunks
from jobprov.provenance.db.queries.histories.rebuilds import PlacedInput
from jobprov.provenance.db.tables import Job
from jobprov.provenance.records.parents import Within
from jobprov.provenance.services.ledger.witnessed_jobs import HeldJob, fill_records, read_together


def made_inside(connection: Connection, store: Store, inputs: set[PlacedInput]) -> set[PlacedInput]:
    """Return those of the inputs that an earlier step of their job wrote."""
    found: set[PlacedInput] = set()
    wanted: dict[int, set[int]] = {}
    for each in inputs:
        wanted.setdefault(each.job, set()).add(each.position)
    for part in chunks(sorted(wanted)):
        query = select(Job.id, Job.received_at).where(Job.id.in_(part))
        held = {
            key: HeldJob(key, received_at, {}, {}) for key, received_at in connection.execute(query)
        }
        fill_records(connection, store, held)
        for job, records in held.items():
            record = read_together(records.records_but(None)).record
            within = Within(record)
            for position, file in enumerate(record.inputs or ()):
                if position in wanted[job] and within.is_made_inside(file):
                    found.add(PlacedInput(job, position))
    return found
