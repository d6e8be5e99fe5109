"""What art's log says of itself: why it failed and where, its seeds, and how many events it saw.

Sources: `%MSG-s` blocks of the message facility, `---- Category BEGIN`/`END` blocks of cet::exception (nested, wrappers
stepped over), `TrigReport Events`, `%MSG-i RANDOM`, and the end-of-job summary of LArSoft's NuRandomService. Text in,
text out: colours are to be taken out first, and all whitespace counts as wrapping.
"""

import re

_BEGIN, _END = re.compile(r"^.*?---- (.+?) BEGIN\s*$"), re.compile(r"^\s*---- (.+?) END\s*$")
_WRAPPERS = frozenset(["EventProcessorFailure", "ScheduleExecutionFailure", "EndJobFailure", "OtherArt"])
_RULE = re.compile(r"^[\s=*_~+#-]*$")
_THROWN = re.compile(
    r"(?:exception|bad_alloc exception) was thrown while processing module\s+(\S+)/(\S+?)"
    r"(?:\s+run:\s*(\d+)(?:\s+subRun:\s*(\d+)(?:\s+event:\s*(\d+))?)?|\s+during\s+(\w+)|\s|$)"
)
_END_JOB = re.compile(r"^\s*([\w:]+)/(\w+)\s+during\s+(\w+)\s*(.*)$", re.MULTILINE)
_HEADER = re.compile(r"\s([\w:]+):(\w+)@(\w+)\s")
_LABELLED = re.compile(r"Module label:\s*(\S+)\s+module_type\s*:\s*(\S+)")
_LABEL_ONLY = re.compile(r"(?:module with label|Module label)\s+'?(\w+)'?\s+(?:encountered|has been used)")
_LINE = re.compile(r"at (?:or near )?line (\d+), character \d+, of file \"([^\"]+)\"")
_LIST = re.compile(r"^(Missing|Unsupported) parameters:$")
_SAYS_NOTHING = re.compile(
    r"^(?:.*was thrown while processing module |!! The following|Any parameters prefaced|(?:Module label|module_type ?):"
    r"|cet::exception caught in|Standard library exception caught|std::bad_alloc exception caught|EventProcessor: an exc"
    r"|EndPathExecutor: an exc|Path: ProcessingStopped|Exception going through path|The following were encountered"
    r"|An error occurred while processing|Unable to create ServiceHandle|Perhaps the FHiCL|The class of the service)"
)
_BEGUN = re.compile(r"^Begin processing the \d+\w\w record\. run: (\d+) subRun: (\d+) event: (\d+)", re.MULTILINE)
_EVENTS = re.compile(r"^TrigReport Events total = (\d+) passed = (\d+) failed = (\d+)", re.MULTILINE)
_SEED = re.compile(r"^Instantiated (\w+) engine \"([^:\"]*):\d+:([^\"]*)\" with seed (\d+)\.", re.MULTILINE)
_SUMMARY = re.compile(r"^Summary of seeds computed by the (\w+)")
_SUMMARY_ROW = re.compile(
    r"^\s*(\d+|\S*[^\d\s]\S*)?\s+(?:(\d+)|\(same\))?\s*([A-Za-z_]\w*)(?:[.:](\w+))?(?: \(global\))?\s*$"
)
_BASE_SEED = re.compile(r"^\s*(?:master seed|Base Seed):\s*(\d+)\s*$", re.IGNORECASE)
_MOST_SEEDS = 2000


def explain(text):
    """Return (category, sentence with module and event) of the failure that a log's text tells, or None."""
    header, body = _severe(text)
    if header is not None:
        return _category(header, body), _sentence(header, body)
    blocks = _blocks(text)
    if not blocks:
        return None
    return blocks[0][-1][0], _sentence("", text)


def last_event(text):
    """Return `run 1 subRun 2 event 3` of the event begun last, or None."""
    found = _BEGUN.findall(text)
    return _event(*found[-1]) if found else None


def count_events(text):
    """Return {total, passed, failed} of the last report, or None without one."""
    found = _EVENTS.findall(text)
    return dict(zip(("total", "passed", "failed"), map(int, found[-1]))) if found else None  # noqa: B905


def seeds(text):
    """Return [{module, instance, engine, seed}] as the log tells them, each once, in their order."""
    found = []
    for engine, module, instance, seed in _SEED.findall(text):
        found.append({"module": module, "instance": instance, "engine": engine, "seed": int(seed)})
    found += _summarised(text)
    unique = []
    for entry in found[:_MOST_SEEDS]:
        if entry not in unique:
            unique.append(entry)
    return unique


def may_tell_seeds(content):
    """Tell whether it is worth looking for seeds in a log's bytes."""
    return b"with seed " in content or b"Summary of seeds computed" in content


