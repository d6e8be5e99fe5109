"""Which plugin a crash happened in, by the stack that ROOT, gdb or glibc print into the log.

Sources: ROOT's `TUnixSystem::StackTrace`, which runs gdb (`#5  0x… in f() () from lib….so`, or
`at file.cc:12` with debug information), and prints the lines that matter a second time.
"""

import re
from typing import List, Sequence

from jobprov.provenance.capture.logs import art_subject
from jobprov.provenance.capture.record.json_objects import Finding

_FRAME = re.compile(r"^#\d+\s")
_SOURCE = re.compile(r"\b(\w+)_(module|source|service|tool)\.(?:cc|cxx|cpp)\b")
_FUNCTION = re.compile(r"^#\d+\s+(?:0x[0-9a-f]+ in )?([\w:~<>, ]{1,200}?)\s*\(")
_HINT = re.compile(r"^The lines below might hint at the cause of the crash|<signal handler called>")
_KINDS = ("module", "source", "service", "tool")
_MOST_FRAMES = 200


def read(texts: Sequence[str], *, is_in_module: bool) -> Finding:
    """Return {module_type or service, function, library} of the first plugin on the stack.

    The module is left out where it is known already.
    """
    for text in texts:
        for frame in _frames(text):
            found = _plugin(frame)
            if found:
                if is_in_module:
                    found.pop("module_type", None)
                return found
    return {}


def _frames(text: str) -> List[str]:
    """Return the frames of the last stack, only those that might hint at the cause if some do."""
    frames: List[str] = []
    for line in text.split("\n"):
        if _HINT.search(line):
            frames = []
        elif _FRAME.match(line):
            frames.append(line)
    return frames[:_MOST_FRAMES]


def _plugin(frame: str) -> Finding:
    _, is_from, library = frame.rstrip().rpartition(" from ")
    source = _SOURCE.search(frame)
    plugin = art_subject.plugin_of(library) if is_from else None
    if plugin is None and source:
        plugin = art_subject.Plugin(*source.groups())
    if plugin is None or plugin.kind not in _KINDS:
        return {}
    found = {"service" if plugin.kind == "service" else "module_type": plugin.name}
    if plugin.kind == "tool":
        found = {"plugin": plugin.name}
    if is_from:
        found["library"] = library
    function = _FUNCTION.match(frame)
    if function:
        found["function"] = function.group(1)
    return found
