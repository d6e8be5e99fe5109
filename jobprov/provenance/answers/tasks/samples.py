"""Samples: what tasks of several passes made for one dataset."""

from msgspec import Struct


class SampleCell(Struct, frozen=True):
    """What a sample has of one data tier, summed over its tasks.

    Attributes:
        definitions: the datasets of the outputs in the catalog, as the tasks declare them.
        releases: the code as the tasks declare it, else what their jobs ran.
        tasks: their ids, the oldest first.
        expected_files, expected_events: None where a task does not say how many it expects.
    """

    data_tier: str
    definitions: list[str]
    releases: list[str]
    tasks: list[str]
    files: int
    expected_files: int | None
    events: int
    expected_events: int | None


class Sample(Struct, frozen=True):
    """What an analysis calls a sample, by data tier."""

    sample: str
    cells: list[SampleCell]


class ObsoletePass(Struct, frozen=True):
    """What a task that was declared obsolete has of one data tier; see `SampleCell`."""

    sample: str
    data_tier: str
    task_id: str
    definition: str | None
    files: int
    events: int
    expected_files: int | None
    expected_events: int | None
    releases: list[str]


class Samples(Struct, frozen=True):
    """The 2,000 newest declared tasks of an experiment as samples by data tier.

    Attributes:
        data_tiers: in the order of production.
        samples: by name.
        archived: what tasks declared obsolete have, the newest first; it counts in no cell.
    """

    experiment: str
    data_tiers: list[str]
    samples: list[Sample]
    archived: list[ObsoletePass]
