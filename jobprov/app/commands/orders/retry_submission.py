"""What `jobprov retry` does before anything is submitted, and the files that submit by hand.

Inputs that bundles lack are looked for from here first: a job whose input is gone is named, and not
submitted.

`--as-submitted` writes the recorded submission again, for these units alone. Unlike a retry from a
bundle, it runs what the submission names as it is today. What the record lacks of it is asked of
HTCondor's history, where this machine has it.
"""

import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click
import msgspec

from jobprov.app.commands.terminal.opening import settings_with
from jobprov.provenance.answers.orders.orders import (
    FailedJob,
    OutsideInput,
    OutsideInputs,
    RecordedSubmission,
    Retry,
    RetryChoice,
    SkippedJob,
)
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
from jobprov.provenance.launchers.hook_file import put_hook
from jobprov.provenance.launchers.jobsub import submit_again
from jobprov.provenance.launchers.resubmitting import (
    HOOK,
    JOBSUB_FILE,
    PLACES,
    SCRIPT,
    SUBMIT_FILE,
    TICKET,
    Destination,
    FileCommands,
    KnownPlace,
    places_table,
    returned_places,
)
from jobprov.provenance.launchers.scripts import retry_script
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.services.agents.input_search import InputSearch, Look
from jobprov.provenance.services.orders.resubmission import repeat_of, resubmission
from jobprov.provenance.services.orders.retry_choice import SUBMISSION_ALONE

JOBS_AT_ONCE = 80
"""Ids of jobs in one address."""
_AS_SUBMITTED = "as-submitted.sh"
_BATCH_ID = re.compile(r"(\d{1,12})\.(\d{1,9})@(.{1,250})")


class Checked(NamedTuple):
    """What would be tried again, with what was seen of the inputs that bundles lack.

    Attributes:
        choice: the tries whose inputs can be reached; the others are skipped, with the reason.
        looks: by job of the bundle.
        problem: why the catalog does not know where (all of) the inputs are.
    """

    choice: RetryChoice
    looks: dict[str, list[Look]]
    problem: str | None = None


def check_inputs(
    client: Client, choice: RetryChoice, experiment: str, input_dirs: Sequence[Path]
) -> Checked:
    """Return a choice without the tries that cannot be run.

    A try cannot be run if its inputs are out of reach from here, or if only its submission is
    known.
    """
    choice = _without_bare_submissions(choice)
    bundles: dict[str, None] = {}
    for retry in choice.tries:
        bundles.update(dict.fromkeys(file.job_id for file in retry.outside_inputs))
    if not bundles:
        return Checked(choice, {})
    located = _located(client, experiment, list(bundles))
    search = InputSearch(input_dirs, settings_with(url=client.url).fetch_command)
    looks: dict[str, list[Look]] = {}
    for file in located.inputs:
        looks.setdefault(file.job_id, []).append(search.look_for(file))
    tries: list[Retry] = []
    skipped = list(choice.skipped)
    for retry in choice.tries:
        of_bundle = looks.get(retry.order.bundle_of or "", [])
        missing = [look.sentence() for look in of_bundle if look.is_unreachable]
        if missing:
            skipped.append(_skipped(retry, f"out of reach: {' | '.join(missing)}"))
        else:
            tries.append(retry)
    checked = msgspec.structs.replace(choice, tries=tries, skipped=skipped)
    return Checked(checked, looks, located.problem)


def _without_bare_submissions(choice: RetryChoice) -> RetryChoice:
    """Return the choice; tries that are known by their submission alone are skipped."""
    tries, skipped = [], list(choice.skipped)
    for retry in choice.tries:
        if retry.made_from == "submission":
            skipped.append(_skipped(retry, SUBMISSION_ALONE))
        else:
            tries.append(retry)
    return msgspec.structs.replace(choice, tries=tries, skipped=skipped)


