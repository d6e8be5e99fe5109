"""A certified provider of OpenID Connect, `oidc-provider` of npm, on a free port of loopback.

Its packages are those of `oidc/package-lock.json`, with their checksums. They are fetched once, into
a folder that git ignores.
"""

import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

_SOURCE = Path(__file__).parent / "oidc"
_KEPT = Path(__file__).parents[2] / "output"
_FETCH_SECONDS = 120


@contextmanager
def certified_provider(
    issuer: str, client_id: str, secret: str, come_back: str, groups: Mapping[str, list[str]]
) -> Iterator[None]:
    """Have a provider listen at an address until the end.

    Args:
        issuer: the address.
        client_id: what it knows the service as.
        secret: of the service.
        come_back: the address that it sends people back to.
        groups: of people, by the name that they log in with; anybody can, with any password.
    """
    folder = _with_packages()
    words = [
        "node",
        str(folder / "provider.mjs"),
        issuer,
        client_id,
        secret,
        come_back,
        json.dumps(groups),
    ]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=folder
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "listening\n"
        yield
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def free_address() -> str:
    """Return an address of loopback at which nothing listens."""
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{one.getsockname()[1]}"


def _with_packages() -> Path:
    """Return a folder with the provider and its packages, or skip, loudly."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            pytest.skip(f"NO {program}: the login is not tried with a certified provider")
    digest = hashlib.sha256()
    for file in sorted(_SOURCE.iterdir()):
        digest.update(file.read_bytes())
    folder = _KEPT / f"oidc-provider-{digest.hexdigest()[:16]}"
    if not folder.is_dir():
        _KEPT.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_KEPT) as draft:
            _fetch(Path(draft))
            if not folder.is_dir():  # another process may have been faster
                shutil.copytree(draft, folder, dirs_exist_ok=True)
    return folder


def _fetch(draft: Path) -> None:
    shutil.copytree(_SOURCE, draft, dirs_exist_ok=True)
    words = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            words,
            cwd=draft,
            capture_output=True,
            text=True,
            timeout=_FETCH_SECONDS,
            check=False,
            env={**os.environ, "npm_config_update_notifier": "false"},
        )
    except subprocess.TimeoutExpired:
        pytest.skip("NO REGISTRY of npm: the login is not tried with a certified provider")
    if done.returncode:
        pytest.skip(f"NO PACKAGES of npm, the login is not tried: {done.stderr[-300:]}")
