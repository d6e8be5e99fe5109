"""`jobprov agent`: submit what is ordered, under the account that runs this.

The service itself has no credential.
"""

import time
from typing import Any

import click

from jobprov.app.commands.orders.launching import (
    AGAIN,
    LaunchingOptions,
    every,
    launching_options,
    runner_of,
    say_problems,
)
from jobprov.app.commands.terminal.asking import client_for
from jobprov.provenance.client import Client
from jobprov.provenance.errors import UnreachableError

_RETRY_SECONDS = 60


@click.command()
@click.option("--experiment", required=True, help="Whose orders.")
@click.option("--once", is_flag=True, help="One look, for cron.")
@click.option(
    "--retry-task",
    "tasks",
    multiple=True,
    help="Once a minute, order without asking what the policy of this task offers.",
)
@launching_options
def agent(
    *, experiment: str, once: bool, tasks: tuple[str, ...], url: str | None, **given: Any
) -> None:
    """Submit what is ordered of an experiment, and report to the service what became of it.

    Runs under the production account, on a submit node; the service never sees its credential.
    Killed and started again, it submits nothing twice.
    """
    client = client_for(url)
    options = LaunchingOptions(**given)
    is_follow_due = every(options.follow_interval)
    is_retry_due = every(_RETRY_SECONDS)
    with runner_of(client, experiment, options, None) as turn:
        while True:
            try:
                _advance_all(client, experiment, follow=is_follow_due())
                if tasks and is_retry_due():
                    _retry_all(client, experiment, tasks)
            except UnreachableError as problem:
                # Cron sees a failure only by the exit code; whoever stays looks again
                if once:
                    raise
                click.echo(f"{problem} {AGAIN}", err=True)
            turn()
            if once:
                return
            time.sleep(options.interval)


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
