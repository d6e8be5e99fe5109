"""What all faults have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar

from tests.endurance.scene import Scene
from tests.library.servers.live_service import LiveService


class Fault(ABC):
    """Something that befalls a service under load.

    Attributes:
        name: as `./scripts/endure --fault` takes it.
        databases: on which it can be tried.
        needs_disks: whether it needs small disks.
        needs_s3: whether the archive has to lie on S3, behind a line that fails.
        is_survived: whether the service has to take records afterwards without being started again.
    """

    name: ClassVar[str]
    databases: ClassVar[tuple[str, ...]] = ("sqlite", "postgresql")
    needs_disks: ClassVar[bool] = False
    needs_s3: ClassVar[bool] = False
    is_survived: ClassVar[bool] = True

    def missing(self) -> str | None:
        """Return what this machine lacks to try it; None if nothing."""
        return None

    def environment(self, scene: Scene) -> Mapping[str, str]:  # noqa: ARG002
        """Return the settings with which the service is started for it."""
        return {}

    @contextmanager
    def way(self, url: str) -> Iterator[str]:
        """Yield the address at which senders reach a service that listens at `url`."""
        yield url

    @abstractmethod
    def strike(self, scene: Scene, live: LiveService) -> None:
        """Let it befall the service, and pass."""
