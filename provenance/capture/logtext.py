"""The bytes of logs as text that can be read line by line.

Without colours and without what was put before every line.
"""

import re

_ANSI = re.compile(rb"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)|\([AB0])")
_DATED = re.compile(
    r"^(?:\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?\]?"
    r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(?: [\w.-]+ [\w.\[\]/-]+:)?|\[[^\]\n]{0,40}\d\d:\d\d:\d\d[^\]\n]{0,20}\]|\d\d:\d\d:\d\d(?:[.,]\d+)?)[ \t]?(?:[:|-][ \t])?"
)
_TAIL = 64 * 1024
_LONGEST_LINE = 2000  # in characters; patterns need not be fast on more


def read_texts(logs):
    """Return the ends of logs as text, colours taken out.

    Standard output, what programs logged to files, error last.
    """
    ordered = sorted(logs, key=lambda log: (log[0] == "stderr", log[0] != "stdout"))
    return [read_text(log[1][-_TAIL:]) for log in ordered]


def read_text(content):
    """Return a log's bytes as text without colours, carriage returns, and the time that something put before every line."""
    lines = _ANSI.sub(b"", content).decode("utf-8", "replace").split("\n")
    lines = [line[:_LONGEST_LINE].rstrip("\r") for line in lines]
    dated = [_DATED.match(line) for line in lines]
    if 2 * sum(match is not None for match in dated) > sum(line != "" for line in lines):
        lines = [line[match.end() :] if match else line for line, match in zip(lines, dated)]  # noqa: B905
    return "\n".join(lines)
