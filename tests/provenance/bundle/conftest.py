"""The toy job, and the shells that rerun it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.library.productions.toy_job import Run, Toy

COREUTILS = [
    "cat",
    "chmod",
    "cp",
    "date",
    "dd",
    "env",
    "head",
    "ln",
    "ls",
    "mkdir",
    "readlink",
    "rm",
    "sh",
    "sha256sum",
    "sha512sum",
    "sort",
    "tail",
    "touch",
    "tr",
    "uname",
    "uniq",
    "wc",
]


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture(
    params=[
        "dash",
        pytest.param("busybox sh", marks=pytest.mark.slow),
        pytest.param("bash", marks=pytest.mark.slow),
    ]
)
def shell(request: pytest.FixtureRequest) -> Run:
    """Start a script under dash, with an empty environment but PATH.

    With the slow tests it is started under each shell in turn.
    """
    return _starter(str(request.param).split())


@pytest.fixture
def dash() -> Run:
    """Start a script under dash, where one shell is enough."""
    return _starter(["dash"])


def _starter(program: list[str]) -> Run:
    def run(
        script: Path, *arguments: object, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*program, str(script), *map(str, arguments)],
            env={"PATH": "/usr/bin:/bin"},
            cwd=cwd,
            capture_output=True,
            text=True,
            errors="backslashreplace",  # a damaged list has names that are not UTF-8
            timeout=60,
            check=False,
        )

    return run


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A folder of programs that holds a shell and coreutils alone."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in COREUTILS:
        (folder / name).symlink_to(shutil.which(name) or pytest.fail(f"{name} is not installed"))
    return folder
