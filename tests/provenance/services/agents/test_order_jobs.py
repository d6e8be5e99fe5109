"""What the words in braces of a stage stand for, for one order."""

from typing import Any

import pytest

from jobprov.provenance.answers.orders.orders import TakenOrder
from jobprov.provenance.launchers.workflow import Stage
from jobprov.provenance.selections.catalog_source import CatalogSource
from jobprov.provenance.services.agents.order_jobs import words_of


@pytest.mark.parametrize(
    ("source", "name", "read"),
    [
        ({"after": "gen"}, "gen:0.txt", "gen:0.txt"),
        ({"source": CatalogSource(definition="raw")}, "run:7.root", "run:7.root"),
        ({"files": ["mc:raw.root"]}, "mc:raw.root", "raw.root"),
        ({"files": ["raw.root"]}, "raw.root", "raw.root"),
        ({"files": ["root://door//raw.root"]}, "root://door//raw.root", "root://door//raw.root"),
    ],
)
def test_input_loses_a_namespace_that_the_workflow_wrote_and_nothing_else(
    source: dict[str, Any], name: str, read: str
) -> None:
    """A colon in a name was taken for one: the job waited for a file of another name, for ever."""
    stage = Stage(name="reco", command=["sort", "{input}"], outputs=["{stem}.reco"], **source)

    order = TakenOrder(
        order_id="o1", task_id="t1", unit=name, attempt=1, inputs=[name], leased_until=""
    )
    values = words_of(stage, order)

    assert values["input"] == read
    assert values["output"] == read.rpartition("/")[2].rpartition(".")[0] + ".reco"
