"""The exact resubmission of recorded jobs, as text.

It is a submit file, a jobsub script, or what a SAM recovery project would read.
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
    jobs = {
        retry.job.key: HeldJob(retry.job.key, retry.job.received_at, {}, {})
        for retry in choice.tries
    }
    fill_records(connection, store, jobs)
    repeats = []
    for retry in choice.tries:
        order = retry.order
        repeats.append(
            Repeat(
                order_id=order_id(experiment, order),
                job_id=retry.job.job_id,
                task_id=order.task_id,
                unit=order.unit,
                stage=order.stage,
                campaign=order.campaign,
                inputs=_recorded_inputs(jobs[retry.job.key]) or tuple(order.inputs),
                memory_bytes=order.memory_bytes,
                avoided_sites=tuple(order.avoided_sites),
            )
        )
    return repeats


def _recorded_inputs(job: HeldJob) -> tuple[str, ...]:
    """Return the names of the data files that a job read, without configuration and the like."""
    record = read_together(job.records_but(None)).record
    return tuple(file.name for file in record.inputs or () if file.role not in _ASIDE)


def resubmission(
    repeats: Sequence[Repeat], form: str, *, experiment: str, url: str, with_ticket: bool = False
) -> str:
    """Return the resubmission as `condor`, `jobsub` or `sam`.

    Pass `with_ticket` where jobs need a ticket to report.

    Raises:
        BadInputError: a name cannot be written in that form.
    """
    if form == "sam":
        names = dict.fromkeys(name for repeat in repeats for name in repeat.inputs)
        return files_dimension(names) + "\n"
    if form == "jobsub":
        return jobsub_script(repeats, experiment=experiment, url=url)
    return submit_file(repeats, experiment=experiment, url=url, with_ticket=with_ticket)
