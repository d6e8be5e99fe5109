"""What art's log reports: how far it came, how it closed, its seeds, and how many events it saw.

Sources: art's report of events begun, Tracer, closing line, `TrigReport Events`, `%MSG-i RANDOM`,
and the end-of-job summary of LArSoft's NuRandomService. Text in, text out: colours are to be taken
out first, and all whitespace counts as wrapping.
"""

import re
from typing import Any, Dict, List, Optional, Tuple

from jobprov.provenance.capture.logs import art_place

_EVENT = r"run: (\d+) subRun: (\d+) event: (\d+)"
_BEGUN = re.compile(
    r"^(?:Begin processing the \d+\w\w record\.|%MSG-\w .*?|\+{4} processing event:) +" + _EVENT,
    re.MULTILINE,
)
_BEGUN_FIELDS = ("run", "subrun", "event")
_CONTEXT = re.compile(r"^%MSG-\w [^\s].*?:\s+[\w:/]+:\w+@(\w+)\s")
_ENTERED = re.compile(
    r"^\++ (?:(constructing|beginJob|endJob) module"
    r"|module for (begin run|begin subRun|event|end subRun|end run)): ?(\S+)$"
)
_LEFT = re.compile(
    r"^\++ (?:(construction|beginJob|endJob) finished"
    r"|finished for (begin run|begin subRun|event|end subRun|end run)): ?(\S+)$"
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
    r"^\s*(?P<number>\d+|\S*[^\d\s]\S*)?\s+(?:(?P<seed>\d+)|\(same\))?"
    r"\s*(?P<module>[A-Za-z_]\w*)(?:[.:](?P<instance>\w+))?(?: \(global\))?\s*$"
)
_LONGEST_ROW = 200
_BASE_SEED = re.compile(r"^\s*(?:master seed|Base Seed):\s*(\d+)\s*$", re.IGNORECASE)
_MOST_SEEDS = 2000


def failing_run(text: str) -> str:
    """Return the part of a log about the run of art that failed last.

    A job may run art more than once.

    The closing line ends a run. What comes after the last one is a run that was cut off, where it
    is art's.
    """
    ends = list(_CLOSING.finditer(text))
    if not ends:
        return text
    rest = text[ends[-1].end() :]
    if _IS_ARTS.search(rest):
        return rest
    failed, start = text, 0
    for end in ends:
        if end.group(1) != "0":
            failed = text[start : end.end()]
        start = end.end()
    return failed


def closing_status(text: str) -> Optional[int]:
    """Return the status of the last closing line, or None without one."""
    statuses = _CLOSING.findall(text)
    return int(statuses[-1]) if statuses else None


def reached(text: str) -> Dict[str, Any]:
    """Return {phase, module_label, run, subrun, event} of where the last run of art was when its log ends.

    As far as the log has it.
    """
    place: Dict[str, Any] = {}
    entered: List[Tuple[str, str]] = []
    for line in text.split("\n"):
        begun = _BEGUN.match(line)
        if begun:
            place.update(zip(_BEGUN_FIELDS, begun.groups()))  # noqa: B905 - Python 3.6
            place["phase"] = "event loop"
        if line.startswith("%MSG"):
            context = _CONTEXT.match(line)
            if "MF_INIT_OK" in line:  # the message facility starts: a new run
                place, entered = {"phase": "construction"}, []
            elif context and not begun:
                place["phase"] = art_place.phase_of(context.group(1))
        elif line.startswith("++"):
            _follow(line, entered)
    if entered:
        place["phase"], place["module_label"] = entered[-1]
    return place


def last_event(text: str) -> Optional[str]:
    """Return `run 1 subRun 2 event 3` of the event begun last, or None."""
    events = _BEGUN.findall(text)
    return "run {} subRun {} event {}".format(*events[-1]) if events else None


def count_events(text: str) -> Optional[Dict[str, int]]:
    """Return {total, passed, failed} of the last report, or None without one."""
    reports = _EVENTS.findall(text)
    if not reports:
        return None
    total, passed, failed = reports[-1]
    return {"total": int(total), "passed": int(passed), "failed": int(failed)}


def seeds(text: str) -> List[Dict[str, Any]]:
    """Return [{module, instance, engine, seed}] as the log lists them, each once, in their order."""
    entries: List[Dict[str, Any]] = []
    for engine, module, instance, seed in _SEED.findall(text):
        entries.append(
            {"module": module, "instance": instance, "engine": engine, "seed": int(seed)}
        )
    entries += _summarised(text)
    unique: List[Dict[str, Any]] = []
    for entry in entries[:_MOST_SEEDS]:
        if entry not in unique:
            unique.append(entry)
    return unique


def may_tell_seeds(content: bytes) -> bool:
    """Tell whether it is worth looking for seeds in a log's bytes."""
    return b"with seed " in content or b"Summary of seeds computed" in content


def _summarised(text: str) -> List[Dict[str, Any]]:
    """Return the seeds of the end-of-job summaries of NuRandomService, LArSeedService and Mu2e's SeedService."""
    entries: List[Dict[str, Any]] = []
    service = None
    for line in text.splitlines():
        begun = _SUMMARY.match(line)
        if begun:
            service = begun.group(1)
        elif line.startswith("%MSG"):
            service = None
        elif service:
            base, row = _BASE_SEED.match(line), _SUMMARY_ROW.match(line[:_LONGEST_ROW])
            if base:
                entries.append({"module": service, "instance": "base", "seed": int(base.group(1))})
            elif row:
                entries += _summary_entry(row)
    return entries


def _summary_entry(row: Any) -> List[Dict[str, Any]]:
    """Return a row of a summary as a list of one; empty where it has no seed.

    A seed may be the row's only number.
    """
    seed = row.group("seed") or row.group("number") or ""
    if not seed.isdigit():
        return []
    return [
        {"module": row.group("module"), "instance": row.group("instance") or "", "seed": int(seed)}
    ]


def _follow(line: str, entered: List[Tuple[str, str]]) -> None:
    """Keep the list of (phase, module) that were entered and not left, as Tracer prints it."""
    match = _ENTERED.match(line)
    if match:
        entered.append((_tracer_phase(match), match.group(3)))
        return
    match = _LEFT.match(line)
    if match:
        key = (_tracer_phase(match), match.group(3))
        if key in entered:
            entered.remove(key)


def _tracer_phase(match: Any) -> str:
    """Return `construction` for `constructing`, `beginRun` for `begin run`, and other words as they are."""
    word: str = match.group(1) or match.group(2)
    if word == "constructing":
        return "construction"
    first, *others = word.split()
    return first + "".join(other[0].upper() + other[1:] for other in others)
