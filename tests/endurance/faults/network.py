"""Lines that fail: to the archive on S3, and between senders and the service."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.endurance.failing_line import LineFault
from tests.endurance.faults.fault import Fault
from tests.endurance.scene import Scene
from tests.library.servers.hostile_proxy import HostileProxy
from tests.library.servers.live_service import LiveService

_SHARE = 0.3


class _S3Fault(Fault):
    needs_s3 = True
    fault: LineFault

    def strike(self, scene: Scene, live: LiveService) -> None:  # noqa: ARG002
        """Have the line fail for a while."""
        assert scene.s3_line is not None
        time.sleep(scene.moment())
        with scene.s3_line.failing(self.fault):
            time.sleep(scene.moment())
        scene.struck += 1


class S3Gone(_S3Fault):
    """Nobody listens where the S3 server was, and what is under way breaks off."""

    name = "s3-gone"
    fault = LineFault.GONE


class S3Slow(_S3Fault):
    """Each piece of a request or answer takes half a second more."""

    name = "s3-slow"
    fault = LineFault.SLOW


class S3Unavailable(_S3Fault):
    """The S3 server answers 503 to everything."""

    name = "s3-503"
    fault = LineFault.UNAVAILABLE


class BrokenProxy(Fault):
    """A proxy mistreats 30 % of requests: cuts, resets, errors and answers that are not ours."""

    name = "broken-proxy"

    def __init__(self) -> None:
        self._seed = 0

    @contextmanager
    def way(self, url: str) -> Iterator[str]:
        """Yield the address of the proxy."""
        self._seed += 1
        self._proxy = HostileProxy(url, share=_SHARE, seed=self._seed)
        yield self._proxy.url
        self._proxy.close()

    def strike(self, scene: Scene, live: LiveService) -> None:  # noqa: ARG002
        """Let it work for a while."""
        before = self._proxy.counts["mistreated"]
        time.sleep(1 + scene.moment())
        scene.struck += self._proxy.counts["mistreated"] - before
