"""Answers to OpenLineage events of a job or dataset alone."""

from msgspec import Struct


class EventFile(Struct, frozen=True):
    """A file that an event names; `url` is the path of its page."""

    name: str
    namespace: str
    url: str


class EventAnswer(Struct, frozen=True):
    """What became of an OpenLineage event of a job or dataset alone.

    Attributes:
        change: `created`, or `same` where all of it was known.
        task_id: the task that the job is; None for a dataset.
    """

    change: str
    task_id: str | None
    files: list[EventFile]
