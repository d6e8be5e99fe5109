"""Calls the hook file as a job script would, under any Python of this machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

VERSIONS = [f"3.{minor}" for minor in range(6, 14)]


def find_python(version: str) -> str | None:
    """Return an interpreter of that version that starts, or None."""
    name = "python" + version
    pyenv = sorted(
        Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(
            f"versions/{version}.*/bin/{name}"
        )
    )
    system = [Path(folder) / name for folder in ("/usr/bin", "/usr/local/bin")]
    for candidate in [*pyenv, *system, shutil.which(name)]:
        if candidate and Path(candidate).exists():
            answer = subprocess.run(
                [str(candidate), "-c", "import sys; print(sys.version)"],
                capture_output=True,
                text=True,
                check=False,
            )
            if answer.returncode == 0 and answer.stdout.startswith(version):
                return str(candidate)
    return None


class Runner:
    """Calls the hook as a job script would, in a folder of its own."""

    def __init__(self, hook: str, folder: Path, python: str = sys.executable) -> None:
        self.hook, self.folder, self.python = hook, folder, python
        self.spool = folder.parent / (folder.name + "-spool")
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "JOBPROV_SPOOL": str(self.spool),
            "LANG": "C.UTF-8",
        }
        self.environment["JOBPROV_EXPERIMENT"] = "toy"

    def __call__(self, *words: str, **more: Any) -> subprocess.CompletedProcess:
        environment = dict(self.environment, **more.pop("environment", {}))
        environment = {name: value for name, value in environment.items() if value is not None}
        more = {"capture_output": True, "timeout": 60, "cwd": self.folder} | more
        return subprocess.run(
            [self.python, self.hook, *words], env=environment, check=False, **more
        )

    def entries(self, folder: str = "ready") -> list[Path]:
        return sorted((self.spool / folder).glob("*.jobprov*"))
