"""The process name that a configuration gives, includes followed."""

import re
from typing import Iterator, List, Optional, Tuple

from jobprov.provenance.capture.command.closure import Closure, included_names, shown

_PROCESS_NAME = re.compile(rb"^process_name[ \t]*:[ \t]*[\"']?([\w-]+)")


def process_name(closure: Closure) -> Optional[str]:
    """Return the name that the last assignment at column 0 gives, includes followed, prologs left out.

    None where there is none.
    """
    if closure.main is None:
        return None
    entered = {closure.main}
    stack = [_marks_backwards(closure, closure.main)]
    while stack:
        is_include, word = next(stack[-1], (None, ""))
        if is_include is None:
            stack.pop()
        elif not is_include:
            return word
        else:
            path, _ = closure.find(word)
            if path is not None and path not in entered:
                entered.add(path)
                stack.append(_marks_backwards(closure, path))
    return None


def _marks_backwards(closure: Closure, path: str) -> Iterator[Tuple[Optional[bool], str]]:
    """Yield (True, included name) or (False, process name) of a file, outside prologs, the last first."""
    content = closure.contents.get(shown(path), b"")
    if b"process_name" not in content and b"#include" not in content:
        return
    marks: List[Tuple[bool, str]] = []
    is_prolog = False
    for line in content.replace(b"\r", b"\n").split(b"\n"):
        if line.startswith((b"BEGIN_PROLOG", b"END_PROLOG")):
            is_prolog = line.startswith(b"BEGIN")
            continue
        if is_prolog:
            continue
        assignment = _PROCESS_NAME.match(line)
        if assignment:
            marks.append((False, assignment.group(1).decode()))
        marks += [(True, name) for name in included_names(line)]
    yield from reversed(marks)
