"""The demo production, recorded once for all tests that need one: by a newcomer.

Somebody who has the repository, git and Python, and nothing else, types `./scripts/run --demo` in a
fresh clone: packages are installed, and real programs run under the built hook, over real HTTP.
That takes minutes, so what it left is copied. The folder in which it ran is gone, as a release is
after some years: nothing that reads a copy finds a file where a record says it lay.

All tests that use it are of the `xdist_group` "demo", so that one process records it.
"""

import atexit
import functools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from jobprov.app.config import load_settings
from jobprov.app.wiring import open_service
from jobprov.provenance.services.background import HANDLERS
from jobprov.provenance.services.work.queue import Parts, drain

ROOT = Path(__file__).parents[3]
_KEPT_VARIABLES = ("PATH", "LANG", "SSL_CERT_FILE", "PYENV_ROOT")
_SECONDS = 1200
_STOPPING_SECONDS = 60


class Newcomer(NamedTuple):
    """Somebody in a fresh clone, with an empty HOME."""

    clone: Path
    environment: Mapping[str, str]

    @contextmanager
    def running(self, *words: str, until: str) -> Iterator[str]:
        """Run `./scripts/run` with some words, and stop it in the end.

        Yield all that it said, once it named its address and said the words in `until`.
        """
        log = self.clone.parent / "run.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["./scripts/run", *words],
                cwd=self.clone,
                env=self.environment,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        try:
            yield _said(process, log, until)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(_STOPPING_SECONDS)


class RecordedDemo(NamedTuple):
    """A production that was recorded.

    Attributes:
        newcomer: who recorded it.
        ran_in: the service's folder, in which it ran, which is gone.
        kept: where that folder lies now; not to be changed.
    """

    newcomer: Newcomer
    ran_in: Path
    kept: Path

    @property
    def python(self) -> Path:
        """The Python that its jobs ran with."""
        return self.newcomer.clone / ".venv" / "bin" / "python"

    def copy_to(self, data: Path) -> None:
        """Copy the service's folder, with database, archive and code mirror, to a new place."""
        shutil.copytree(self.kept, data)


@functools.cache
def recorded_demo() -> RecordedDemo:
    """Return the production; the first call has it recorded.

    Raises:
        AssertionError: `./scripts/run --demo` did not get there, or left a record out.
    """
    # on disk: the hook passes over files in memory, as jobs keep none there
    root = Path(tempfile.mkdtemp(prefix="jobprov-recorded-demo-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    clone, home, kept = root / "jobprov", root / "home", root / "kept"
    home.mkdir()
    _clone_with_changes(clone)
    newcomer = Newcomer(clone, _environment_with(home))
    with newcomer.running("--demo", "--port", "0", until="What to try next") as said:
        assert "did not arrive" not in said, said
    data = clone / "var"
    _work_off(data)
    data.rename(kept)
    return RecordedDemo(newcomer, data, kept)


def _clone_with_changes(clone: Path) -> None:
    """Clone the repository, and bring along what is changed in it and not committed yet."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    changed = _names("diff", "--name-only", "--no-renames", "-z", "HEAD")
    for name in changed + _names("ls-files", "--others", "--exclude-standard", "-z"):
        (clone / name).unlink(missing_ok=True)
        if os.path.lexists(ROOT / name):
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name, follow_symlinks=False)


def _names(*words: str) -> list[str]:
    told = subprocess.run(["git", *words], cwd=ROOT, check=True, capture_output=True, text=True)
    return [name for name in told.stdout.split("\0") if name]


def _environment_with(home: Path) -> dict[str, str]:
    """Return the environment of somebody new.

    HOME is empty, and the machine's way to its package registry is in it.
    """
    reach = {
        key: value
        for key, value in os.environ.items()
        if key in _KEPT_VARIABLES or key.startswith("PIP_") or key.endswith("_CA_BUNDLE")
    }
    return {**reach, "HOME": str(home)}


def _said(process: "subprocess.Popen[bytes]", log: Path, until: str) -> str:
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        text = log.read_text(errors="replace")
        if until in text and find_address(text):
            return text
        if process.poll() is not None:
            break
        time.sleep(0.2)
    raise AssertionError(
        f"`./scripts/run --demo` did not get there: {log.read_text(errors='replace')[-3000:]}"
    )


def find_address(said: str) -> str | None:
    """Return the address at which a service says that it serves, or None."""
    found = re.search(r"http://127\.0\.0\.1:\d+", said)
    return found and found.group(0)


def _work_off(data: Path) -> None:
    """Do what the service had still to do when it was stopped."""
    service = open_service(load_settings({"JOBPROV_DATA": str(data)}, {}))
    drain(Parts(service.database, service.writer, service.store, data / "git"), HANDLERS)
    service.close()
