"""The mark of each state as SVG: shape and colour, so that colour is never the only cue.

Source: pages.md, "State by shape and colour", with the colours of M. Okabe and K. Ito, Color
universal design, 2008.
"""

from xml.etree import ElementTree as ET

COLOURS = {
    "succeeded": "#009e73",
    "failed": "#d55e00",
    "killed": "#cc79a7",
    "running": "#0072b2",
    "silent": "#e69f00",
    "lost": "#56b4e9",
}
UNKNOWN_COLOUR = "#767676"
MARK_RADIUS = 7.0


def add_mark(parent: ET.Element, state: str, x: float, y: float) -> None:
    """Adds the mark of a state with its middle at (x, y).

    A state without a mark of its own gets a diamond.
    """
    known = state if state in COLOURS else "unknown"
    colour = COLOURS.get(state, UNKNOWN_COLOUR)
    draw = {
        "failed": _triangle,
        "killed": _square,
        "running": _ring,
        "silent": _dashed_ring,
        "lost": _question,
    }
    if known == "succeeded":
        attributes = {"cx": _n(x), "cy": _n(y), "r": _n(MARK_RADIUS - 1), "fill": colour}
        ET.SubElement(parent, "circle", {"class": "lineage-mark is-succeeded", **attributes})
    else:
        draw.get(known, _diamond)(parent, f"lineage-mark is-{known}", colour, (x, y))


def _triangle(parent: ET.Element, name: str, colour: str, at: tuple[float, float]) -> None:
    x, y = at
    points = [(x, y - MARK_RADIUS), (x + MARK_RADIUS, y + 6), (x - MARK_RADIUS, y + 6)]
    _polygon(parent, name, colour, points)


def _diamond(parent: ET.Element, name: str, colour: str, at: tuple[float, float]) -> None:
    x, y = at
    r = MARK_RADIUS
    _polygon(parent, name, colour, [(x, y - r), (x + r, y), (x, y + r), (x - r, y)])


def _polygon(parent: ET.Element, name: str, colour: str, points: list[tuple[float, float]]) -> None:
    text = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
    ET.SubElement(parent, "polygon", {"class": name, "points": text, "fill": colour})


def _square(parent: ET.Element, name: str, colour: str, at: tuple[float, float]) -> None:
    side = 2 * (MARK_RADIUS - 1)
    attributes = {
        "x": _n(at[0] - side / 2),
        "y": _n(at[1] - side / 2),
        "width": _n(side),
        "height": _n(side),
    }
    ET.SubElement(parent, "rect", {"class": name, **attributes, "fill": colour})


def _ring(
    parent: ET.Element, name: str, colour: str, at: tuple[float, float], dashes: str = "none"
) -> None:
    attributes = {"cx": _n(at[0]), "cy": _n(at[1]), "r": _n(MARK_RADIUS - 2)}
    stroke = {"fill": "none", "stroke": colour, "stroke-width": "2.5", "stroke-dasharray": dashes}
    ET.SubElement(parent, "circle", {"class": f"{name} is-ring", **attributes, **stroke})


def _dashed_ring(parent: ET.Element, name: str, colour: str, at: tuple[float, float]) -> None:
    _ring(parent, name, colour, at, dashes="3.5 2.8")


def _question(parent: ET.Element, name: str, colour: str, at: tuple[float, float]) -> None:
    attributes = {
        "x": _n(at[0]),
        "y": _n(at[1] + 6),
        "text-anchor": "middle",
        "font-size": "17",
        "font-weight": "700",
    }
    ET.SubElement(parent, "text", {"class": name, **attributes, "fill": colour}).text = "?"


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
