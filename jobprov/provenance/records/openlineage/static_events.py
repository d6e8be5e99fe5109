"""OpenLineage events without a run: what a job is declared to read and write, and datasets.

A JobEvent declares the task that runs of the job belong to. Its datasets, and the dataset of a
DatasetEvent, are files as a catalog saw them.

Source: OpenLineage 2-0-2, https://openlineage.io/spec/2-0-2/OpenLineage.json, JobEvent and
DatasetEvent; record.md, "Events of OpenLineage".
"""

from msgspec import Struct

from jobprov.provenance.records.job_record import Instant, JsonObject
from jobprov.provenance.records.openlineage.datasets import Dataset, converted, file_of, refuse
from jobprov.provenance.records.openlineage.runs import Job, canonical, task_id_of
from jobprov.provenance.records.reading.checks import word_problem

_LONGEST_LOCATION = 1000
MARK = "openlineage"
"""The member of a declaration, and of a sighting's metadata, that holds the event."""


class JobEvent(Struct):
    """What a job is declared to be; the words are OpenLineage's."""

    eventTime: Instant  # noqa: N815
    job: Job
    producer: str
    inputs: list[Dataset] | None = None
    outputs: list[Dataset] | None = None

    @property
    def task_id(self) -> str:
        """Return the id of the task that runs of the job belong to where they have no parent.

        Raises:
            BadInputError: it is longer than a task id can be.
        """
        return task_id_of(f"{self.job.namespace}:{self.job.name}")


class DatasetEvent(Struct):
    """What is known of a dataset; the words are OpenLineage's."""

    eventTime: Instant  # noqa: N815
    dataset: Dataset
    producer: str


def static_event_of(document: JsonObject) -> JobEvent | DatasetEvent | None:
    """Return a JSON object as the event of a job or dataset without a run.

    None if it is meant as the event of a run.

    Raises:
        BadInputError: a field is missing or wrong; `fields` names it.
    """
    if "run" in document or "eventType" in document:
        return None
    if "job" in document:
        return converted(document, JobEvent)
    if "dataset" in document:
        return converted(document, DatasetEvent)
    return None


def declaration_of(event: JobEvent, document: JsonObject, experiment: str) -> JsonObject:
    """Return the declaration of the task that an event's job belongs to, with the event."""
    return {
        "experiment": experiment,
        "campaign": event.job.namespace,
        "stage": event.job.name,
        MARK: {"eventTime": event.eventTime.isoformat(), "event": canonical(document)},
    }


def sightings_of_event(event: JobEvent | DatasetEvent, experiment: str) -> list[JsonObject]:
    """Return the datasets of an event as files that were seen.

    Raises:
        BadInputError: a task or file cannot have such a name; `fields` says where.
    """
    if isinstance(event, DatasetEvent):
        catalog = f"OpenLineage of {event.producer}"
        return [_sighting(event.dataset, "dataset", experiment, event, catalog)]
    refuse(
        {
            "job.namespace": word_problem(event.job.namespace),
            "job.name": word_problem(event.job.name),
        }
    )
    job = f"{event.job.namespace}:{event.job.name}"
    sightings = []
    for kind, datasets in (("input", event.inputs), ("output", event.outputs)):
        catalog = f"OpenLineage: {kind} of job {job}"
        for place, dataset in enumerate(datasets or ()):
            field = f"{kind}s[{place}]"
            sightings.append(_sighting(dataset, field, experiment, event, catalog))
    return sightings


def _sighting(
    dataset: Dataset, place: str, experiment: str, event: JobEvent | DatasetEvent, catalog: str
) -> JsonObject:
    plain_dataset = {
        "namespace": dataset.namespace,
        "name": dataset.name,
        "facets": dataset.facets or {},
    }
    metadata = {
        "producer": event.producer,
        "eventTime": event.eventTime.isoformat(),
        "dataset": canonical(plain_dataset),
    }
    sighting = {
        "experiment": experiment,
        "catalog": catalog,
        "metadata": {MARK: metadata},
        **file_of(dataset, experiment, place).as_json(),
    }
    location = sighting.pop("location", None)
    if location and len(location) <= _LONGEST_LOCATION:
        sighting["locations"] = [location]
    return sighting
