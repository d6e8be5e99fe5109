"""The exact resubmission of recorded jobs, as text.

A submit file, a jobsub script, or what a SAM recovery project would read.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.catalogs.sam_dimensions import files_dimension
from jobprov.provenance.launchers.resubmitting import Repeat, jobsub_script, submit_file
from jobprov.provenance.services.ledger.witnessed_jobs import HeldJob, fill_records, read_together
from jobprov.provenance.services.orders.orders import order_id
from jobprov.provenance.services.orders.retry_choice import Choice

FORMS = ("condor", "jobsub", "sam")
_ASIDE = ("configuration", "shared")


def repeats_of(
    connection: Connection, store: Store, choice: Choice, experiment: str
) -> list[Repeat]:
    """Return what is tried again, with the files that each job read as recorded."""
    held = {
        each.job.key: HeldJob(each.job.key, each.job.received_at, {}, {}) for each in choice.tries
    }
    fill_records(connection, store, held)
    repeats = []
    for each in choice.tries:
        record = read_together(held[each.job.key].records_but(None)).record
        inputs = tuple(file.name for file in record.inputs or () if file.role not in _ASIDE)
        order = each.order
        repeats.append(
            Repeat(
                order_id(experiment, order),
                each.job.job_id,
                order.task_id,
                order.unit,
                order.stage,
                order.campaign,
                inputs or tuple(order.inputs),
                order.memory_bytes,
                tuple(order.avoided_sites),
            )
        )
    return repeats


def resubmission(
    repeats: Sequence[Repeat], form: str, *, experiment: str, url: str, with_ticket: bool = False
) -> str:
    """Return the resubmission as `condor`, `jobsub` or `sam`.

    Pass `with_ticket` where jobs need a ticket to report.

    Raises:
        BadInputError: a name cannot be said in that form.
    """
    if form == "sam":
        names = dict.fromkeys(name for repeat in repeats for name in repeat.inputs)
        return files_dimension(names) + "\n"
    if form == "jobsub":
        return jobsub_script(repeats, experiment=experiment, url=url)
    return submit_file(repeats, experiment=experiment, url=url, with_ticket=with_ticket)
