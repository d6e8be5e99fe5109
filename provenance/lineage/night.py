"""A drawing for pages that may be dark, where it stands as an image, which no stylesheet of the page reaches.

Drawings have no `<style>`: the pages' Content-Security-Policy forbids it where they stand in a page
or are opened alone. An image brings its own; on paper it keeps the colours of day.
"""

DARK = {
    ".lineage": "fill:#e6edf3",
    ".lineage-background": "fill:#0d1117",
    ".lineage-edges,.lineage-line": "stroke:#6e7681",
    ".lineage-shape,.lineage-sheet,.lineage-sign": "fill:#0d1117;stroke:#6e7681",
    ".lineage-file .lineage-shape,.lineage-files .lineage-shape,.lineage-sign.is-file": "fill:#1b222b",
    ".is-placeholder .lineage-shape,.lineage-sign.is-mentioned": "fill:#0d1117;stroke:#9da7b1",
    ".is-focus .lineage-shape,.lineage-sign.is-focus": "fill:#12304a;stroke:#56b4e9",
    ".is-focus .lineage-row": "fill:#12304a",
    ".lineage-down .is-focus .lineage-shape": "fill:#56b4e9",
    ".lineage-detail": "fill:#9da7b1",
    ".lineage-count": "fill:#9da7b1;stroke:#0d1117",
    ".lineage-badge rect": "fill:#262d36",
    ".lineage-mark.is-succeeded": "fill:#20c997",
    ".lineage-mark.is-failed": "fill:#ff7b39",
    ".lineage-mark.is-unknown": "fill:#9da7b1",
    ".lineage-mark.is-running": "stroke:#4aa8e0",
    ".lineage-node.is-failed .lineage-shape": "stroke:#ff7b39",
}
"""Rules by selector, in their order.

States that are not named keep the colour that they have by day.
"""

_RULES = "".join(f"{selector}{{{look}}}" for selector, look in DARK.items())
_STYLE = f"<style>@media screen and (prefers-color-scheme:dark){{{_RULES}}}</style>"


def as_image(drawing: str) -> str:
    """An `<svg>` element, as `svg` draws it, dark where who looks at it prefers that."""
    opening, bracket, rest = drawing.partition(">")
    return f"{opening}{bracket}{_STYLE}{rest}"
