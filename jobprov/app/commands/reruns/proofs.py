"""`jobprov prove`: reruns every new recipe soon and records whether it passed; for cron."""

import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from jobprov.app.commands.terminal.opening import emit, opens_service
from jobprov.provenance.lineage.words import counted
from jobprov.provenance.records.proofs import STATES
from jobprov.provenance.services.reruns.isolation import apart
from jobprov.provenance.services.reruns.proof_budgets import BudgetSection, read_budgets
from jobprov.provenance.services.reruns.proving import ProvedJob, prove
from jobprov.provenance.services.reruns.recorded_trials import TrialParts

if TYPE_CHECKING:
    from jobprov.app.wiring import Service


@click.command("prove")
@click.option("--jobs", type=click.IntRange(0), help="How many reruns of an experiment at most.")
@click.option("--seconds", type=click.FloatRange(0), help="Begin no rerun after so many seconds.")
@click.option(
    "--cpu-seconds", type=click.FloatRange(0), help="Begin no rerun after so many CPU seconds."
)
@click.option("--job-seconds", type=click.FloatRange(1), help="Stop a rerun after so many seconds.")
@click.option(
    "--disk", "disk_gib", type=click.FloatRange(0.001), help="Disk for one rerun, in GiB."
)
@click.option(
    "--memory", "memory_gib", type=click.FloatRange(0.001), help="Memory for one rerun, in GiB."
)
@click.option(
    "--processes", type=click.IntRange(10), help="Processes and threads of one rerun, at once."
)
@click.option(
    "--again-after",
    "again_after_days",
    type=click.FloatRange(0),
    help="Days until a recipe that is not proven has its next turn.",
)
@click.option(
    "--input-dir",
    "input_dirs",
    multiple=True,
    type=click.Path(exists=True, file_okay=False),
    help="Look for inputs here that are not in a bundle; may be given often.",
)
@click.option("--experiment", help="Recipes of this experiment alone.")
@opens_service
def run_prove(
    *,
    experiment: str | None,
    input_dirs: tuple[str, ...],
    service: "Service",
    as_json: bool,
    **budget: Any,
) -> None:
    """Rerun recipes that are not proven, within hours of their first job.

    What failed or differed comes first where something has come since, then what is new; of both,
    what most jobs share. The options stand over the budgets of JOBPROV_PROOF_BUDGETS.

    Exit code 0 where all passed, or nothing was due, or another `jobprov prove` is at work; 1 where
    one did not pass. What is run is the recorded jobs' own code, with your rights: use an account
    of its own.
    """
    given = BudgetSection(**budget, input_dirs=list(input_dirs) or None)
    budgets = read_budgets(service.settings.proof_budgets).over(given)
    report = _ignore if as_json else _report
    parts = TrialParts(
        service.database,
        service.writer,
        service.store,
        service.settings.data / "prove",
        apart(),
        service.readable_by_readers_of,
    )
    proved = prove(
        parts, budgets.by_experiment, budgets.standard, experiment=experiment, report=report
    )
    jobs_proved = proved or []
    answer = {"is_busy": proved is None, "jobs": [job._asdict() for job in jobs_proved]}
    emit(answer, _summary(proved), as_json=as_json)
    sys.exit(int(not all(job.is_proven for job in jobs_proved)))


def _ignore(_job: ProvedJob) -> None:
    """Print nothing of a job: the answer has all of them."""


def _report(job: ProvedJob) -> None:
    message = f": {job.message}" if job.message else ""
    click.echo(f"{job.job_id}  {job.state:<8} {job.level:<3} {job.seconds:.1f} s{message}")


def _summary(proved: list[ProvedJob] | None) -> str:
    if proved is None:
        return "Another `jobprov prove` is at work here; nothing was done."
    if not proved:
        return "Nothing is due."
    states = Counter(job.state for job in proved)
    counts = ", ".join(f"{states[state]} {state}" for state in STATES if states[state])
    return f"{counted(len(proved), 'recipe')} rerun: {counts}."


COMMANDS = {"prove": run_prove}
EXAMPLES = {
    "prove": ("jobprov prove --experiment toyexp --seconds 3600",),
}
