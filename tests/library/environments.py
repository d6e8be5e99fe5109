"""Virtual environments below `var/environments`, made once.

They are for programs that exclude our own packages, or need another Python.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parents[2] / "var" / "environments"


def programs_of(name: str, packages: Sequence[str], *, python: str = sys.executable) -> Path:
    """Return the folder of the programs of an environment that has these packages.

    Where they cannot be installed the test is skipped, loudly; on CI it fails.
    """
    _FOLDER.mkdir(parents=True, exist_ok=True)
    mark = _FOLDER / name / f"has-{'-'.join(packages)}"
    with (_FOLDER / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not mark.exists():
            folder = _FOLDER / name
            # a pip of its own takes four seconds, and compiling what nobody imports a quarter of
            # the time
            subprocess.run([python, "-m", "venv", "--clear", "--without-pip", folder], check=True)
            pip = [sys.executable, "-m", "pip", "--python", folder / "bin/python"]
            pip += ["install", "--quiet", "--no-compile", "--disable-pip-version-check", *packages]
            if subprocess.run(pip, check=False).returncode:
                if os.environ.get("CI"):
                    pytest.fail(f"{', '.join(packages)} cannot be installed")
                pytest.skip(
                    f"{', '.join(packages).upper()} CANNOT BE INSTALLED HERE: "
                    "what needs it is not tested"
                )
            mark.touch()
    return _FOLDER / name / "bin"
