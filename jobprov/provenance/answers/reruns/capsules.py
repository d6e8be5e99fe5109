"""Answers about capsules, the kept environments of releases."""

from msgspec import Struct


class CapsuleRegistered(Struct, frozen=True):
    """A capsule that was registered with a release.

    Attributes:
        kind: `image`, or `files` for the tar of a folder.
        stages: names of the stages that it serves; '' stands for jobs without one.
        is_new: False if it served all of them before.
    """

    name: str
    kind: str
    sha256: str
    size_bytes: int
    experiment: str
    stages: list[str]
    is_new: bool


class RegisteredCapsule(Struct, frozen=True):
    """A registration of a capsule; see `CapsuleRegistered`."""

    experiment: str
    name: str
    kind: str
    sha256: str
    size_bytes: int
    stages: list[str]
    registered_at: str
