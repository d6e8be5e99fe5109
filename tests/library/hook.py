"""The hook file, called as a job script would under any Python of this machine, and its spool.

The spool holds what a call left in it.
"""

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from jobprov.provenance.capture.trace import strace as tracing
from tests.library.built_once import built_hook

VERSIONS = [f"3.{minor}" for minor in range(6, 14)]


def put_hook(target: Path) -> Path:
    """Put the hook there, as it is built from the sources of now; return where it lies."""
    target.write_bytes(built_hook())
    target.chmod(0o755)
    return target


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


def entry_of(runner: Runner) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return record and blobs of the one entry in the spool; each blob is what its digest says."""
    (entry,) = runner.entries()
    archive = zipfile.ZipFile(io.BytesIO(entry.read_bytes()))
    blobs = {
        name[6:]: archive.read(name) for name in archive.namelist() if name.startswith("blobs/")
    }
    assert all(hashlib.sha256(content).hexdigest() == digest for digest, content in blobs.items())
    return json.loads(archive.read("record.json")), blobs


def only_entry(runner: Runner) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the same of a job without a trace: the record names every blob."""
    record, blobs = entry_of(runner)
    text = json.dumps(record)
    assert all(digest in text for digest in blobs)
    return record, blobs


def said(record: dict[str, Any]) -> list[str]:
    """Return what the hook says of a record: its notes, and `kind name: detail` of weaknesses."""
    notes: list[str] = record.get("extra", {}).get("hook_notes", [])
    weak = record.get("weaknesses", ())
    return [*notes, *(f"{one['kind']} {one['name']}: {one['detail']}" for one in weak)]


def can_trace() -> bool:
    """Return whether strace is here, new enough, and may trace."""
    words = ["strace", *tracing._OPTIONS, "-o", "/dev/null", "--", "true"]
    return (
        bool(shutil.which("strace"))
        and subprocess.run(words, capture_output=True, check=False).returncode == 0
    )


with_strace = pytest.mark.skipif(
    not can_trace(), reason="NO STRACE THAT MAY TRACE HERE: nothing is traced"
)


def ups_dump() -> dict[str, str]:
    """Return the environment after `setup novasoft`, as UPS leaves it.

    Six variables for each of a hundred products.
    """
    found = {
        "PRODUCTS": (
            "/cvmfs/nova.opensciencegrid.org/externals"
            ":/cvmfs/fermilab.opensciencegrid.org/products/common/db"
        )
    }
    for number in range(100):
        name = (
            "art",
            "root",
            "cetlib",
            "jobsub_client",
            "ifdhc",
            "pythia8",
            "tbb",
            "token_tools",
            "keepup",
            "passenger",
        )[number % 10]
        name, version = f"{name}{number}", f"v{number % 7}_{number:02d}"
        prefix = f"/cvmfs/nova.opensciencegrid.org/externals/{name}/{version}"
        setup = (
            f"{name} {version} -f Linux64bit+3.10-2.17 -z "
            "/cvmfs/nova.opensciencegrid.org/externals -q e20:prof"
        )
        found[f"SETUP_{name.upper()}"] = setup
        found[f"{name.upper()}_DIR"] = prefix
        found[f"{name.upper()}_FQ_DIR"] = f"{prefix}/slf7.x86_64.e20.prof"
        found[f"{name.upper()}_INC"] = f"{prefix}/include"
        found[f"{name.upper()}_LIB"] = f"{prefix}/slf7.x86_64.e20.prof/lib"
        found[f"{name.upper()}_VERSION"] = version
    found["LD_LIBRARY_PATH"] = ":".join(
        value for name, value in found.items() if name.endswith("_LIB")
    )
    return found


HALTED = "the hook was halted for"  # what the hook says where a busy machine did that


def missed_nothing(processes: dict[str, Any]) -> bool:
    """Tell whether a record says so of its programs; a busy machine may halt the hook a moment."""
    why: str = processes.get("why_incomplete", "")
    return bool(processes["is_complete"]) or why.startswith(HALTED)
