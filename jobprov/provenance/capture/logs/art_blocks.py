"""The messages and the blocks of exceptions that a log of art holds.

Sources: `%MSG-s` blocks of the message facility; `---- Category BEGIN`/`END` blocks of
cet::exception, which nest.
"""

import re
from typing import Iterator, List, Sequence, Tuple

_MESSAGE = re.compile(r"^.{0,80}?%MSG(?:-(\w)(?: (.*))?)?$")
_BEGIN = re.compile(r"^(.*?)---- (.+?) BEGIN\s*$")
_END = re.compile(r"^.*?---- (.+?) END\s*$")
_WRAPPERS = frozenset(
    [
        "EventProcessorFailure",
        "ScheduleExecutionFailure",
        "EndJobFailure",
        "OtherArt",
        "FailModule",
        "IgnoreCompletely",
        # the message facility's
        "Configuration error",
        "Logic error",
        "Other error",
    ]
)
CARRIERS = frozenset(["Parse error"])  # they name the place; the block inside names the problem
_MOST_LINES = 200000


class Block:
    """An exception: its category, and the lines of its own text."""

    def __init__(self, name: str, lines: List[str]) -> None:
        self.name, self.lines = name, lines


class Chain:
    """Nested blocks, the outermost first, without wrappers, and all of their text.

    Of blocks beside each other, as for several modules that are configured wrongly, the first, and
    how many `others` there are.
    """

    def __init__(self, blocks: Sequence[Block], text: str, others: int = 0) -> None:
        self.blocks, self.text, self.others = blocks, text, others


def messages(text: str) -> Iterator[Tuple[str, str, List[str]]]:
    """Yield (severity, header, lines) of the message facility's blocks."""
    severity, header = "", ""
    lines: List[str] = []
    for count, line in enumerate(text.split("\n")):
        match = _MESSAGE.match(line) if "%MSG" in line else None
        if match is None:
            if severity:
                lines.append(line)
            continue
        if severity:
            yield severity, header, lines
        severity, header, lines = match.group(1) or "", match.group(2) or "", []
        if count > _MOST_LINES:
            return
    if severity:
        yield severity, header, lines


def outside(text: str) -> List[str]:
    """Return the lines that are in no message."""
    lines, is_inside = [], False
    for line in text.split("\n"):
        match = _MESSAGE.match(line) if "%MSG" in line else None
        if match:
            is_inside = match.group(1) is not None
        elif not is_inside:
            lines.append(line)
    return lines


def has_block(lines: Sequence[str]) -> bool:
    """Tell whether a block begins in these lines."""
    return any(_BEGIN.match(line) for line in lines)


def chains(lines: Sequence[str]) -> List[Chain]:
    """Return the chains of nested blocks, one for each outermost one."""
    found: List[Chain] = []
    stack: List[Block] = []
    blocks: List[Block] = []
    texts: List[str] = []
    beside: List[int] = []  # how deep blocks begin beside those that are followed
    for line in lines:
        begin = _BEGIN.match(line) if "----" in line else None
        if begin:
            # what stands before it in its line belongs to the block around it
            if stack and begin.group(1).strip():
                stack[-1].lines.append(begin.group(1).strip())
                texts.append(begin.group(1).strip())
            block = Block(begin.group(2), [])
            if len(stack) == len(blocks):
                blocks.append(block)
            else:
                beside.append(len(stack))
            stack.append(block)
        elif stack and "----" in line and _END.match(line):
            stack.pop()
            if not stack:
                found.append(_chain(blocks, texts, beside))
                blocks, texts, beside = [], [], []
        elif stack:
            stack[-1].lines.append(line.strip())
            texts.append(line.strip())
    if blocks:  # cut off before its end
        found.append(_chain(blocks, texts, beside))
    return found


def beheaded(lines: Sequence[str]) -> List[Chain]:
    """Return the chain of a text that was cut off before its blocks begin.

    The first end names the innermost.
    """
    innermost = None
    own_lines: List[str] = []
    for line in lines:
        end = _END.match(line) if "----" in line else None
        if end is None:
            own_lines.append(line.strip())
        elif end.group(1) not in _WRAPPERS:
            innermost = innermost or Block(end.group(1), own_lines)
            own_lines = []
    return [Chain([innermost], "\n".join(lines))] if innermost else []


def names(chain: Chain) -> List[str]:
    """Return the categories of a chain, outermost first, repeats and carriers left out."""
    found: List[str] = []
    innermost = len(chain.blocks) - 1
    for place, block in enumerate(chain.blocks):
        is_carrier = place < innermost and block.name in CARRIERS
        if not is_carrier and found[-1:] != [block.name]:
            found.append(block.name)
    return found


def _chain(blocks: Sequence[Block], texts: Sequence[str], beside: Sequence[int]) -> Chain:
    telling = [block for block in blocks if block.name not in _WRAPPERS]
    others = beside.count(min(beside)) if beside else 0
    return Chain(telling or list(blocks[-1:]), "\n".join(texts), others)
