"""Names that were asked for and that nothing recorded has: a wrong question, not a good answer."""

from collections.abc import Mapping
from itertools import islice

from jobprov.provenance.client import Client
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.spelling import names_like

_KINDS = {
    "experiment": "experiments",
    "campaign": "campaigns",
    "stage": "stages",
    "task_id": "tasks",
    "site": "sites",
}
_WORDS = {"task_id": "task"}
_MOST_COMPARED = 1000


def refuse_unknown_names(client: Client, query: Mapping[str, object]) -> None:
    """Make sure that something recorded has each name of a question whose answer is empty.

    Raises:
        NotFoundError: nothing has one of them; it names those that are written much alike.
    """
    experiment = query.get("experiment")
    for parameter, kind in _KINDS.items():
        name = query.get(parameter)
        if not isinstance(name, str):
            continue
        of_experiment = None if parameter == "experiment" else experiment
        if list(client.names(kind, name=name, experiment=of_experiment)):
            continue
        where = f" of experiment {experiment}" if of_experiment else ""
        word = _WORDS.get(parameter, parameter)
        nearest = names_like(name, islice(client.names(kind), _MOST_COMPARED))
        raise NotFoundError(f"Nothing is recorded of {word} {name}{where}.", nearest)
