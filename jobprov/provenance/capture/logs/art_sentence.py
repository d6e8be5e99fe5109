"""The one line that a text of art comes down to, and where it happened, in words."""

import re
from typing import Sequence

from jobprov.provenance.capture.logs import art_subject
from jobprov.provenance.capture.logs.art_blocks import CARRIERS, Block
from jobprov.provenance.capture.record.json_objects import Finding

_PARAMETER = re.compile(r"FHiCL parameter '[^'\n]+'")
_RULE = re.compile(r"^[\s=*_~+#-]*$")
_LIST = re.compile(r"^(Missing|Unsupported) parameters:$")
_LINE = re.compile(r"at (?:or near )?line (\d+), character \d+, of file \"([^\"]+)\"")
_END_JOB = re.compile(r"^[\w:/]+/\w+\s+during\s+\w+\s*(.*)$")
_ROOT = re.compile(r"^Fatal Root Error:")
_RESOLVING = re.compile(r"^(?:\w+: )?A request to resolve an? ")
_WHILE = re.compile(r"\s+(?:was thrown )?while processing module\b.*$")
_LOADING = re.compile(r"^Unable to load requested ")
_SAYS_NOTHING = re.compile(
    r"^(?:.*(?:while processing|during a (?:previous )?call to(?: the)?|going through) module\b"
    r"|!! The following|and cannot be repropagated|Previous information:|ROOT severity:"
    r"|Any parameters prefaced|(?:Module label|module_type ?|service_type ?):"
    r"|cet::exception caught in"
    r"|Standard library exception caught|std::bad_alloc exception caught|EventProcessor: an exc"
    r"|EndPathExecutor: an exc"
    r"|An exception occurred during current event processing"
    r"|(?:Path: )?ProcessingStopped|Exception going through path|The following were encountered"
    r"|(?:An|The following) error occurred while"
    r"|(?:ServiceCreation ?)?(?:(?:cet::)?exception caught|String exception) during construction"
    r"|(?:MessageLoggerScribe: *)?Exception caught while processing plugin spec"
    r"|ERROR: Configuration of module with label \w+ encountered the following error"
    r"|Unable to create ServiceHandle|Perhaps the FHiCL|The class of the service|ServiceCreation$"
    r"|\[Specific error:\]$|(?:Error|Warning|Info) in <"
    r"|Skipping event due to|Failing path .* due to|exception being ignored|Module (?:ignored an"
    r"|failed due to an) exception)"
)
_MOST_JOINED = 3  # lines of one sentence
_LONGEST_SOURCE = 80  # of a line of FHiCL


def say_chain(blocks: Sequence[Block], body: str) -> str:
    """Return the sentence of nested blocks, the outermost first.

    It is what the innermost says, behind what blocks of other kinds around it add.
    """
    innermost = blocks[-1]
    inner = say(innermost.lines, body)
    parameter = _PARAMETER.search(body)
    if parameter and parameter.group() not in inner:
        inner = "{}: {}".format(parameter.group(), inner)
    parts = []
    for block in blocks[:-1]:
        is_told = block.name != innermost.name and block.name not in CARRIERS
        around = _first(block.lines, "") if is_told else ""
        if around:
            parts.append(around.rstrip(":. "))
    return ": ".join([*parts, inner])


def say(lines: Sequence[str], body: str) -> str:
    """Return the sentence of a block's lines; `body` is all of the text around."""
    for line in lines:
        ended = _END_JOB.match(line)
        if ended and ended.group(1):
            return ended.group(1)
    product = art_subject.about("\n".join(lines)).get("product")
    if product:
        sentence = _first(art_subject.without_products(lines))
        return sentence if product in sentence else _with_product(sentence, product)
    sentence = _parameters(lines) or _first(lines)
    place = _LINE.search(body)
    if place and place.group(2) not in sentence:
        return "{} (line {} of {})".format(sentence, *place.groups())
    return sentence + _source_line(lines) if place else sentence


def with_place(finding: Finding) -> str:
    """Return a finding's message with phase, module and event, unless it names them itself."""
    parts = (module_words(finding), _phase(finding), event_words(finding))
    place = ", ".join(part for part in parts if part)
    message = finding.get("message") or "no text"
    return "{} ({})".format(message, place) if place else message


def module_words(finding: Finding) -> str:
    """Return `ToyCut/softcut`, `service TimeTracker`, or as much as a finding knows."""
    if finding.get("service"):
        return "service {}".format(finding["service"])
    label, module_type = finding.get("module_label"), finding.get("module_type")
    if label and module_type:
        return "{}/{}".format(module_type, label)
    if label or module_type:
        return "module {}".format(label or module_type)
    return ""


def event_words(finding: Finding) -> str:
    """Return `run 1 subRun 2 event 3` as far as a finding knows, or an empty text."""
    parts = []
    for word, field in (("run", "run"), ("subRun", "subrun"), ("event", "event")):
        if finding.get(field):
            parts.append("{} {}".format(word, finding[field]))
    return " ".join(parts)


def is_rule(line: str) -> bool:
    """Tell whether a line only draws a rule, or is empty."""
    return bool(_RULE.match(line))


def _phase(finding: Finding) -> str:
    """Return the phase; that of an event is clear from its number."""
    if finding.get("phase") == "event" and finding.get("event"):
        return ""
    return finding.get("phase") or ""


def _first(lines: Sequence[str], otherwise: str = "no text") -> str:
    """Return the first line that carries a message, with the next where it goes on there.

    Where no line carries one: the first that draws no rule, or `otherwise`, which an empty one
    asks for alone.
    """
    texts = [line for line in lines if not is_rule(line)]
    telling = [line for line in texts if not _SAYS_NOTHING.match(line)]
    if not telling:
        return _WHILE.sub("", texts[0]) if texts and otherwise else otherwise
    if _ROOT.match(telling[0]):
        return _colon_between(telling[0], " ".join(telling[1:_MOST_JOINED]))
    if _LOADING.match(telling[0]) and telling[1:]:
        return _colon_between(telling[0], _without_path(telling[1], telling[0]))
    if _RESOLVING.match(telling[0]):
        return " ".join(telling[:2])
    sentence = telling[0]
    for line in telling[1:_MOST_JOINED]:
        if not sentence.endswith((":", ",")):
            break
        sentence = "{} {}".format(sentence, line)
    return sentence


def _colon_between(first: str, second: str) -> str:
    return "{}: {}".format(first.rstrip(": "), second) if second else first


def _without_path(line: str, before: str) -> str:
    """Return what the dynamic linker says, without a library that the line before names."""
    path, colon, rest = line.partition(": ")
    return rest if colon and before.endswith(path) else line


def _with_product(sentence: str, product: str) -> str:
    if sentence.endswith(" for"):
        return "{} {}".format(sentence, product)
    return _colon_between(sentence, product)


def _source_line(lines: Sequence[str]) -> str:
    """Return the line of FHiCL that a parser points at, to end a sentence with."""
    before = ""
    for line in lines:
        if line == "^" and before:
            return ": " + before[:_LONGEST_SOURCE]
        before = line
    return ""


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
