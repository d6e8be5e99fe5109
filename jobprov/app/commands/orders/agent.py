"""`jobprov agent`: submit what is ordered, under the account that runs this.

The service itself has no credential.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from jobprov.app.commands.orders.launching import (
    AGAIN,
    LaunchingOptions,
    every,
    folder_of,
    launching_options,
    runner_of,
    say_problems,
)
from jobprov.app.commands.terminal.asking import client_for
from jobprov.app.commands.terminal.opening import settings_with
from jobprov.provenance.client import Client
from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.services.agents.idle_proofs import IdleProver
from jobprov.provenance.services.agents.submission import Turn
from jobprov.provenance.services.reruns.isolation import apart
from jobprov.provenance.services.reruns.proof_budgets import read_budgets

_RETRY_SECONDS = 60


@click.command()
@click.option("--experiment", required=True, help="The experiment whose orders are submitted.")
@click.option("--once", is_flag=True, help="Look once and end, for cron.")
@click.option(
    "--retry-task",
    "tasks",
    multiple=True,
    help="Once a minute, order without asking what the policy of this task offers.",
)
@click.option(
    "--prove",
    is_flag=True,
    help="Prove recipes here while there is nothing else to do, as `jobprov prove` does.",
)
@launching_options
def agent(
    *,
    experiment: str,
    once: bool,
    tasks: tuple[str, ...],
    prove: bool,
    url: str | None,
    **given: Any,
) -> None:
    """Submit the jobs that are ordered for an experiment, and report what became of them.

    Runs under the production account, on a submit node; the service never sees its credential.
    Killed and started again, it submits nothing twice.

    With --prove, an order that comes ends the rerun that is going on. The budgets of
    JOBPROV_PROOF_BUDGETS hold for an hour.
    """
    client = client_for(url)
    options = LaunchingOptions(**given)
    prover = _prover(experiment, options, url) if prove else None
    is_follow_due = every(options.follow_interval)
    is_retry_due = every(_RETRY_SECONDS)
    with runner_of(client, experiment, options, None) as turn, _ending(prover):
        while True:
            try:
                _advance_all(client, experiment, follow=is_follow_due())
                if tasks and is_retry_due():
                    _retry_all(client, experiment, tasks)
            except UnreachableError as problem:
                # Cron sees a failure only by the exit code; an agent that stays tries again
                if once:
                    raise
                click.echo(f"{problem} {AGAIN}", err=True)
            done = turn()
            _use_idle_time(prover, done, once=once)
            if once:
                return
            time.sleep(options.interval)


@contextmanager
def _ending(prover: IdleProver | None) -> Iterator[None]:
    """End a rerun that is going on when the agent ends."""
    try:
        yield
    finally:
        if prover is not None:
            prover.stop()


def _use_idle_time(prover: IdleProver | None, done: Turn | None, *, once: bool) -> None:
    """Prove recipes if a turn found nothing to do, and no order that waits."""
    if prover is None:
        return
    is_idle = done is not None and done.is_idle
    if not once:
        prover.look(is_idle=is_idle)
    elif is_idle:
        prover.prove()


def _prover(experiment: str, options: LaunchingOptions, url: str | None) -> IdleProver:
    """Return what proves recipes of an experiment beside the agent, below its folder."""
    budgets = read_budgets(settings_with().proof_budgets)
    return IdleProver(
        client_for(url),
        experiment,
        folder_of(options) / "proofs",
        budgets.by_experiment.get(experiment, budgets.standard),
        apart(),
        report=lambda line: click.echo(line, err=True),
    )


def _advance_all(client: Client, experiment: str, *, follow: bool) -> None:
    """Have the next step of each running workflow taken."""
    for workflow in client.workflows(experiment=experiment):
        if workflow.state == "running":
            standing = client.advance_workflow(
                workflow.name, experiment=experiment, version=workflow.version, follow=follow
            )
            say_problems(standing)


def _retry_all(client: Client, experiment: str, tasks: tuple[str, ...]) -> None:
    """Order what the policies of tasks offer."""
    for task in tasks:
        request = {
            "experiment": experiment,
            "task_id": task,
            "who": "jobprov agent",
            "why": "the policy of its stage",
        }
        tries = client.order_retries(request).tries
        if tries:
            click.echo(f"{len(tries)} of task {task} ordered again by its policy", err=True)


COMMANDS = {"agent": agent}
EXAMPLES = {
    "agent": ("jobprov agent --experiment toyexp --launcher condor --witness",),
}
