"""Why and where art failed, out of its log.

Category, phase, module, event, and the sentence for people.

A finding is a dictionary with `category` (of nested ones all, outermost first: `DataCorruption >
BadBlock`), `message`, `phase`, `module_label`, `module_type`, `service`, `run`, `subrun`, `event`
and `path`, as far as the text tells.

Sources: `%MSG-s` blocks of the message facility; `---- Category BEGIN`/`END` blocks of
cet::exception (nested, wrappers stepped over); the words of art's Worker, Schedule, EventProcessor,
ServiceCacheEntry and options handlers, of several versions.
"""

import re

from jobprov.provenance.capture import artsentence

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
_OWN = frozenset(["ArtException", "StdLibException", "std::bad_allocException", "UnknownException"])
_KINDS = {
    "StdLibException": "std::exception",
    "std::bad_allocException": "std::bad_alloc",
    "UnknownException": "unknown exception",
}
_KIND = re.compile(r"((?:[^:]|::)+)")
_CONTEXT = re.compile(r":\s+([\w:]+?):(\w+)@(\w+)\s")
_WHEN = re.compile(r"\brun:\s*(\d+)(?:\s+subRun:\s*(\d+)(?:\s+event:\s*(\d+))?)?")
_PLACE = r"\s+([\w:]+)/(\w+)(?:\s+run:\s*(\d+)(?:\s+subRun:\s*(\d+)(?:\s+event:\s*(\d+))?)?|\s+during\s+(\w+))?"
_THROWN = re.compile(
    r"(?:thrown while processing|occurred during a (?:previous )?call to(?: the)?|exception going through) module"
    + _PLACE
)
_END_JOB = re.compile(r"^[ \t]*([\w:]+)/(\w+)\s+during\s+(\w+)\b", re.MULTILINE)
_LABELLED = re.compile(r"Module label:\s*(\w+)\s+module_type\s*:\s*([\w:/]+)")
_LABEL_ONLY = re.compile(
    r"(?:module with label|Module label)\s+'?(\w+)'?\s+(?:encountered|has been used)"
)
_SERVICE = re.compile(r"(?:service_type\s*:|construction of service type)\s+([\w:]+?):?(?:\s|$)")
_IS_SERVICE = re.compile(r"of type \"service\"")
_PATH = re.compile(r"(?:going through path|[Ff]ailing path)\s+(\w+)")
_CONTEXTS = {  # what the message facility calls a phase: what people do
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
_MOST_MESSAGES = 20000


def severe(text, is_own=True):
    """Return the finding of the last severe message that art itself wrote, or that a module wrote.

    None without one.
    """
    last = None
    for severity, header, lines in messages(text):
        if severity == "s" and (_kind(header) in _OWN) == is_own:
            last = header, lines
    return _finding(*last) if last else None


def bare(text):
    """Return the finding of the first exception whose text stands in no message, as on standard error; None without one."""
    lines = outside(text)
    chains = _chains(lines)
    if not chains and not any(_BEGIN.match(line) for line in lines):
        chains = _beheaded(lines)
    if not chains:
        return None
    found = _finding("", lines, chains)
    joined = "\n".join(lines)
    found["phase"] = next(
        (phase for words, phase in _BEFORE if words in joined), found.get("phase")
    )
    return found


def suppressed(text):
    """Return the findings of exceptions that art went on after, and of errors that were only logged, each with `severity`."""
    found = []
    for severity, header, lines in messages(text):
        is_exception = severity == "w" and any(
            _BEGIN.match(line) or "due to exception" in line for line in lines
        )
        if severity == "e" or is_exception:
            finding = _finding(header, lines)
            if severity == "e" and not any(_BEGIN.match(line) for line in lines):
                finding["category"] = _kind(header)
            found.append(dict(finding, severity="error" if severity == "e" else "warning"))
    return found


def messages(text):
    """Yield (severity, header, lines) of the message facility's blocks."""
    severity, header, lines = None, "", []
    for count, line in enumerate(text.split("\n")):
        match = _MESSAGE.match(line) if "%MSG" in line else None
        if match is None:
            if severity:
                lines.append(line)
            continue
        if severity:
            yield severity, header, lines
        severity, header, lines = match.group(1), match.group(2) or "", []
        if count > _MOST_MESSAGES * 10:
            return
    if severity:
        yield severity, header, lines


def outside(text):
    """Return the lines that stand in no message."""
    found, is_open = [], False
    for line in text.split("\n"):
        match = _MESSAGE.match(line) if "%MSG" in line else None
        if match:
            is_open = match.group(1) is not None
        elif not is_open:
            found.append(line)
    return found


def _finding(header, lines, chains=None):
    body = "\n".join(lines)
    chains = chains or _chains(lines)
    names = (
        _names(chains[0])
        if chains
        else [_KINDS.get(_kind(header), _kind(header))]
        if header
        else []
    )
    found = {"category": " > ".join(names) or None, "phase": None}
    for place in (_from_header(header), _from_body(body)):
        found.update({name: value for name, value in place.items() if value is not None})
    told = [artsentence.say_chain(chain, body) for chain in chains] or [
        artsentence.say([*map(str.strip, lines)], body)
    ]
    others = [": ".join([_names(chain)[-1], words]) for chain, words in zip(chains[1:], told[1:])]  # noqa: B905
    found["message"] = "; and ".join(told[:1] + others)
    return found


def _from_header(header):
    context, when = _CONTEXT.search(header + " "), _WHEN.search(header)
    found = dict(zip(("run", "subrun", "event"), when.groups())) if when else {}  # noqa: B905
    if context:
        word = context.group(3)
        found.update(
            module_type=context.group(1), module_label=context.group(2), phase=phase_of(word)
        )
    elif header:
        words = header.partition(":")[2].split()
        if words:
            found["phase"] = _CONTEXTS.get(
                words[0], "event loop" if words[0][:4] == "Post" else None
            )
        elif _kind(header) in _OWN:
            found["phase"] = "parse"  # before the message facility knows where the job is
    return found


def _from_body(body):
    path, service = _PATH.search(body), _SERVICE.search(body)
    labelled, named = _LABELLED.search(body), _LABEL_ONLY.search(body)
    thrown, ended = _THROWN.search(body), _END_JOB.search(body)
    found = {"path": path.group(1) if path else None}
    if labelled:
        found.update(
            module_label=labelled.group(1), module_type=labelled.group(2), phase="construction"
        )
    elif thrown:
        names = ("module_type", "module_label", "run", "subrun", "event", "phase")
        found.update(zip(names, thrown.groups()))  # noqa: B905
        found["phase"] = found["phase"] or _transition(found)
    elif ended:
        found.update(zip(("module_type", "module_label", "phase"), ended.groups()))  # noqa: B905
    elif service or _IS_SERVICE.search(body):
        found.update(service=service.group(1) if service else None, phase="services")
    elif named:
        found.update(module_label=named.group(1))
    elif "of the 'source'" in body:
        found.update(module_label="source", phase="beginJob" if "beginJob of" in body else None)
    return found


def _transition(found):
    """Return the phase of an exception by the numbers that art gives.

    A begin or an end, it does not say which.
    """
    return (
        "event"
        if found["event"]
        else "subRun"
        if found["subrun"]
        else "run"
        if found["run"]
        else None
    )


def phase_of(word):
    """Return the phase that a word of the message facility's context means, such as `Construction` or `EndJob`."""
    return _CONTEXTS.get(word) or word[:1].lower() + word[1:]


def _kind(header):
    match = _KIND.match(header)
    return match.group(1).strip() if match else ""


def _names(chain):
    """Return the categories of a chain of blocks, outermost first, repeats and carriers left out."""
    names = [name for name, _ in chain]
    inner = [name for name in names[:-1] if name not in artsentence.CARRIERS] + names[-1:]
    return [name for place, name in enumerate(inner) if place == 0 or inner[place - 1] != name]


def _chains(lines):
    """Return the chains of nested blocks, one for each outermost one.

    [(name, lines of its own)] without wrappers.
    """
    chains, stack, chain = [], [], []
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


def _unwrapped(chain):
    return [block for block in chain if block[0] not in _WRAPPERS] or chain


def _beheaded(lines):
    """Return the chain of a text that was cut off before its blocks begin.

    The first end names the innermost.
    """
    chain, told = [], []
    for line in lines:
        end = _END.match(line) if "----" in line else None
        if end is None:
            told.append(line.strip())
        elif end.group(1) not in _WRAPPERS:
            chain.insert(0, (end.group(1), told))
            told = []
    return [chain[-1:]] if chain else []
