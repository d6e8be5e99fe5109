"""The last step: a histogram as JSON, and the same as a picture beside it."""

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from toyexp.events import Columns

_WIDTH, _HEIGHT, _MARGIN = 640, 360, 40


class ToyHistogram:
    """Counts the values of one column in bins of equal width, weighted."""

    DEFAULTS: ClassVar = {"column": str, "title": "", "bins": int, "low": float, "high": float}

    def __init__(self, label: str, parameters: dict[str, Any]) -> None:
        self.label = label
        self.parameters = parameters

    def analyze(self, columns: Columns, path: str) -> None:
        """Write the histogram as JSON to `path`, and as SVG beside it."""
        low, high = self.parameters["low"], self.parameters["high"]
        values = np.asarray(columns[self.parameters["column"]])
        contents, edges = np.histogram(
            values, self.parameters["bins"], (low, high), weights=np.asarray(columns["weight"])
        )
        document = {
            "title": self.parameters["title"],
            "column": self.parameters["column"],
            "entries": len(values),
            "below": int((values < low).sum()),
            "above": int((values > high).sum()),
            "mean": round(float(values.mean()), 6) if len(values) else None,
            "edges": [round(float(edge), 6) for edge in edges],
            "contents": [round(float(content), 6) for content in contents],
        }
        Path(path).write_text(json.dumps(document, indent=1) + "\n", encoding="ascii")
        Path(path).with_suffix(".svg").write_text(_svg(document), encoding="ascii")


def _svg(document: dict[str, Any]) -> str:
    contents = document["contents"]
    step = (_WIDTH - 2 * _MARGIN) / len(contents)
    scale = (_HEIGHT - 2 * _MARGIN) / (max(contents) or 1)
    base = _HEIGHT - _MARGIN
    bars = "".join(
        f'<rect x="{_MARGIN + index * step:.1f}" y="{base - content * scale:.1f}" '
        f'width="{step:.1f}" height="{content * scale:.1f}"/>\n'
        for index, content in enumerate(contents)
    )
    low, high = document["edges"][0], document["edges"][-1]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif">\n'
        f'<text x="{_MARGIN}" y="24">{document["title"]} ({document["entries"]} events)</text>\n'
        f'<g fill="#3b6ea5" stroke="#fff" stroke-width="0.5">\n{bars}</g>\n'
        f'<path d="M{_MARGIN} {base}H{_WIDTH - _MARGIN}" stroke="#000"/>\n'
        f'<text x="{_MARGIN}" y="{base + 20}">{low:g}</text>\n'
        f'<text x="{_WIDTH - _MARGIN}" y="{base + 20}" text-anchor="end">{high:g}</text>\n</svg>\n'
    )
