"""`jobprov retry --as-submitted`: the recorded submission again, for these units alone.

Unlike a retry from a bundle, it runs what the submission names as it is today. What the record
lacks of it is asked of HTCondor's history, where this machine has it.
"""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from jobprov.app.commands.orders.retry_submission import put_file, submissions_of
from jobprov.provenance.answers.orders import RecordedSubmission, Retry
from jobprov.provenance.client import Client
from jobprov.provenance.errors import BadInputError, UnreachableError
from jobprov.provenance.launchers.condor.ads import Ad
from jobprov.provenance.launchers.condor.recorded_submission import (
    Again,
    describe_again,
    has_secrets,
    missing_files,
    submission_of,
)
from jobprov.provenance.launchers.condor.tools import ads_of
from jobprov.provenance.launchers.jobsub import submit_again
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.services.orders.resubmission import repeat_of

SCRIPT = "as-submitted.sh"
_BATCH_ID = re.compile(r"(\d{1,12})\.(\d{1,9})@(.{1,250})")


class _Written(NamedTuple):
    """One job of the script: the command that submits it, and its submit file if it has one."""

    retry: Retry
    command: str
    submit_file: str | None = None


def write_as_submitted(
    client: Client, experiment: str, tries: Sequence[Retry], folder: Path
) -> None:
    """Write a script that submits the tries as their jobs were submitted, and its submit files.

    Raises:
        BadInputError: none of them can be submitted so; each was named with the reason.
    """
    recorded = submissions_of(client, experiment, [retry.job_id for retry in tries])
    submissions = {submission.job_id: submission for submission in recorded}
    written = []
    for retry in tries:
        try:
            written.append(_written(retry, submissions.get(retry.job_id), experiment))
        except BadInputError as problem:
            click.echo(f"not {retry.job_id}  {retry.unit}: {problem}", err=True)
    if not written:
        raise BadInputError("None of these jobs can be submitted as it was; see above.")
    folder.mkdir(parents=True, exist_ok=True)
    lines = [
        "#!/bin/sh",
        f"# Submits {counted(len(written), 'recorded job')} again as they were submitted.",
        'cd "$(dirname "$0")" || exit',
        "failed=0",
    ]
    for job in written:
        name = f"{job.retry.order.unit}".replace("\n", " ")
        lines += [f"# unit {name}, job {job.retry.job_id}", f"{job.command} || failed=1"]
        if job.submit_file is not None:
            put_file(folder / f"{job.retry.job_id}.sub", job.submit_file, 0o644)
    put_file(folder / SCRIPT, "\n".join([*lines, 'exit "$failed"', ""]), 0o755)
    click.echo(f"{counted(len(written), 'job')} in {folder}. Now: cd {folder} && ./{SCRIPT}")


def _written(retry: Retry, submission: RecordedSubmission | None, experiment: str) -> _Written:
    """Return what submits a job again.

    Raises:
        BadInputError: what is needed for it is not recorded, or not there any more.
    """
    variables = _variables(retry)
    if submission is None or (submission.batch_id is None and submission.command is None):
        raise BadInputError("its record names no batch job and no submission.")
    batch_id = _BATCH_ID.fullmatch(submission.batch_id or "")
    if submission.command is not None:
        process = int(batch_id.group(2)) if batch_id else None
        return _Written(retry, submit_again(submission.command, variables, process=process))
    ad = submission.ad
    if ad is None or has_secrets(ad):
        # HTCondor's own history has the secrets that no record keeps
        ad = _ad_of_history(submission.batch_id or "") or ad
    if ad is None:
        raise BadInputError(
            "its record holds neither a job ad nor a jobsub_submit, and the HTCondor of this "
            "machine does not know it: have `jobprov witness` or `--job-info` record submissions."
        )
    missing = missing_files(ad, lambda path: Path(path).exists())
    if missing:
        raise BadInputError(f"its submission needs {', '.join(missing[:5])}, not there any more.")
    again = Again(
        name=repeat_of(retry, experiment).order_id,
        variables=variables,
        memory_bytes=retry.memory_bytes,
        avoided_sites=tuple(retry.avoided_sites),
    )
    text = "\n".join([*describe_again(ad, again), ""])
    return _Written(retry, f"condor_submit {retry.job_id}.sub", text)


def _variables(retry: Retry) -> dict[str, str]:
    """Return the variables by which the hook knows whose try a job is."""
    order = retry.order
    variables = {
        "JOBPROV_TASK_ID": order.task_id,
        "JOBPROV_UNIT": order.unit,
        "JOBPROV_RETRY_OF": retry.job_id,
    }
    return {name: value for name, value in variables.items() if value}


def _ad_of_history(batch_id: str) -> Ad | None:
    """Return the ad of a job that HTCondor's history on this machine has; None where it has none."""
    parts = _BATCH_ID.fullmatch(batch_id)
    if parts is None or shutil.which("condor_history") is None:
        return None
    number = f"{parts.group(1)}.{parts.group(2)}"
    try:
        for ad in ads_of(["condor_history", "-json", "-match", "1", number]):
            if str(ad.get("GlobalJobId")).startswith(f"{parts.group(3)}#{number}#"):
                return submission_of(ad)
    except UnreachableError:
        return None
    return None
