"""The exact resubmission of recorded jobs, as text.

It is a submit file, a jobsub script, or what a SAM recovery project would read.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from jobprov.archive.store import Store
from jobprov.provenance.answers.orders.orders import Retry
from jobprov.provenance.catalogs.sam_dimensions import files_dimension
from jobprov.provenance.launchers.resubmitting import (
    Destination,
    Repeat,
    jobsub_script,
    submit_file,
)
from jobprov.provenance.records.job_record import JobRecord
from jobprov.provenance.services.ledger.witnessed_jobs import read_records
from jobprov.provenance.services.orders.orders import order_id
from jobprov.provenance.services.orders.retry_choice import (
    Choice,
    show_choice,
    without_bare_submissions,
)

FORMS = ("condor", "jobsub", "sam")
_ASIDE = ("configuration", "shared")


def repeat_of(retry: Retry, experiment: str, inputs: Sequence[str] = ()) -> Repeat:
    """Return what is submitted of a try, as an answer shows it."""
    order = retry.order
    return Repeat(
        order_id=order_id(experiment, order),
        job_id=order.bundle_of or retry.job_id,
        retry_of=retry.retry_of or retry.job_id,
        task_id=order.task_id,
        unit=order.unit,
        stage=order.stage,
        campaign=order.campaign,
        inputs=tuple(inputs) or tuple(order.inputs),
        memory_bytes=order.memory_bytes,
        avoided_sites=tuple(order.avoided_sites),
    )


def repeats_of(
    connection: Connection, store: Store, choice: Choice, experiment: str
) -> list[Repeat]:
    """Return what is tried again, with the files that each job read as recorded.

    Tries with a known submission alone are left out: they have nothing to run.
    """
    choice = without_bare_submissions(choice)
    records = read_records(connection, store, [retry.job.key for retry in choice.tries])
    repeats = []
    for retry, shown in zip(choice.tries, show_choice(choice).tries, strict=True):
        inputs = _recorded_inputs(records[retry.job.key])
        repeats.append(repeat_of(shown, experiment, inputs))
    return repeats


def _recorded_inputs(record: JobRecord) -> tuple[str, ...]:
    """Return the names of the data files that a job read, without configuration and the like."""
    return tuple(file.name for file in record.inputs or () if file.role not in _ASIDE)


def resubmission(
    repeats: Sequence[Repeat], form: str, destination: Destination, *, with_ticket: bool = False
) -> str:
    """Return the resubmission as `condor`, `jobsub` or `sam`.

    Pass `with_ticket` where jobs need a ticket to report.

    Raises:
        BadInputError: a name cannot be written in that form.
    """
    if form == "sam":
        names: dict[str, None] = {}
        for repeat in repeats:
            names |= dict.fromkeys(repeat.inputs)
        return files_dimension(names, otherwise="choose another form") + "\n"
    if form == "jobsub":
        return jobsub_script(repeats, destination)
    return submit_file(repeats, destination, with_ticket=with_ticket)
