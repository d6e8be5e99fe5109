"""Pictures of lineage: inside a page where they are small, else as a file beside it.

The map gets them as values.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

import msgspec
from flask import Response
from markupsafe import Markup

from jobprov.app.web.frame.page import asked
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.lineage.drawing.svg import Direction, as_image

INLINE_BYTES = 44_000
"""Both pictures together: with a table of 60 rows and the frame a page stays under 80 kB."""
INLINE_BOXES = 70
"""Pictures of more boxes are surely larger, so they are not even drawn for the page."""
FORMS = ("right", "down", "image-right", "image-down", "map", "map-down")
"""A drawing for wide or narrow screens to open alone; the same to stand as an image in a page.

The last two stand for the values of the map, whose history runs to the right or down.
"""


class Picture(NamedTuple):
    """A graph drawn for wide pages and for narrow ones, where both may stand in the page.

    Where they may not, both are empty.
    """

    right: str = ""
    down: str = ""

    @property
    def is_inline(self) -> bool:
        """Whether the picture stands in the page."""
        return bool(self.right)


class Drawable(Protocol):
    """A graph that can be drawn to the right, for wide pages, or down, for narrow ones."""

    def boxes(self) -> int:
        """Return how many boxes its picture has."""

    def draw(self, direction: Direction) -> str:
        """Return its picture as an `<svg>` element."""

    def map(self, direction: Direction) -> Mapping[str, object]:
        """Return the values of its map."""


def draw_picture(graph: Drawable) -> Picture:
    """Return the picture of a graph, to stand in a page.

    The drawings escape every name themselves, so they are markup.
    """
    if graph.boxes() > INLINE_BOXES:
        return Picture()
    right, down = graph.draw("right"), graph.draw("down")
    if len(right.encode()) + len(down.encode()) > INLINE_BYTES:
        return Picture()
    return Picture(Markup(right), Markup(down))  # noqa: S704 - ElementTree wrote them


def asked_drawing(graph: Drawable) -> Response | None:
    """Return what `picture=` asks for: a drawing alone, or the values of the map.

    None if the address asks for the page.

    Raises:
        BadInputError: it asks for something else.
    """
    wanted = asked("picture")
    if wanted is None:
        return None
    if wanted not in FORMS:
        choices = f"{', '.join(FORMS[:-1])} or {FORMS[-1]}"
        raise BadInputError(
            f"picture: {wanted[:40]!r} is none of {', '.join(FORMS)}.", {"picture": [choices]}
        )
    direction: Direction = "down" if wanted.endswith("down") else "right"
    if wanted.startswith("map"):
        values = msgspec.json.encode(graph.map(direction))
        return Response(values, content_type="application/json")
    drawing = graph.draw(direction)
    if wanted.startswith("image-"):
        drawing = as_image(drawing)
    return Response(drawing, content_type="image/svg+xml; charset=utf-8")