def in_parts(job_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield ids of jobs, as many at a time as one address holds."""
    for start in range(0, len(job_ids), JOBS_AT_ONCE):
        yield job_ids[start : start + JOBS_AT_ONCE]


def submissions_of(
    client: Client, experiment: str, jobs: Sequence[str]
) -> list[RecordedSubmission]:
    """Return how jobs were submitted; many jobs are asked about in parts."""
    submissions: list[RecordedSubmission] = []
    for part in in_parts(jobs):
        submissions += client.submissions(experiment, part)
    return submissions


def _located(client: Client, experiment: str, jobs: Sequence[str]) -> OutsideInputs:
    """Return the inputs that bundles lack; many jobs are asked about in parts."""
    inputs: list[OutsideInput] = []
    problem = None
    for part in in_parts(jobs):
        answer = client.outside_inputs(experiment, part)
        inputs += answer.inputs
        problem = problem or answer.problem
    return OutsideInputs(inputs, problem)


def _skipped(retry: Retry, reason: str) -> SkippedJob:
    fields = {name: getattr(retry, name) for name in FailedJob.__struct_fields__}
    return SkippedJob(**fields, reason=reason)


class HandSubmission:
    """The files of a folder from which retries are submitted by hand.

    Attributes:
        checked: the tries, and where their inputs were seen.
        output_dir: for outputs whose own stage-out nobody recorded; None for HTCondor's folders.
    """

    def __init__(
        self, client: Client, experiment: str, checked: Checked, output_dir: str | None
    ) -> None:
        self.client, self.experiment = client, experiment
        self.checked, self.output_dir = checked, output_dir

    def write(self, form: str, folder: Path | None) -> None:
        """Write what submits the tries by hand, with all that it needs beside it."""
        if folder is None:
            raise click.UsageError("Where to? Give a folder with -o.")
        tries = self.checked.choice.tries
        if not tries:
            raise BadInputError(
                "There is nothing to retry; without --format, the command shows why."
            )
        folder.mkdir(parents=True, exist_ok=True)
        put_hook(folder / HOOK)
        put_file(folder / SCRIPT, retry_script(), 0o755)
        put_file(folder / PLACES, self._places(), 0o644)
        has_token = bool(settings_with(url=self.client.url).token)
        if has_token:
            self._write_ticket(folder, tries)
        text = self._text(form, with_ticket=has_token)
        if form == "condor":
            self._save_bundles(folder, tries)
            put_file(folder / SUBMIT_FILE, text, 0o644)
            command = f"condor_submit {SUBMIT_FILE}"
        else:
            # Jobs of jobsub fetch their bundles themselves
            put_file(folder / JOBSUB_FILE, text, 0o755)
            command = f"./{JOBSUB_FILE}" + ("" if self.output_dir else " OUTPUT_DIR")
        click.echo(f"{counted(len(tries), 'job')} in {folder}. Now: cd {folder} && {command}")

    def _text(self, form: str, *, with_ticket: bool) -> str:
        settings = settings_with(url=self.client.url)
        commands = FileCommands(settings.fetch_command, settings.store_command)
        destination = Destination(self.experiment, self.client.url, self.output_dir, commands)
        repeats = []
        for retry in self.checked.choice.tries:
            repeat = repeat_of(retry, self.experiment)
            if form == "condor":
                repeat = repeat._replace(delivered=self._delivered(retry))
            repeats.append(repeat)
        return resubmission(repeats, form, destination, with_ticket=with_ticket)

    def _looks(self, retry: Retry) -> list[Look]:
        return self.checked.looks.get(retry.order.bundle_of or "", [])

    def _delivered(self, retry: Retry) -> tuple[str, ...]:
        """Return the files that go with a job: those in the folders that were named by hand.

        Files at their recorded places are there for the worker node, too.
        """
        delivered = []
        for look in self._looks(retry):
            is_known = look.found in look.input.places
            if look.found and look.found.startswith("/") and not is_known:
                delivered.append(look.found)
        return tuple(delivered)

    def _places(self) -> str:
        places: list[KnownPlace] = []
        jobs: dict[str, None] = {}
        for retry in self.checked.choice.tries:
            jobs[retry.order.bundle_of or retry.job_id] = None
            for look in self._looks(retry):
                named = [look.found] if look.found else []
                for place in dict.fromkeys([*named, *look.input.places]):
                    places.append(KnownPlace(look.input.job_id, "input", look.input.name, place))
        for submission in submissions_of(self.client, self.experiment, list(jobs)):
            places += returned_places(submission.job_id, submission.ad or {})
        return places_table(places)

    def _save_bundles(self, folder: Path, tries: Sequence[Retry]) -> None:
        for job_id in dict.fromkeys(repeat_of(retry, self.experiment).job_id for retry in tries):
            self.client.save_bundle(job_id, folder / f"{job_id}.tar", experiment=self.experiment)

    def _write_ticket(self, folder: Path, tries: Sequence[Retry]) -> None:
        tasks = sorted({retry.order.task_id for retry in tries})
        if len(tasks) > 1:
            raise BadInputError(
                f"A ticket is for one task, and these jobs are of {', '.join(tasks[:5])}: write "
                "one folder a task."
            )
        ticket = self.client.issue_ticket(tasks[0], self.experiment).ticket
        put_file(folder / TICKET, ticket + "\n", 0o600)


def put_file(file: Path, text: str, mode: int) -> None:
    """Write a file that has its mode from the first byte on."""
    # Before anything is in it: nobody else may read a ticket, not even for a moment
    file.touch(mode=mode)
    file.write_text(text, encoding="utf-8")
    file.chmod(mode)


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
    put_file(folder / _AS_SUBMITTED, "\n".join([*lines, 'exit "$failed"', ""]), 0o755)
    click.echo(f"{counted(len(written), 'job')} in {folder}. Now: cd {folder} && ./{_AS_SUBMITTED}")


def _written(retry: Retry, submission: RecordedSubmission | None, experiment: str) -> _Written:
    """Return what submits a job again.

    Raises:
        BadInputError: what is needed for it is not recorded, or not there any more.
    """
    if submission is None or (submission.batch_id is None and submission.command is None):
        raise BadInputError("its record names no batch job and no submission.")
    if submission.command is not None:
        batch_id = _BATCH_ID.fullmatch(submission.batch_id or "")
        process = int(batch_id.group(2)) if batch_id else None
        command = submit_again(
            submission.command, _variables(retry), process=process, section=submission.section
        )
        return _Written(retry, command)
    ad = _ad_of(submission)
    missing = missing_files(ad, lambda path: Path(path).exists())
    if missing:
        raise BadInputError(f"its submission needs {', '.join(missing[:5])}, not there any more.")
    again = Again(
        name=repeat_of(retry, experiment).order_id,
        variables=_variables(retry),
        memory_bytes=retry.memory_bytes,
        avoided_sites=tuple(retry.avoided_sites),
    )
    text = "\n".join([*describe_again(ad, again), ""])
    return _Written(retry, f"condor_submit {retry.job_id}.sub", text)


def _ad_of(submission: RecordedSubmission) -> Ad:
    """Return the ad of a job as it was submitted.

    Raises:
        BadInputError: neither its record nor HTCondor has it.
    """
    ad = submission.ad
    if ad is None or has_secrets(ad):
        # HTCondor's own history has the secrets that no record keeps
        ad = _ad_of_history(submission.batch_id or "") or ad
    if ad is None:
        raise BadInputError(
            "its record holds neither a job ad nor a jobsub_submit, and the HTCondor of this "
            "machine does not know it: have `jobprov witness` or `--job-info` record submissions."
        )
    return ad


def _variables(retry: Retry) -> dict[str, str]:
    """Return the variables by which the hook knows the unit that a job tries again."""
    order = retry.order
    variables = {
        "JOBPROV_TASK_ID": order.task_id,
        "JOBPROV_UNIT": order.unit,
        "JOBPROV_RETRY_OF": order.retry_of,
    }
    return {name: value for name, value in variables.items() if value}


def _ad_of_history(batch_id: str) -> Ad | None:
    """Return a job's ad from HTCondor's history on this machine; None where it has none."""
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
