"""`scripts/setup` where the environment cannot be made: what it installs, and what it says."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "setup"
PYTHON = """#!/bin/sh
case "$*" in
    *version_info*) exit 0 ;;
    *ensurepip*) exit {ensurepip} ;;
    *) echo "Error: [Errno 28] No space left on device" >&2; exit 1 ;;
esac
"""
APT = """#!/bin/sh
echo "$@" >> {calls}
exit 1
"""


@pytest.mark.parametrize(
    ("ensurepip", "installed", "words"),
    [(0, "", "No space left on device"), (1, "python3-venv", "this Python has no venv")],
)
def test_root_gets_a_package_only_where_that_is_what_is_missing(
    tmp_path: Path, ensurepip: int, installed: str, words: str
) -> None:
    """A full disk had it install python3-venv, and told nothing of the disk."""
    calls, commands = tmp_path / "calls", tmp_path / "bin"
    calls.touch()
    for folder in ("scripts", "requirements", "bin"):
        (tmp_path / folder).mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    (tmp_path / "requirements" / "base.txt").touch()
    for name, text in {
        "python3": PYTHON.format(ensurepip=ensurepip),
        "apt-get": APT.format(calls=calls),
        "id": "#!/bin/sh\necho 0\n",
        "uv": "#!/bin/sh\nexit 1\n",
    }.items():
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    environment = {"PATH": f"{commands}:{os.environ['PATH']}"}

    done = subprocess.run(
        [tmp_path / "scripts" / "setup"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert words in done.stderr
    assert installed in calls.read_text()
    assert bool(calls.read_text()) is bool(installed)
    assert not (tmp_path / ".venv").exists()
