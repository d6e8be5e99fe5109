"""What a notebook makes of answers: tables of pandas and graphs of networkx.

Both come with the extra `notebook`; nothing else of jobprov needs them.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from jobprov.provenance.answers.lookup.jobs import JobSummary
from jobprov.provenance.errors import LimitError, NotFoundError

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

MOST_ROWS = 100_000
"""Jobs that become a table, unless a caller wants more of them."""
_TIMES = ("received_at", "heard_at", "started_at", "ended_at")
_HOW_TO_INSTALL = "needs pandas and networkx; install them: pip install 'jobprov[notebook]'"


class JobsFound(Iterator[JobSummary]):
    """Jobs in short, newest first; they come page by page, as one reads on."""

    def __init__(self, jobs: Iterator[JobSummary]) -> None:
        self._jobs = jobs

    def __next__(self) -> JobSummary:
        """Return the next job."""
        return next(self._jobs)

    def to_dataframe(self, *, most: int = MOST_ROWS) -> "pd.DataFrame":
        """Return the jobs that were not read yet as a table, one row a job.

        Columns are the members of a job in short, those of parts with the part before them, such as
        `task.campaign` and `exit.code`. Times are in UTC; seconds and bytes are told by the names.

        Raises:
            LimitError: there are more jobs than `most`.
            NotFoundError: pandas is not installed.
        """
        jobs = list(islice(self._jobs, most + 1))
        if len(jobs) > most:
            raise LimitError(
                f"There are more than {most} jobs; ask for fewer of them, or for more rows: "
                "to_dataframe(most=...).",
                most,
            )
        return dataframe(jobs)


def dataframe(rows: Iterable[msgspec.Struct]) -> "pd.DataFrame":
    """Return a table with a row for each of these, and a column for each of their members.

    Raises:
        NotFoundError: pandas is not installed.
    """
    try:
        import pandas as pd  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise NotFoundError(f"A table {_HOW_TO_INSTALL}") from error
    table = pd.json_normalize([msgspec.to_builtins(row) for row in rows])
    for name in _TIMES:
        if name in table.columns:
            table[name] = pd.to_datetime(table[name], utc=True, format="ISO8601")
    return table


def directed_graph(
    nodes: Iterable[msgspec.Struct], edges: Iterable[msgspec.Struct]
) -> "nx.MultiDiGraph[str]":
    """Return a graph of nodes, which have a `key`, and of edges with `source` and `target`.

    The other members of a node or an edge are its attributes.

    Raises:
        NotFoundError: networkx is not installed.
    """
    try:
        import networkx as nx  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise NotFoundError(f"A graph {_HOW_TO_INSTALL}") from error
    graph: Any = nx.MultiDiGraph()
    for node in nodes:
        attributes = msgspec.to_builtins(node)
        graph.add_node(attributes.pop("key"), **attributes)
    for edge in edges:
        attributes = msgspec.to_builtins(edge)
        graph.add_edge(attributes.pop("source"), attributes.pop("target"), **attributes)
    return graph
