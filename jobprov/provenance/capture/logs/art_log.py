"""How far art came, as its log tells.

Sources: art's report of events begun, and Tracer. Text in, text out: colours are to be taken out
first, and all whitespace counts as wrapping.
"""

import re
from typing import Any, List, Sequence, Tuple

from jobprov.provenance.capture.logs import art_place, art_report
from jobprov.provenance.capture.record.json_objects import Finding

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
_BEGINS, _HANDLED = "MF_INIT_OK", "Art has handled signal "
_LEFT = re.compile(
    r"^\++ (?:(construction|beginJob|endJob) finished"
    r"|finished for (begin run|begin subRun|event|end subRun|end run)): ?(\S+)$"
)
_IS_ARTS = re.compile(r"^(?:%MSG|.*?---- .+ BEGIN\s*$|Begin processing the |\+\+ )", re.MULTILINE)


def failing_run(text: str) -> str:
    """Return the part of a log about the run of art that failed last.

    A job may run art more than once.

    The closing line ends a run. What comes after the last one is a run that was cut off, where it
    is art's.
    """
    ends = list(art_report.CLOSING.finditer(text))
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


def has_ended_well(runs: Sequence[str]) -> bool:
    """Tell whether logs have runs of art, and all of them ended with status 0.

    Art may write its messages to one log and its closing line to another.
    """
    has_closing, begun, ended = False, 0, 0
    for run in runs:
        statuses, has_place = art_report.CLOSING.findall(run), bool(reached(run))
        if _HANDLED in run or set(statuses) - {"0"}:
            return False
        has_closing = has_closing or bool(statuses)
        if has_place and not statuses:
            begun += max(1, run.count(_BEGINS))
        elif not has_place:
            ended += len(statuses)
    return has_closing and begun <= ended


def after_closing(text: str) -> str:
    """Return what a log has after art's last closing line, all where there is none."""
    ends = [end.end() for end in art_report.CLOSING.finditer(text)]
    return text[ends[-1] :] if ends else text


def reached(text: str) -> Finding:
    """Return {phase, module_label, run, subrun, event} of where art was when its log ends.

    As far as the log has it.
    """
    place: Finding = {}
    entered: List[Tuple[str, str]] = []
    for line in text.split("\n"):
        begun = _BEGUN.match(line)
        if begun:
            place.update(zip(_BEGUN_FIELDS, begun.groups()))  # noqa: B905 - Python 3.6
            place["phase"] = "event loop"
        if line.startswith("%MSG"):
            context = _CONTEXT.match(line)
            if _BEGINS in line:  # the message facility starts: a new run
                place, entered = {"phase": "construction"}, []
            elif context and not begun:
                place["phase"] = art_place.phase_of(context.group(1))
        elif line.startswith("++"):
            _follow(line, entered)
    if entered:
        place["phase"], place["module_label"] = entered[-1]
    return place


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
    """Return `construction` for `constructing`, `beginRun` for `begin run`, others as they are."""
    word: str = match.group(1) or match.group(2)
    if word == "constructing":
        return "construction"
    first, *others = word.split()
    return first + "".join(other[0].upper() + other[1:] for other in others)
