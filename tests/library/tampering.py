"""Ways to spoil an archive on disk, as disks, operators and crashes do."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def overwrite(path: Path, data: bytes) -> None:
    """Put other bytes under a name; archive files are read-only, so the old one goes first."""
    path.unlink()
    path.write_bytes(data)


def flip_bit(path: Path, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    overwrite(path, bytes(data))


def stored_files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.is_file() and path.suffix != ".lock")


def run_python(program: str, *arguments: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)], env=environment, text=True
    )


CRASHING = """
import os, sys
from pathlib import Path
from jobprov.archive.backends.local import LocalStore

store, left = LocalStore(Path(sys.argv[1])), int(sys.argv[2])

def crashing(call):
    def crash_or_call(*args, **kwargs):
        global left
        if left == 0:
            os._exit(9)
        left -= 1
        return call(*args, **kwargs)
    return crash_or_call

for name in ("write", "pwrite", "fsync", "link", "replace", "unlink", "mkdir", "ftruncate"):
    setattr(os, name, crashing(getattr(os, name)))
exec(sys.argv[3])
"""


def crash_at_every_step(make_root: Iterator[Path], action: str) -> Iterator[Path]:
    """Archives in which a process died at each step of an action.

    It died before the first, second, ... change that the action makes to the disk.
    """
    for step, root in enumerate(make_root):
        status = run_python(CRASHING, root, step, action).wait()
        assert status in {0, 9}
        yield root
        if status == 0:
            return
