"""OpenLineage events that tell of no run: what a job is declared to read and write, and datasets.

Of a dataset they tell what is known of it. A JobEvent declares the task that runs of the job belong
to; its datasets, and that of a DatasetEvent, are files as a catalog saw them.

Source: OpenLineage 2-0-2, https://openlineage.io/spec/2-0-2/OpenLineage.json, JobEvent and
DatasetEvent; record.md, "Events of OpenLineage".
"""

from typing import Any

from msgspec import Struct

from jobprov.provenance.records.job_record import Instant
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


def static_event_of(document: dict[str, Any]) -> JobEvent | DatasetEvent | None:
    """Return a JSON object as the event of a job or dataset without a run.

    None if it is, or is meant as, one of a run.

    Raises:
        BadInputError: it is none; `fields` names what is missing or wrong.
    """
    if "run" in document or "eventType" in document:
        return None
    if "job" in document:
        return converted(document, JobEvent)
    if "dataset" in document:
        return converted(document, DatasetEvent)
    return None


def declaration_of(event: JobEvent, document: dict[str, Any], experiment: str) -> dict[str, Any]:
    """Return the declaration of the task that a job is, with the unchanged event."""
    return {
        "experiment": experiment,
        "campaign": event.job.namespace,
        "stage": event.job.name,
        MARK: {"eventTime": event.eventTime.isoformat(), "event": canonical(document)},
    }


def sightings_of_event(event: JobEvent | DatasetEvent, experiment: str) -> list[dict[str, Any]]:
    """Return the datasets of an event as files that were seen.

    Raises:
        BadInputError: a task or file cannot have such a name, or no file can be such a dataset;
            `fields` says where.
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
) -> dict[str, Any]:
    sighting = {"experiment": experiment, **file_of(dataset, experiment, place)}
    location = sighting.pop("location", None)
    if location and len(location) <= _LONGEST_LOCATION:
        sighting["locations"] = [location]
    metadata = {
        "producer": event.producer,
        "eventTime": event.eventTime.isoformat(),
        "dataset": canonical(_plain(dataset)),
    }
    return sighting | {"catalog": catalog, "metadata": {MARK: metadata}}


def _plain(dataset: Dataset) -> dict[str, Any]:
    return {"namespace": dataset.namespace, "name": dataset.name, "facets": dataset.facets or {}}
