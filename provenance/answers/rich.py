"""How a notebook shows an answer: a heading and a table of what there is to say."""

from collections.abc import Sequence
from html import escape


def facts_html(heading: str, facts: Sequence[tuple[str, object]]) -> str:
    """Return HTML of a heading and of the facts that are known; all text is escaped."""
    rows = []
    for title, value in facts:
        if value not in (None, ""):
            rows.append(f"<tr><th>{escape(title)}</th><td>{escape(str(value))}</td></tr>")
    return f"<p><b>{escape(heading)}</b></p><table>{''.join(rows)}</table>"
