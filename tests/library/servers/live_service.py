"""A real `jobprov serve`: its own process, gunicorn, a free port of loopback."""

import re
import subprocess
import tempfile
import time
from pathlib import Path

from tests.library.commands import clean_environment, run_command, start_command

_START_SECONDS = 120
_ADDRESS = re.compile(r"^jobprov serves http://.*\n", re.MULTILINE)


class LiveService:
    """A running service; `url` is where it listens, `said` the line that says so.

    It has no job traced by itself, but where a test says so: a trace is no other test's subject.
    """

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        self.environment = {**clean_environment(), "JOBPROV_TRACE_FIRST": "off", **environment}
        self._folder = tempfile.TemporaryDirectory(prefix="jobprov-service-")
        self._output = Path(self._folder.name, "output")
        self._output.touch()
        words = ("serve", "--port", "0", "--data", str(data))
        self.process = start_command(
            *words, environment=self.environment, output=[self._output, self._output]
        )
        try:
            self.said = self._first_line()
        except BaseException:
            self.stop()
            raise
        self.url = self.said.split("serves ")[1].split(" ")[0]

    def printed(self) -> str:
        """Return all that it printed until now."""
        return self._output.read_text(encoding="utf-8", errors="replace")

    def run(self, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run a jobprov command against this service."""
        environment = {
            **self.environment,
            "JOBPROV_URL": self.url,
            "JOBPROV_DATA": str(self.data),
            **more,
        }
        return run_command(*words, environment=environment)

    def stop(self, seconds: float = 20) -> int:
        """Ask it to stop as systemd would; return its exit code."""
        self.process.terminate()
        self.process.join(seconds)
        code = self.process.exitcode
        if code is None:
            self.process.kill()
            self.process.join()
        self._folder.cleanup()
        assert code is not None, f"the service did not stop in {seconds} s"
        return code

    def _first_line(self) -> str:
        """Return the line that it prints once it listens.

        Raises:
            AssertionError: it ended, or did not get there; with what it printed.
        """
        end = time.monotonic() + _START_SECONDS
        while not (line := _ADDRESS.search(printed := self.printed())):
            assert self.process.exitcode is None, f"the service ended: {printed}"
            assert time.monotonic() < end, f"the service does not start: {printed}"
            time.sleep(0.01)
        return line[0]
