"""A real `jobprov serve`: its own process, gunicorn, a free port of loopback."""

import signal
import subprocess
from pathlib import Path

from tests.library.commands import JOBPROV, clean_environment, run_command


class LiveService:
    """A running service; `url` is where it listens, `said` what it printed first.

    It has no job traced by itself, but where a test says so: a trace is no other test's subject.
    """

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        self.environment = {**clean_environment(), "JOBPROV_TRACE_FIRST": "off", **environment}
        words = [*JOBPROV, "serve", "--port", "0", "--data", str(data)]
        self.process = subprocess.Popen(
            words, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline()
        assert "http://" in self.said, self.said + self.process.stdout.read()
        self.url = self.said.split("serves ")[1].split(" ")[0]

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
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        finally:
            self.process.kill()
            if self.process.stdout is not None:
                self.process.stdout.close()
