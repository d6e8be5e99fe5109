"""Which experiments are private, and who may read them."""

from msgspec import Struct


class ListedExperiment(Struct, frozen=True):
    """An experiment, and whether it is private.

    Attributes:
        by: `command`, or `setting` where `JOBPROV_PRIVATE_EXPERIMENTS` names it; None if it is open.
    """

    experiment: str
    is_private: bool
    by: str | None


class Reader(Struct, frozen=True):
    """Some who may read an experiment.

    Attributes:
        kind: `all`, `login`, `token` or `issued token`.
        who: the role and what it depends on, the token's number and name, or the issuer.
        note: when a token ends; None where it does not.
    """

    kind: str
    who: str
    note: str | None


class Readers(Struct, frozen=True):
    """Everybody who may read an experiment, as the settings of the command say."""

    experiment: str
    is_private: bool
    readers: list[Reader]
