"""Background work that evaluates configurations: its kind and its keys."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from jobprov.provenance.services.work.queue import enqueue_all

EVALUATE = "evaluate"
EVALUATED_AT_ONCE = 8
"""Items. Small configurations, such as those of jobs with seeds of their own, take two thirds of
what they take one by one; large ones some seconds each, and an ending service waits for these.
"""
Configuration = tuple[str, str]
"""Experiment and digest of a closure."""


def enqueue_evaluations(
    connection: Connection, experiments: Mapping[str, int], wanted: Iterable[Configuration]
) -> None:
    """Queue these configurations, which can be evaluated now.

    `experiments` are integer keys by name.
    """
    keys = [evaluation_key(experiments[name], sha256) for name, sha256 in sorted(set(wanted))]
    enqueue_all(connection, EVALUATE, keys)


def evaluation_key(experiment: int, closure_sha256: str) -> str:
    """Return the key of the work item that evaluates a configuration for an experiment."""
    return f"{experiment}:{closure_sha256}"
