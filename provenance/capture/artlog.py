"""What art's log says of itself: how far it came, how it closed, its seeds, and how many events it saw.

Sources: art's report of events begun, Tracer, closing line, `TrigReport Events`, `%MSG-i RANDOM`,
and the end-of-job summary of LArSoft's NuRandomService. Text in, text out: colours are to be taken
out first, and all whitespace counts as wrapping.
"""

import re

from jobprov.provenance.capture import artfailure

_EVENT = r"run: (\d+) subRun: (\d+) event: (\d+)"
_BEGUN = re.compile(
    r"^(?:Begin processing the \d+\w\w record\.|%MSG-\w .*?|\+{4} processing event:) +" + _EVENT,
    re.MULTILINE,
)
_CONTEXT = re.compile(r"^%MSG-\w [^\s].*?:\s+[\w:]+:\w+@(\w+)\s")
_ENTERED = re.compile(
    r"^\++ (?:(constructing|beginJob|endJob) module|module for (begin run|begin subRun|event|end subRun|end run)): ?(\S+)$"
)
_LEFT = re.compile(
    r"^\++ (?:(construction|beginJob|endJob) finished|finished for (begin run|begin subRun|event|end subRun|end run)): ?(\S+)$"
)
_CLOSING = re.compile(
    r"^Art has completed and will exit with status (\d+)\.[^\n]*\n?", re.MULTILINE
)
_IS_ARTS = re.compile(r"^(?:%MSG|.*?---- .+ BEGIN\s*$|Begin processing the |\+\+ )", re.MULTILINE)
_EVENTS = re.compile(
    r"^TrigReport Events total = (\d+) passed = (\d+) failed = (\d+)", re.MULTILINE
)
_SEED = re.compile(
    r"^Instantiated (\w+) engine \"([^:\"]*):\d+:([^\"]*)\" with seed (\d+)\.", re.MULTILINE
)
_SUMMARY = re.compile(r"^Summary of seeds computed by the (\w+)")
_SUMMARY_ROW = re.compile(
    r"^\s*(\d+|\S*[^\d\s]\S*)?\s+(?:(\d+)|\(same\))?\s*([A-Za-z_]\w*)(?:[.:](\w+))?(?: \(global\))?\s*$"
)
_BASE_SEED = re.compile(r"^\s*(?:master seed|Base Seed):\s*(\d+)\s*$", re.IGNORECASE)
_MOST_SEEDS = 2000


def failing_run(text):
    """Return the part of a log that tells of the run of art that failed last.

    A job may run art more than once.

    The closing line ends a run. What comes after the last one is a run that was cut off, where it
    is art's.
    """
    ends = list(_CLOSING.finditer(text))
    rest = text[ends[-1].end() :] if ends else text
    if not ends or _IS_ARTS.search(rest):
        return rest
    starts = [0] + [end.end() for end in ends]
    failed = [text[start : end.end()] for start, end in zip(starts, ends) if end.group(1) != "0"]  # noqa: B905
    return failed[-1] if failed else text


def closing_status(text):
    """Return the status of the last closing line, or None without one."""
    found = _CLOSING.findall(text)
    return int(found[-1]) if found else None


def reached(text):
    """Return {phase, module_label, run, subrun, event} of where the last run of art was when its log ends, as far as it tells."""
    found, entered = {}, []
    for line in text.split("\n"):
        begun = _BEGUN.match(line)
        if begun:
            found.update(zip(("run", "subrun", "event"), begun.groups()), phase="event loop")  # noqa: B905
        if line.startswith("%MSG"):
            context = _CONTEXT.match(line)
            if "MF_INIT_OK" in line:
                found, entered = {"phase": "construction"}, []
            elif context and not begun:
                found["phase"] = artfailure.phase_of(context.group(1))
        elif line.startswith("++"):
            _follow(line, entered)
    if entered:
        phase, label = entered[-1]
        found.update(phase=phase, module_label=label)
    return found


def last_event(text):
    """Return `run 1 subRun 2 event 3` of the event begun last, or None."""
    found = _BEGUN.findall(text)
    return "run {} subRun {} event {}".format(*found[-1]) if found else None


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


def _follow(line, entered):
    """Keep the list of (phase, module) that Tracer says were entered and not left."""
    match = _ENTERED.match(line)
    if match:
        phase = {"constructing": "construction"}.get(match.group(1), match.group(1)) or _joined(
            match.group(2)
        )
        entered.append((phase, match.group(3)))
        return
    match = _LEFT.match(line)
    if match:
        key = (match.group(1) or _joined(match.group(2)), match.group(3))
        if key in entered:
            entered.remove(key)


def _joined(words):
    """Return `beginRun` for `begin run`."""
    first, *others = words.split()
    return first + "".join(word[0].upper() + word[1:] for word in others)
