"""A real `jobprov serve`: its own process, gunicorn, a free port of loopback."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

JOBPROV = [sys.executable, "-c", "from app.cli import main; main()"]


class LiveService:
    """A running service; `url` is where it listens, `said` what it printed first."""

    def __init__(self, data: Path, **environment: str) -> None:
        self.data = data
        self.environment = {**clean_environment(), **environment}
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
        environment = {**self.environment, "JOBPROV_URL": self.url, "JOBPROV_DATA": str(self.data), **more}
        return subprocess.run(
            [*JOBPROV, *words], env=environment, capture_output=True, text=True, check=False, timeout=120
        )

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


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("JOBPROV_")}


def run_alone(*words: str, **environment: Any) -> "subprocess.CompletedProcess[str]":
    """Run a jobprov command without a service."""
    return subprocess.run(
        [*JOBPROV, *words],
        env={**clean_environment(), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
