"""Answers about comparators, by which outputs of reruns are compared."""

from msgspec import Struct

from jobprov.provenance.records.job_record import JsonObject


class ComparatorsDeclared(Struct, frozen=True):
    """Which version the declared comparators are.

    Attributes:
        is_new: False if they were the same as before.
    """

    experiment: str
    version: int
    is_new: bool


class ComparatorsVersion(Struct, frozen=True):
    """A version of an experiment's comparators.

    Attributes:
        submitter: None where no token was needed.
    """

    version: int
    received_at: str
    submitter: str | None


class ExperimentComparators(Struct, frozen=True):
    """One version of the comparators of an experiment, and the list of all versions.

    Attributes:
        comparators: as they were declared.
        versions: the newest first.
    """

    experiment: str
    version: int
    comparators: JsonObject
    versions: list[ComparatorsVersion]
