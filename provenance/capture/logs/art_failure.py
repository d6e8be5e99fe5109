"""Why and where art failed, out of its log.

Category, phase, module, event, and the sentence for people.

A finding is a dictionary with `category` (of nested ones all, outermost first: `DataCorruption >
BadBlock`), `message`, `phase`, `module_label`, `module_type`, `service`, `run`, `subrun`, `event`
and `path`, where the text has them.

Sources: `%MSG-s` blocks of the message facility; `---- Category BEGIN`/`END` blocks of
cet::exception (nested, wrappers stepped over); the words of art's Worker, Schedule, EventProcessor,
ServiceCacheEntry and options handlers, of several versions.
"""

import re
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from jobprov.provenance.capture.logs import art_sentence

_MESSAGE = re.compile(r"^.{0,80}?%MSG(?:-(\w)(?: (.*))?)?$")
_BEGIN, _END = re.compile(r"^.*?---- (.+?) BEGIN\s*$"), re.compile(r"^.*?---- (.+?) END\s*$")
_WRAPPERS = frozenset(
    [
        "EventProcessorFailure",
        "ScheduleExecutionFailure",
        "EndJobFailure",
        "OtherArt",
        "FailModule",
        "IgnoreCompletely",
    ]
)
_KINDS = {  # what art itself calls its messages: the category
    "ArtException": "ArtException",
    "StdLibException": "std::exception",
    "std::bad_allocException": "std::bad_alloc",
    "UnknownException": "unknown exception",
}
_KIND = re.compile(r"((?:[^:]|::)+)")
_CONTEXT = re.compile(r":\s+([\w:]+?):(\w+)@(\w+)\s")
_WHEN = re.compile(r"\brun:\s*(\d+)(?:\s+subRun:\s*(\d+)(?:\s+event:\s*(\d+))?)?")
_NUMBERS = ("run", "subrun", "event")
_PLACE = (
    r"\s+([\w:]+)/(\w+)(?:\s+run:\s*(\d+)(?:\s+subRun:\s*(\d+)(?:\s+event:\s*(\d+))?)?"
    r"|\s+during\s+(\w+))?"
)
_THROWN = re.compile(
    r"(?:thrown while processing|occurred during a (?:previous )?call to(?: the)?"
    r"|exception going through) module" + _PLACE
)
_THROWN_FIELDS = ("module_type", "module_label", "run", "subrun", "event", "phase")
_END_JOB = re.compile(r"^[ \t]*([\w:]+)/(\w+)\s+during\s+(\w+)\b", re.MULTILINE)
_END_JOB_FIELDS = ("module_type", "module_label", "phase")
_LABELLED = re.compile(r"Module label:\s*(\w+)\s+module_type\s*:\s*([\w:/]+)")
_LABEL_ONLY = re.compile(
    r"(?:module with label|Module label)\s+'?(\w+)'?\s+(?:encountered|has been used)"
)
_SERVICE = re.compile(r"(?:service_type\s*:|construction of service type)\s+([\w:]+?):?(?:\s|$)")
_IS_SERVICE = re.compile(r"of type \"service\"")
_PATH = re.compile(r"(?:going through path|[Ff]ailing path)\s+(\w+)")
_PHASES = {  # what the message facility calls a phase: what people do
    "Construction": "construction",
    "BeginModule": "event",
    "Early": "construction",
}
_BEFORE = (  # what art prints in front of a block that no message holds
    ("Failed to parse the configuration file", "parse"),
    ("Failed to create a parameter set", "parse"),
    ("doCheckOptions()", "options"),
    ("doProcessOptions()", "parse"),
    ("post-processed configuration", "config output"),
)
_MOST_LINES = 200000


def severe(text: str, *, is_own: bool = True) -> Optional[Dict[str, Any]]:
    """Return the finding of the last severe message that art itself wrote, or that a module wrote.

    None without one.
    """
    last = None
    for severity, header, lines in messages(text):
        if severity == "s" and (_kind(header) in _KINDS) == is_own:
            last = header, lines
    if last is None:
        return None
    header, lines = last
    return _finding(header, lines, _chains(lines))


def bare(text: str) -> Optional[Dict[str, Any]]:
    """Return the finding of the first exception whose text is in no message, as on standard error.

    None without one.
    """
    lines = outside(text)
    chains = _chains(lines)
    if not chains and not _has_block(lines):
        chains = _beheaded(lines)
    if not chains:
        return None
    finding = _finding("", lines, chains)
    joined = "\n".join(lines)
    for words, phase in _BEFORE:
        if words in joined:
            finding["phase"] = phase
            break
    return finding


def suppressed(text: str) -> List[Dict[str, Any]]:
    """Return the findings of exceptions that art went on after, and of logged errors, each with `severity`."""
    findings = []
    for severity, header, lines in messages(text):
        if severity not in ("e", "w"):
            continue
        has_block = _has_block(lines)
        is_exception = has_block or any("due to exception" in line for line in lines)
        if severity == "w" and not is_exception:
            continue
        finding = _finding(header, lines, _chains(lines))
        finding["severity"] = "error" if severity == "e" else "warning"
        if severity == "e" and not has_block:
            finding["category"] = _kind(header)
        findings.append(finding)
    return findings


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


def phase_of(word: str) -> str:
    """Return the phase that a word of the message facility's context means, such as `Construction` or `EndJob`."""
    return _PHASES.get(word) or word[:1].lower() + word[1:]


