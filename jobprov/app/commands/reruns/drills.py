"""`jobprov drill`: runs recorded jobs again and records how that compares; for cron."""

import sys
from contextlib import nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from jobprov.app.commands.terminal.opening import emit, opens_service, option_with_default
from jobprov.app.commands.terminal.progress import shown_progress
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.records.verdicts import LEVELS, REPRODUCED
from jobprov.provenance.services.reruns.drills import DrillLimits, drill
from jobprov.provenance.services.reruns.isolation import apart
from jobprov.provenance.services.reruns.recorded_trials import TrialParts, TriedJob

if TYPE_CHECKING:
    from jobprov.app.wiring import Service

_GIB = 1024**3


@click.command("drill")
@option_with_default("--jobs", click.IntRange(1, 1_000_000), 10, "How many reruns at most.")
@option_with_default(
    "--seconds", click.FloatRange(0), 3600, "Begin no rerun after so many seconds."
)
@option_with_default(
    "--job-seconds", click.FloatRange(1), 600, "Stop a rerun after so many seconds."
)
@option_with_default("--disk", click.FloatRange(0.001), 10, "Disk for one rerun, in GiB.")
@option_with_default("--again-after", click.FloatRange(0), 1, "Days until a recipe's next turn.")
@click.option("--network", is_flag=True, help="Let reruns use the network.")
@click.option("--experiment", help="Jobs of this experiment alone.")
@opens_service
def run_drill(
    *, jobs: int, seconds: float, job_seconds: float, disk: float, again_after: float,
    network: bool, experiment: str | None, service: "Service", as_json: bool,
) -> None:  # fmt: skip
    """Run jobs again from their bundles, compare, and record the verdicts.

    Least recently drilled recipes first.

    Exit code 0 where all were reproduced, or nothing was due, or another drill is at work; 1 where
    one was not. What is run is the recorded jobs' own code, with your rights: use an account of its
    own.
    """
    isolation = apart(network=network)
    if not network and not isolation.is_offline:
        click.echo(
            "The kernel allows no namespace here: reruns have this machine's network.", err=True
        )
    limits = DrillLimits(jobs, seconds, job_seconds, int(disk * _GIB), timedelta(days=again_after))
    report = _ignore if as_json else _report
    parts = TrialParts(
        service.database,
        service.writer,
        service.store,
        service.settings.data / "drill",
        isolation,
        service.readable_by_readers_of,
    )
    # without JSON, a line of each job tells how far it is
    with shown_progress(as_json=True) if as_json else nullcontext():
        drilled = drill(parts, limits, experiment=experiment, report=report)
    jobs_drilled = drilled or []
    answer = {"is_busy": drilled is None, "jobs": [job._asdict() for job in jobs_drilled]}
    emit(answer, _summary(drilled), as_json=as_json)
    sys.exit(int(not all(job.level in REPRODUCED for job in jobs_drilled)))


def _ignore(_job: TriedJob) -> None:
    """Print nothing of a job: the answer has all of them."""


def _report(job: TriedJob) -> None:
    meaning = LEVELS.get(job.level or "", "no verdict")
    line = f"{job.job_id}  {job.level or '-':<3} {meaning}, {job.seconds:.1f} s"
    if job.reason:
        line += f": {job.reason}"
    click.echo(line)


def _summary(drilled: list[TriedJob] | None) -> str:
    if drilled is None:
        return "Another drill is at work here; nothing was done."
    if not drilled:
        return "Nothing is due."
    reproduced = sum(job.level in REPRODUCED for job in drilled)
    return f"{reproduced} of {counted(len(drilled), 'job')} reproduced."


COMMANDS = {"drill": run_drill}
EXAMPLES = {
    "drill": ("jobprov drill --jobs 20 --seconds 3600",),
}
