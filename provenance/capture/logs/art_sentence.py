"""The one line that a text of art comes down to, and where it happened, in words."""

import re
from typing import Any, Dict, List, Sequence, Tuple

CARRIERS = frozenset(
    ["Parse error"]
)  # blocks that name the place; the one inside names the problem
_PARAMETER = re.compile(r"FHiCL parameter '[^'\n]+'")
_RULE = re.compile(r"^[\s=*_~+#-]*$")
_LIST = re.compile(r"^(Missing|Unsupported) parameters:$")
_LINE = re.compile(r"at (?:or near )?line (\d+), character \d+, of file \"([^\"]+)\"")
_END_JOB = re.compile(r"^[\w:]+/\w+\s+during\s+\w+\s*(.*)$")
_SAYS_NOTHING = re.compile(
    r"^(?:.*was thrown while processing module |.*occurred during a (?:previous )?call to"
    r"|!! The following"
    r"|Any parameters prefaced|(?:Module label|module_type ?|service_type ?):"
    r"|cet::exception caught in"
    r"|Standard library exception caught|std::bad_alloc exception caught|EventProcessor: an exc"
    r"|EndPathExecutor: an exc"
    r"|Path: ProcessingStopped|Exception going through path|The following were encountered"
    r"|An error occurred while processing"
    r"|Unable to create ServiceHandle|Perhaps the FHiCL|The class of the service|ServiceCreation$"
    r"|\[Specific error:\]$|(?:Error|Warning|Info) in <"
    r"|Skipping event due to|Failing path .* due to|Module (?:ignored an"
    r"|failed due to an) exception)"
)


def say_chain(chain: Sequence[Tuple[str, List[str]]], body: str) -> str:
    """Return the sentence of nested blocks, [(name, lines)], the outermost first.

    It is what the innermost says, behind what blocks of other kinds around it add.
    """
    name, lines = chain[-1]
    inner = say(lines, body)
    parameter = _PARAMETER.search(body)
    if parameter and parameter.group() not in inner:
        inner = "{}: {}".format(parameter.group(), inner)
    parts = []
    for other, own_lines in chain[:-1]:
        around = "" if other == name or other in CARRIERS else _first(own_lines, "")
        if around:
            parts.append(around.rstrip(":. "))
    return ": ".join([*parts, inner])


def say(lines: Sequence[str], body: str) -> str:
    """Return the sentence of a block's lines; `body` is all of the text around."""
    for line in lines:
        ended = _END_JOB.match(line)
        if ended and ended.group(1):
            return ended.group(1)
    sentence = _parameters(lines) or _first(lines)
    place = _LINE.search(body)
    if place and place.group(2) not in sentence:
        return "{} (line {} of {})".format(sentence, *place.groups())
    return sentence


def with_place(finding: Dict[str, Any]) -> str:
    """Return a finding's message with phase, module and event behind it, as far as it does not name them itself."""
    parts = (_module(finding), _phase(finding), event_words(finding))
    place = ", ".join(part for part in parts if part)
    message = finding.get("message") or "no text"
    return "{} ({})".format(message, place) if place else message


def event_words(finding: Dict[str, Any]) -> str:
    """Return `run 1 subRun 2 event 3` as far as a finding knows, or an empty text."""
    parts = []
    for word, field in (("run", "run"), ("subRun", "subrun"), ("event", "event")):
        if finding.get(field):
            parts.append("{} {}".format(word, finding[field]))
    return " ".join(parts)


def is_rule(line: str) -> bool:
    """Tell whether a line only draws a rule, or is empty."""
    return bool(_RULE.match(line))


def _module(finding: Dict[str, Any]) -> str:
    if finding.get("service"):
        return "service {}".format(finding["service"])
    label = finding.get("module_label")
    if not label:
        return ""
    if finding.get("module_type"):
        return "{}/{}".format(finding["module_type"], label)
    return "module {}".format(label)


def _phase(finding: Dict[str, Any]) -> str:
    """Return the phase; that of an event is clear from its number."""
    if finding.get("phase") == "event" and finding.get("event"):
        return ""
    return finding.get("phase") or ""


def _first(lines: Sequence[str], otherwise: str = "no text") -> str:
    """Return the first line that carries a message, with the next where it ends in a colon.

    Where no line carries one: the first that draws no rule, or `otherwise`, which an empty one
    asks for alone.
    """
    texts = [line for line in lines if not is_rule(line)]
    telling = [line for line in texts if not _SAYS_NOTHING.match(line)]
    if not telling:
        return texts[0] if texts and otherwise else otherwise
    return " ".join(telling[:2]) if telling[0].endswith(":") else telling[0]


def _parameters(lines: Sequence[str]) -> str:
    """Return `Missing parameters: pMin: <double>` of a configuration check, or an empty text."""
    parts, is_listed = [], False
    for line in lines:
        match = _LIST.match(line)
        if match:
            is_listed = True
            parts.append(match.group())
        elif is_listed and line[:1] in ("-", "+") and not is_rule(line):
            parts.append(re.sub(r"\s+", " ", line[1:].strip()))
    return " ".join(parts)