def is_rule(line):
    """Tell whether a line only draws a rule, or is empty."""
    return bool(_RULE.match(line))


def _summarised(text):
    """Return the seeds of the end-of-job summaries of NuRandomService, LArSeedService and Mu2e's SeedService."""
    found, service = [], None
    for line in text.splitlines():
        begun = _SUMMARY.match(line)
        if begun or line.startswith("%MSG"):
            service = begun.group(1) if begun else None
            continue
        base, row = _BASE_SEED.match(line), _SUMMARY_ROW.match(line[:200])
        if service and base:
            found.append({"module": service, "instance": "base", "seed": int(base.group(1))})
        elif service and row and (row.group(2) or (row.group(1) or "").isdigit()):
            seed = int(row.group(2) or row.group(1))
            found.append({"module": row.group(3), "instance": row.group(4) or "", "seed": seed})
    return found


def _severe(text):
    """Return (header, text) of the last severe message; (None, "") without one."""
    header, lines, is_open = None, [], False
    for line in text.splitlines():
        if line.startswith("%MSG-s "):
            header, lines, is_open = line[7:], [], True
        elif line.startswith("%MSG"):
            is_open = False
        elif is_open:
            lines.append(line)
    return header, "\n".join(lines)


def _category(header, body):
    blocks = _blocks(body)
    if blocks:
        return blocks[0][-1][0]
    kind = header.split(":", 1)[0] if not header.startswith("std::") else "std::bad_alloc"
    return {"StdLibException": "std::exception"}.get(kind, kind)


def _blocks(text):
    """Return the chains of nested blocks, one for each outermost one: [(name, lines of its own)] without wrappers."""
    chains, stack, chain = [], [], []
    for line in text.splitlines():
        begin = _BEGIN.match(line)
        if begin:
            stack.append((begin.group(1), []))
            chain.append(stack[-1])
        elif _END.match(line) and stack:
            stack.pop()
            if not stack:
                chains.append([block for block in chain if block[0] not in _WRAPPERS] or chain)
                chain = []
        elif stack:
            stack[-1][1].append(line.strip())
    if chain:  # cut off before its end
        chains.append([block for block in chain if block[0] not in _WRAPPERS] or chain)
    return chains


def _sentence(header, body):
    blocks = _blocks(body)
    lines = blocks[0][-1][1] if blocks else [line.strip() for line in body.splitlines()]
    place = _place(header, body)
    ended = _END_JOB.search(body)
    sentence = ended.group(4) if ended and ended.group(4) else _parameters(lines) or _first(lines)
    return "{} ({})".format(sentence, place) if place else sentence


def _first(lines):
    """Return the first line that says something, with the next where it ends in a colon."""
    told = [line for line in lines if not is_rule(line) and not _SAYS_NOTHING.match(line)]
    if not told:
        told = [line for line in lines if not is_rule(line)][:1] or ["no text"]
    return " ".join(told[:2]) if told[0].endswith(":") else told[0]


def _parameters(lines):
    """Return `Missing parameters: pMin: <double>` of a configuration check, or an empty text."""
    found, is_listed = [], False
    for line in lines:
        match = _LIST.match(line)
        if match:
            is_listed = True
            found.append(match.group())
        elif is_listed and line[:1] in ("-", "+") and not is_rule(line):
            found.append(re.sub(r"\s+", " ", line[1:].strip()))
    return " ".join(found)


def _place(header, body):
    """Return where it happened: module, event or phase, or line and file; empty where nothing tells."""
    labelled, thrown, ended = _LABELLED.search(body), _THROWN.search(body), _END_JOB.search(body)
    constructed, named, line = _HEADER.search(header), _LABEL_ONLY.search(body), _LINE.search(body)
    if labelled:
        return "{}/{}".format(labelled.group(2), labelled.group(1))
    if thrown:
        kind, label, run, subrun, event, phase = thrown.groups()
        where = _event(run, subrun, event) if run else phase
        return "{}/{}{}".format(kind, label, ", " + where if where else "")
    if ended:
        return "{}/{}, {}".format(*ended.groups()[:3])
    if constructed:
        return "{}/{}, {}".format(*constructed.groups())
    if named:
        return "module {}".format(named.group(1))
    return "line {} of {}".format(*line.groups()) if line and not _is_told(line, body) else ""


def _is_told(line, body):
    """Tell whether the first line of the text says the place by itself."""
    return _first(_blocks(body)[0][-1][1]).find(line.group(2)) >= 0


def _event(run, subrun, event):
    words = [("run", run), ("subRun", subrun), ("event", event)]
    return " ".join("{} {}".format(name, number) for name, number in words if number)
