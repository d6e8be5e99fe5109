"""The hook as one file, built once from its sources and kept.

Building it takes seconds (`capture/packing.py`), and whoever makes tickets or retries does so often.
"""

import hashlib
import logging
import os
from contextlib import suppress
from pathlib import Path

from jobprov.provenance import capture
from jobprov.provenance.capture.packing import packed, sources

_log = logging.getLogger("jobprov.hook")


def put_hook(target: Path, *, kept: Path | None = None) -> str:
    """Put the hook at a path, executable, and return its SHA-256.

    Args:
        target: where it goes; what is there is replaced at once.
        kept: folder for the built file; the user's cache folder by default.

    Raises:
        OSError: it cannot be written there. A folder for the built file that cannot be used only
            costs time.
    """
    content = built_hook(kept or _cache_folder())
    _write(target, content, 0o755)
    return hashlib.sha256(content).hexdigest()


def built_hook(kept: Path) -> bytes:
    """Return the hook from a folder; if it is not there, build it and try to keep it there."""
    name = _digest_of_sources()
    content = _read_kept(kept, name)
    if content is None:
        # Commands print it, services log it: nothing else would say why it takes so long
        _log.warning("The hook is built, once for this version of jobprov: it takes some seconds.")
        content = packed(sources())
        with suppress(OSError):
            _keep(kept, name, content)
    return content


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "jobprov" / "hooks"


def _digest_of_sources() -> str:
    digest = hashlib.sha256()
    folder = Path(capture.__path__[0])
    for file in sorted(folder.rglob("*.py")):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(folder)} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _read_kept(folder: Path, name: str) -> bytes | None:
    """Return a hook that was built before; None where there is none, or it is damaged."""
    for file in folder.glob(f"{name}-*.pyz"):
        with suppress(OSError):
            content = file.read_bytes()
            if file.stem == f"{name}-{hashlib.sha256(content).hexdigest()}":
                return content
    return None


def _keep(folder: Path, name: str, content: bytes) -> None:
    """Keep a built hook, in place of those of other sources."""
    folder.mkdir(parents=True, exist_ok=True)
    for earlier in folder.glob("*.pyz"):
        earlier.unlink(missing_ok=True)
    _write(folder / f"{name}-{hashlib.sha256(content).hexdigest()}.pyz", content, 0o644)


def _write(target: Path, content: bytes, mode: int) -> None:
    temporary = target.with_name(f"{target.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.chmod(mode)
    temporary.replace(target)
