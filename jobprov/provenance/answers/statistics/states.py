"""How many jobs each experiment has in each state."""

from msgspec import Struct

from jobprov.provenance.answers.counted import CountedAt


class StateCount(Struct, frozen=True):
    """The jobs of an experiment that are in a state."""

    experiment: str
    state: str
    jobs: int


class JobStates(CountedAt, frozen=True, kw_only=True):
    """The jobs of all experiments by state; no state with 0."""

    counts: list[StateCount]
