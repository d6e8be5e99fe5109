"""Names in a question that nothing recorded has: the reason for an empty answer."""

from collections.abc import Mapping

from sqlalchemy import Connection

from jobprov.provenance.db.queries.search.recorded_names import NameFilters
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.services.experiments import find_experiment
from jobprov.provenance.services.search.near_names import nearest
from jobprov.provenance.services.search.recorded_names import list_names

_KINDS = {"campaign": "campaigns", "stage": "stages", "task_id": "tasks", "site": "sites"}
_WORDS = {"task_id": "task"}


def refuse_unknown_names(connection: Connection, filters: Mapping[str, str | None]) -> None:
    """Make sure that something recorded has each name of a question whose answer is empty.

    Args:
        connection: where from.
        filters: by name of the filter; others than experiment, campaign, stage, task and site are
            not looked at.

    Raises:
        NotFoundError: nothing has one of them; it names those that are spelled much like it.
    """
    experiment = filters.get("experiment")
    if experiment:
        find_experiment(connection, experiment)
    for filter_name, kind in _KINDS.items():
        name = filters.get(filter_name)
        if not name:
            continue
        if not list_names(connection, kind, NameFilters(experiment, name=name)).names:
            where = f" of experiment {experiment}" if experiment else ""
            word = _WORDS.get(filter_name, filter_name)
            raise NotFoundError(
                f"Nothing is recorded of {word} {name}{where}.", nearest(connection, name, word)
            )
