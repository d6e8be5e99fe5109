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
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

_SOURCE = Path(__file__).parent / "oidc"
_KEPT = Path(__file__).parents[2] / "output"
_FETCH_SECONDS = 120
_START_SECONDS = 60
_LOGOUT = "logout: "


@contextmanager
def certified_provider(
    issuer: str,
    client_id: str,
    secret: str,
    come_back: str,
    groups: Mapping[str, list[str]],
    *,
    names_sessions: bool = True,
) -> Iterator[Callable[[], list[str]]]:
    """Have a provider listen at an address until the end.

    Yields a function that returns how each logout that it sent was answered: `told`, or why not.

    Args:
        issuer: the address.
        client_id: what it knows the service as.
        secret: of the service.
        come_back: the address that it sends people back to.
        groups: of people, by the name that they log in with; anybody can, with any password.
        names_sessions: whether its tokens name its session, in `sid`.
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
        json.dumps(names_sessions),
    ]
    with tempfile.NamedTemporaryFile() as output:
        process = subprocess.Popen(words, stdout=output, stderr=subprocess.DEVNULL, cwd=folder)

        def printed() -> list[str]:
            return Path(output.name).read_text(encoding="utf-8").splitlines()

        try:
            _wait_for_line(printed, process)
            yield lambda: [line[len(_LOGOUT) :] for line in printed() if line.startswith(_LOGOUT)]
        finally:
            process.kill()
            process.wait()


def _wait_for_line(printed: Callable[[], list[str]], process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _START_SECONDS
    while "listening" not in printed():
        assert process.poll() is None, f"the provider ended: {printed()}"
        assert time.monotonic() < until, f"the provider does not start: {printed()}"
        time.sleep(0.02)


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
