"""Pictures of lineage: inside a page where they are small, else as a file beside it.

The map gets them as values.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

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


def draw_picture(draw: Callable[[str], str], boxes: int) -> Picture:
    """Return the picture of so many boxes.

    The drawings escape every name themselves, so they are markup.

    Args:
        draw: takes `right` or `down`.
        boxes: how many it has.
    """
    if boxes > INLINE_BOXES:
        return Picture()
    right, down = draw("right"), draw("down")
    if len(right.encode()) + len(down.encode()) > INLINE_BYTES:
        return Picture()
    return Picture(Markup(right), Markup(down))  # noqa: S704 - ElementTree wrote them


def asked_drawing(
    draw: Callable[[str], str], view_map: Callable[[Direction], Mapping[str, object]]
) -> Response | None:
    """Return what `picture=` asks for, a drawing alone or the values of the map.

    It is None where the page is asked for.

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
    if wanted in ("map", "map-down"):
        values = view_map("down" if wanted == "map-down" else "right")
        return Response(msgspec.json.encode(values), content_type="application/json")
    drawing = draw(wanted.removeprefix("image-"))
    text = as_image(drawing) if wanted.startswith("image-") else drawing
    return Response(text, content_type="image/svg+xml; charset=utf-8")