def _finding(
    header: str, lines: Sequence[str], chains: Sequence[Sequence[Tuple[str, List[str]]]]
) -> Dict[str, Any]:
    """Return the finding of a text: a message's header and lines, with the chains of blocks in them."""
    body = "\n".join(lines)
    finding: Dict[str, Any] = {"category": None, "phase": None}
    if chains:
        finding["category"] = " > ".join(_names(chains[0]))
        finding["message"] = _chains_sentence(chains, body)
    else:
        kind = _kind(header)
        finding["category"] = _KINDS.get(kind, kind) or None
        finding["message"] = art_sentence.say([line.strip() for line in lines], body)
    for place in (_from_header(header), _from_body(body)):
        finding.update((name, value) for name, value in place.items() if value is not None)
    return finding


def _chains_sentence(chains: Sequence[Sequence[Tuple[str, List[str]]]], body: str) -> str:
    """Return the sentence of the first chain, then those of the others, each with its category."""
    first, *others = [art_sentence.say_chain(chain, body) for chain in chains]
    categories = [_names(chain)[-1] for chain in chains[1:]]
    named = ["{}: {}".format(*pair) for pair in zip(categories, others)]  # noqa: B905 - Python 3.6
    return "; and ".join([first, *named])


def _from_header(header: str) -> Dict[str, Any]:
    """Return the place that a message's header names."""
    fields: Dict[str, Any] = {}
    when = _WHEN.search(header)
    if when:
        fields.update(zip(_NUMBERS, when.groups()))  # noqa: B905 - Python 3.6
    context = _CONTEXT.search(header + " ")
    if context:
        fields["module_type"], fields["module_label"] = context.group(1), context.group(2)
        fields["phase"] = phase_of(context.group(3))
        return fields
    words = header.partition(":")[2].split()
    if words:
        is_post = words[0].startswith("Post")
        fields["phase"] = _PHASES.get(words[0], "event loop" if is_post else None)
    elif _kind(header) in _KINDS:
        fields["phase"] = "parse"  # before the message facility knows where the job is
    return fields


def _from_body(body: str) -> Dict[str, Any]:
    """Return the place that a message's text names."""
    path = _PATH.search(body)
    fields = _module_fields(body)
    if path:
        fields["path"] = path.group(1)
    return fields


def _module_fields(body: str) -> Dict[str, Any]:
    """Return the module or service that a text names, and the phase it was in."""
    labelled = _LABELLED.search(body)
    if labelled:
        label, kind = labelled.groups()
        return {"module_label": label, "module_type": kind, "phase": "construction"}
    thrown = _THROWN.search(body)
    if thrown:
        fields = dict(zip(_THROWN_FIELDS, thrown.groups()))  # noqa: B905 - Python 3.6
        fields["phase"] = fields["phase"] or _transition(fields)
        return fields
    ended = _END_JOB.search(body)
    if ended:
        return dict(zip(_END_JOB_FIELDS, ended.groups()))  # noqa: B905 - Python 3.6
    return _service_fields(body) or _label_fields(body)


def _service_fields(body: str) -> Dict[str, Any]:
    service = _SERVICE.search(body)
    if service:
        return {"service": service.group(1), "phase": "services"}
    return {"phase": "services"} if _IS_SERVICE.search(body) else {}


def _label_fields(body: str) -> Dict[str, Any]:
    label_only = _LABEL_ONLY.search(body)
    if label_only:
        return {"module_label": label_only.group(1)}
    if "of the 'source'" in body:
        phase = "beginJob" if "beginJob of" in body else None
        return {"module_label": "source", "phase": phase}
    return {}


def _transition(fields: Dict[str, Any]) -> Optional[str]:
    """Return the phase by the numbers that art gives.

    Whether it is a begin or an end, they do not say.
    """
    for field, phase in (("event", "event"), ("subrun", "subRun"), ("run", "run")):
        if fields[field]:
            return phase
    return None


def _kind(header: str) -> str:
    """Return what stands before the first single colon of a header."""
    match = _KIND.match(header)
    return match.group(1).strip() if match else ""


def _has_block(lines: Sequence[str]) -> bool:
    return any(_BEGIN.match(line) for line in lines)


def _names(chain: Sequence[Tuple[str, List[str]]]) -> List[str]:
    """Return the categories of a chain of blocks, outermost first, repeats and carriers left out."""
    names: List[str] = []
    innermost = len(chain) - 1
    for place, (name, _) in enumerate(chain):
        is_carrier = place < innermost and name in art_sentence.CARRIERS
        if not is_carrier and names[-1:] != [name]:
            names.append(name)
    return names


def _chains(lines: Sequence[str]) -> List[List[Tuple[str, List[str]]]]:
    """Return the chains of nested blocks, one for each outermost one.

    [(name, lines of its own)] without wrappers.
    """
    chains = []
    stack: List[Tuple[str, List[str]]] = []
    chain: List[Tuple[str, List[str]]] = []
    for line in lines:
        begin = _BEGIN.match(line) if "----" in line else None
        if begin:
            stack.append((begin.group(1), []))
            chain.append(stack[-1])
        elif stack and "----" in line and _END.match(line):
            stack.pop()
            if not stack:
                chains.append(_unwrapped(chain))
                chain = []
        elif stack:
            stack[-1][1].append(line.strip())
    if chain:  # cut off before its end
        chains.append(_unwrapped(chain))
    return chains


def _unwrapped(chain: List[Tuple[str, List[str]]]) -> List[Tuple[str, List[str]]]:
    return [block for block in chain if block[0] not in _WRAPPERS] or chain


def _beheaded(lines: Sequence[str]) -> List[List[Tuple[str, List[str]]]]:
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
            innermost = innermost or (end.group(1), own_lines)
            own_lines = []
    return [[innermost]] if innermost else []
