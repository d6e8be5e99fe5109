"""The `jobprov` command, as a process of its own for each call; and which programs run.

Each command is forked from one process that has imported what commands and services import: to
import it anew takes a third of a second, a hundred times over, and of a service more than one.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from jobprov.app.cli import main
from tests.library.built_once import build_hook_once
from tests.library.templates_once import take_compiled_templates

JOBPROV = [sys.executable, "-m", "jobprov"]
_SECONDS = 120
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    [
        "alembic.command",
        "git",
        "jobprov.app.cli",
        "jobprov.app.commands.service.start",
        "jobprov.app.commands.terminal.asking",
        "jobprov.app.web",
        "jobprov.app.wiring",
        "jobprov.provenance.catalogs.sam",
        "jobprov.provenance.client",
        "jobprov.provenance.launchers.hook_file",
        "jobprov.provenance.services.background",
    ]
)


def clean_environment() -> dict[str, str]:
    """Return the environment without settings of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("JOBPROV_")}


def run_command(*words: str, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a jobprov command with no other environment than this one."""
    with tempfile.TemporaryDirectory() as folder:
        output = [Path(folder, name) for name in ("stdout", "stderr")]
        process = start_command(*words, environment=environment, output=output)
        process.join(_SECONDS)
        if process.is_alive():
            process.kill()
            raise subprocess.TimeoutExpired(words, _SECONDS)
        said, complaint = (file.read_text(encoding="utf-8") for file in output)
        return subprocess.CompletedProcess(words, process.exitcode or 0, said, complaint)


def start_command(
    *words: str, environment: Mapping[str, str], output: Sequence[Path]
) -> BaseProcess:
    """Start a jobprov command.

    Args:
        words: what follows `jobprov`.
        environment: all of it.
        output: the files to which it writes its standard output and its standard error.
    """
    process = _forks.Process(target=_run, args=(words, dict(environment), output))
    process.start()
    return process


def run_alone(*words: str, **environment: Any) -> "subprocess.CompletedProcess[str]":
    """Run a jobprov command without a service."""
    return run_command(*words, environment={**clean_environment(), **environment})


def _run(words: tuple[str, ...], environment: dict[str, str], output: Sequence[Path]) -> None:
    """Be the command: in the process that was forked for it."""
    for number, file in enumerate(output, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    take_compiled_templates()
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # it is where this environment says
    sys.argv = ["jobprov", *words]
    build_hook_once()
    main()


def running_commands(word: object) -> str:
    """The command lines of running processes that hold a word, one a line."""
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            lines.append(entry.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
    return "\n".join(line for line in lines if str(word) in line)


def all_end(word: object) -> bool:
    """Whether no process whose command line holds a word is left.

    A killed one takes a moment to vanish.
    """
    until = time.monotonic() + 30
    while running_commands(word):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True
