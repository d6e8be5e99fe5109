"""The bytes of logs as text that can be read line by line.

Without colours, and without the time before every line.
"""

import re
from typing import Any, Iterable, List, Sequence, Tuple

_ANSI = re.compile(rb"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|\([AB0])")
_DATED = re.compile(
    r"^(?:\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?\]?"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?: [\w.-]+ [\w.\[\]/-]+:)?"
    r"|\[[^\]\n]{0,40}\d\d:\d\d:\d\d[^\]\n]{0,20}\]|\d\d:\d\d:\d\d(?:[.,]\d+)?)[ \t]?(?:[:"
    r"|-][ \t])?"
)
_TAIL = 64 * 1024
_LONGEST_LINE = 2000  # in characters; patterns need not be fast on more


def read_texts(logs: Sequence[Tuple[str, bytes, bool]]) -> List[str]:
    """Return the ends of logs as text: standard output, logs in files, standard error last."""
    ordered = sorted(logs, key=lambda log: (log[0] == "stderr", log[0] != "stdout"))
    return [read_text(log[1][-_TAIL:]) for log in ordered]


def read_text(content: bytes) -> str:
    """Return a log's bytes as text without colours, carriage returns, and times before lines."""
    text = _ANSI.sub(b"", content).decode("utf-8", "replace")
    lines = [line[:_LONGEST_LINE].rstrip("\r") for line in text.split("\n")]
    dates = [_DATED.match(line) for line in lines]
    if 2 * _count(dates) > _count(lines):
        lines = [_behind(date, line) for date, line in zip(dates, lines)]  # noqa: B905 - Python 3.6
    return "\n".join(lines)


def _count(values: Iterable[Any]) -> int:
    return sum(1 for value in values if value)


def _behind(date: Any, line: str) -> str:
    return line[date.end() :] if date else line
