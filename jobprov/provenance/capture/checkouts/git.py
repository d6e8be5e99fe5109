"""Git, asked without trusting the checkout.

Hooks, monitors, external diffs and pagers are off, nothing is fetched.
"""

import os
import subprocess
from typing import Dict, List, Optional

_SETTINGS = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.untrackedCache=keep",
    "gc.auto=0",
    "core.quotePath=false",
    "submodule.recurse=false",
    "diff.external=",
    "maintenance.auto=false",
)
_VARIABLES = {
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_PAGER": "cat",
    "GIT_NO_LAZY_FETCH": "1",
}
_SECONDS = 20


class GitError(Exception):
    """A git command failed; carries its last line."""


def git(
    top: str, *words: str, environment: Optional[Dict[str, str]] = None, content: bytes = b""
) -> bytes:
    """Return a git command's output bytes; raises GitError.

    `environment` adds variables, `content` is its stdin.
    """
    process = subprocess.Popen(
        ["git", *_options(top), "-C", top, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=_environment(environment or {}),
    )
    try:
        out, err = process.communicate(content, timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise GitError("git {} took more than {} s".format(words[0], _SECONDS)) from None
    if process.returncode:
        lines = err.decode("utf-8", "replace").strip().splitlines()
        reason = lines[-1] if lines else "exit code {}".format(process.returncode)
        raise GitError("git {}: {}".format(words[0], reason))
    return out


def text(top: str, *words: str) -> Optional[str]:
    """Return a git command's output as text, or None where it fails or prints nothing."""
    try:
        return git(top, *words).decode("utf-8", "surrogateescape").strip() or None
    except GitError:
        return None


def _options(top: str) -> List[str]:
    options = []
    for setting in (*_SETTINGS, "safe.directory=" + top):
        options += ["-c", setting]
    return options


def _environment(further: Dict[str, str]) -> Dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment.update(_VARIABLES)
    environment.update(further)
    return environment
