"""Git, asked without trusting the checkout.

Hooks, monitors, external diffs and pagers are off, nothing is fetched.
"""

import os
import subprocess

_OPTIONS = [
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.untrackedCache=keep",
    "-c",
    "gc.auto=0",
    "-c",
    "core.quotePath=false",
    "-c",
    "submodule.recurse=false",
    "-c",
    "diff.external=",
    "-c",
    "maintenance.auto=false",
]
_SECONDS = 20


class GitError(Exception):
    """A git command failed; carries its last line."""


def git(top, *words, **more):
    """Return a git command's output bytes; raises GitError.

    `environment` adds variables, `content` is its stdin.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment.update(
        {
            "GIT_OPTIONAL_LOCKS": "0",
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_PAGER": "cat",
            "GIT_NO_LAZY_FETCH": "1",
        }
    )
    environment.update(more.get("environment", {}))
    safe = ["-c", "safe.directory=" + top]
    process = subprocess.Popen(
        ["git", *_OPTIONS, *safe, "-C", top, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    try:
        out, err = process.communicate(more.get("content", b""), timeout=_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise GitError("git {} took more than {} s".format(words[0], _SECONDS)) from None
    if process.returncode:
        lines = err.decode("utf-8", "replace").strip().splitlines()
        raise GitError(
            "git {}: {}".format(
                words[0], lines[-1] if lines else "exit code {}".format(process.returncode)
            )
        )
    return out


def text(top, *words):
    """Return a git command's output as text, or None where it fails or says nothing."""
    try:
        return git(top, *words).decode("utf-8", "surrogateescape").strip() or None
    except GitError:
        return None
