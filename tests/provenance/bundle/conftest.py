"""The toy job, and the shells that rerun it."""

import subprocess
from pathlib import Path

import pytest
from toy_job import Run, Toy


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture(params=["dash", "busybox sh", "bash"])
def shell(request: pytest.FixtureRequest) -> Run:
    """Start a script under each shell in turn, with an empty environment but PATH."""
    return _starter(str(request.param).split())


@pytest.fixture
def dash() -> Run:
    """Start a script under dash, where one shell is enough."""
    return _starter(["dash"])


def _starter(program: list[str]) -> Run:
    def run(script: Path, *arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, str(script), *map(str, arguments)],
            env={"PATH": "/usr/bin:/bin"},
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    return run
