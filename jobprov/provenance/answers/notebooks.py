"""What a notebook makes of answers: tables of pandas and graphs of networkx.

Both come with the extra `notebook`; nothing else of jobprov needs them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from jobprov.provenance.errors import LimitError, NotFoundError

if TYPE_CHECKING:
    import networkx as nx
    import pandas as pd

MOST_ROWS = 100_000
"""Jobs or files that become a table, unless a caller wants more of them."""
_TIMES = ("received_at", "heard_at", "started_at", "ended_at", "first_at", "last_at")
_HOW_TO_INSTALL = "needs pandas and networkx; install them: pip install 'jobprov[notebook]'"

_Row = TypeVar("_Row", bound=msgspec.Struct)


@contextmanager
def _needed_for(what: str) -> Iterator[None]:
    """Say how to install what cannot be imported.

    Raises:
        NotFoundError: it is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise NotFoundError(f"{what} {_HOW_TO_INSTALL}") from error


class Listed(Iterator[_Row], Generic[_Row]):
    """Jobs in short or files; they come page by page, as one reads on.

    Args:
        rows: what is listed.
        kind: their type.
        words: what they are called.
    """

    def __init__(self, rows: Iterator[_Row], kind: type[_Row], words: str) -> None:
        self._rows = rows
        self._kind = kind
        self._words = words

    def __next__(self) -> _Row:
        """Return the next one."""
        return next(self._rows)

    def __repr__(self) -> str:
        """Return what a notebook shows at the end of a cell."""
        return f"<{self._words}, asked for page by page: a loop reads them, or to_dataframe()>"

    def to_dataframe(self, *, most: int = MOST_ROWS) -> "pd.DataFrame":
        """Return those that were not read yet as a table, one row each.

        Columns are the members of a job in short or of a file, those of parts with the part before
        them, such as `task.campaign` and `exit.code`; they are there without a row, too. Times are in
        UTC; seconds and bytes are told by the names.

        Raises:
            LimitError: there are more than `most`.
            NotFoundError: pandas is not installed.
        """
        rows = list(islice(self._rows, most + 1))
        if len(rows) > most:
            raise LimitError(
                f"There are more than {most} {self._words}; ask for fewer of them, or for more rows: "
                "to_dataframe(most=...).",
                most,
            )
        table = dataframe(rows)
        return table if rows else table.reindex(columns=columns_of(self._kind))


def columns_of(kind: type[msgspec.Struct], before: str = "") -> list[str]:
    """Return the columns of a table of these rows: members first, then those of their parts."""
    columns, of_parts = [], []
    for field in msgspec.structs.fields(kind):
        name = f"{before}{field.encode_name}"
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            of_parts += columns_of(field.type, f"{name}.")
        else:
            columns.append(name)
    return columns + of_parts


def over_time(
    starts: Sequence[str], columns: Mapping[str, Sequence[float | None]]
) -> "pd.DataFrame":
    """Return a table with a row for each step of time, which is its index, in UTC.

    Raises:
        NotFoundError: pandas is not installed.
    """
    with _needed_for("A table"):
        import pandas as pd  # noqa: PLC0415 - an extra, and slow to import
    index = pd.DatetimeIndex(pd.to_datetime(list(starts), utc=True, format="ISO8601"), name="start")
    return pd.DataFrame(dict(columns), index=index)


def dataframe(rows: Iterable[msgspec.Struct]) -> "pd.DataFrame":
    """Return a table with a row for each of these, and a column for each of their members.

    Raises:
        NotFoundError: pandas is not installed.
    """
    with _needed_for("A table"):
        import pandas as pd  # noqa: PLC0415 - an extra, and slow to import
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
    with _needed_for("A graph"):
        import networkx as nx  # noqa: PLC0415 - an extra, and slow to import
    graph: Any = nx.MultiDiGraph()
    for node in nodes:
        attributes = msgspec.to_builtins(node)
        graph.add_node(attributes.pop("key"), **attributes)
    for edge in edges:
        attributes = msgspec.to_builtins(edge)
        graph.add_edge(attributes.pop("source"), attributes.pop("target"), **attributes)
    return graph
