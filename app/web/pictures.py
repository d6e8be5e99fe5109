"""Pictures of lineage on a page: inside it where they are small, else beside it, as a file of their own."""

from typing import NamedTuple

from markupsafe import Markup

from provenance.lineage.graph import Graph
from provenance.lineage.sheet import Links
from provenance.lineage.svg import draw

INLINE_BYTES = 44_000
"""Both pictures together: with a table of 60 rows and the frame a page stays under 80 kB."""


class Picture(NamedTuple):
    """A graph drawn for wide pages and for narrow ones; `is_inline` where both may stand in the page."""

    right: str
    down: str
    is_inline: bool


def draw_picture(graph: Graph, *, expanded: frozenset[str] = frozenset(), links: Links | None = None) -> Picture:
    """Return the picture of a graph. The drawings escape every name themselves, so they are markup."""
    right = Markup(draw(graph, expanded=expanded, links=links))  # noqa: S704 - ElementTree wrote it
    down = Markup(draw(graph, direction="down", expanded=expanded, links=links))  # noqa: S704
    return Picture(right, down, len(right.encode()) + len(down.encode()) <= INLINE_BYTES)
