"""A launched job's folder: what it needs, and `job.sh`, which starts its program.

`job.sh` also sets the job's environment. The folder is complete before it has its name, so that a
launcher that was killed leaves whole folders or none.
"""

import os
import re
import shlex
import shutil
from pathlib import Path

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.job import BatchJob

SCRIPT = "job.sh"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def make_folder(above: Path, job: BatchJob) -> Path:
    """Return the folder of a job, filled; one of this name that is there is taken as it is.

    Raises:
        BadInputError: the job has no plain name or no program, or an input is not there.
    """
    _check(job)
    folder = above / job.name
    if folder.is_dir():
        return folder
    above.mkdir(parents=True, exist_ok=True)
    part = above / f".{job.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(mode=0o700)  # a ticket may lie in it
    for source in job.inputs:
        _lend(source, part / source.name)
    for name, text in job.contents.items():
        (part / name).write_text(text, encoding="utf-8")
    (part / SCRIPT).write_text(_script(job), encoding="utf-8")
    part.rename(folder)
    return folder


def _check(job: BatchJob) -> None:
    if not job.argv or not _NAME.fullmatch(job.name):
        raise BadInputError(
            f"Job {job.name[:100]!r} cannot be launched: it needs a plain name and a program."
        )
    for name in job.environment:
        if not _VARIABLE.fullmatch(name):
            raise BadInputError(
                f"Job {job.name}: {name[:100]!r} is not a valid name of a variable."
            )
    for source in job.inputs:
        if not source.is_file():
            raise BadInputError(f"Job {job.name}: its input {source} is not there.")


def _lend(source: Path, target: Path) -> None:
    """Copy a file, as data of the job's own."""
    shutil.copyfile(source, target)
    if os.access(source, os.X_OK):
        target.chmod(0o755)


def _script(job: BatchJob) -> str:
    exports = []
    for name, value in sorted(job.environment.items()):
        exports.append(f"export {name}={shlex.quote(value)}")
    limits = ["ulimit -S -c 0"]
    if job.cpu_limit_seconds is not None:
        limits.append(
            f"ulimit -S -t {job.cpu_limit_seconds} && ulimit -H -t {job.cpu_limit_seconds + 5}"
        )
    return "\n".join(["#!/bin/sh", *exports, *limits, f"exec {shlex.join(job.argv)}", ""])
