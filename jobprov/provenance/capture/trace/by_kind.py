"""What a traced job used stands for the jobs of its kind that were not traced."""

import os
from typing import TYPE_CHECKING, Collection, Dict, List, Optional

from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.json_objects import Answer
from jobprov.provenance.capture.running.background import hash_seconds
from jobprov.provenance.capture.sight.sight import Sight
from jobprov.provenance.capture.trace import calls as kinds
from jobprov.provenance.capture.trace import home_settings
from jobprov.provenance.capture.trace.elsewhere import files_of
from jobprov.provenance.capture.trace.turn import Turn
from jobprov.provenance.capture.trace.unkept import BUDGET_BYTES, MOST_KEPT, Touched, Unkept, extend

if TYPE_CHECKING:
    from jobprov.provenance.capture.command.step import Step

_BY_KIND = "{}; the traced job of this kind used it"
_NOT_HERE = "what this one used instead is not known"
_NOT_KNOWN = "whether this one did is not known"
_UNTOLD = "the traced job of this kind used or looked for {} more files than its record names"
_SHOWN = 5


class StandIn:
    """Stands for a trace: this job used what the traced job of its kind used.

    Attributes:
        calls: as if it had been traced.
        missing: paths that are not here.
        own_elsewhere: paths of the traced job's own files; this job has others, or others under the
            same names.
    """

    def __init__(self, used: Dict[str, List[str]], made: Collection[str]) -> None:
        """Prepare; `made` are paths at which this job made or put files as the traced one did."""
        self.calls = kinds.Calls(os.getcwd())
        self.missing: List[str] = []
        self.own_elsewhere: List[str] = []
        for name, use in (("files", kinds.READ), ("code", kinds.EXECUTED)):
            for given in used.get(name, ())[:MOST_KEPT]:
                path = os.path.abspath(given)
                if not os.path.lexists(path):
                    self.missing.append(path)
                elif os.path.isfile(path) and path not in made:
                    self.calls.uses[path] = use
        for given in used.get("absent", ())[:MOST_KEPT]:
            path = os.path.abspath(os.path.expanduser(given))
            if os.path.isfile(path) and path not in made:
                self.calls.uses[path] = kinds.READ
            elif given.startswith("~") and os.path.isdir(path):
                self.calls.listed.add(path)  # whoever looks for it may look at what is in it
        for given in used.get("own", ())[:MOST_KEPT]:
            path = os.path.abspath(given)
            if not os.path.isabs(given) and os.path.isfile(path):
                self.calls.uses[path] = kinds.READ
            else:
                self.own_elsewhere.append(path)


def add_used(
    turn: Turn, draft: Draft, step: "Step", sight: Optional[Sight], options: Options
) -> None:
    """Add to the record what the traced job of the same kind used, as if this one was traced.

    What is not there for this job, or cannot be kept, is told by name.
    """
    of_earlier_steps = draft.record.pop("trace", {})
    stand_in = StandIn(turn.used, sight.made() if sight is not None else ())
    if turn.used:
        touched = Touched(stand_in.calls, (), step.began)
        unkept = Unkept(draft, touched, step.name, (), step.began)
        unkept.sort(options.number("trace-bytes", BUDGET_BYTES))
        unkept.add(sight, Clock(hash_seconds(options)))
        no_parents = turn.used.get("no_parents", ())
        for entry in draft.record.get("inputs", ()):
            if entry.get("evidence") == "traced" and entry["path"] in no_parents:
                entry["role"] = "configuration"
    told = draft.record.pop("trace", {})
    if turn.is_pending:
        if turn.key not in of_earlier_steps.get("waits_for", ()):
            extend(of_earlier_steps, "waits_for", [turn.key])
        known = files_of(draft.record, draft.record.get("outputs", ()))
        settings = home_settings.list_settings(dict(os.environ), known, step.began)
        extend(of_earlier_steps, "home_settings", settings, most=2 * home_settings.MOST_NAMES)
    if of_earlier_steps:
        draft.record["trace"] = of_earlier_steps
    _weaken_by_kind(draft, turn, told, step.began)
    if turn.left_out:
        draft.weaken("reads-unseen", _UNTOLD.format(turn.left_out), _NOT_KNOWN)
    missing = stand_in.missing
    if _count_own_inputs(draft, set(turn.used.get("files", ()))) < len(stand_in.own_elsewhere):
        missing += stand_in.own_elsewhere
    if missing:
        shown = ", ".join(missing[:_SHOWN])
        draft.weaken("reads-unseen", "the traced job of this kind used " + shown, _NOT_HERE)


def _weaken_by_kind(draft: Draft, turn: Turn, told: Answer, began: float) -> None:
    """Name what a rerun lacks of what the traced job of the kind used."""
    for file in told.get("not_kept", ()):
        draft.weaken("touched-not-kept", file["path"], _BY_KIND.format(file["reason"]))
    for path in told.get("changed", ()):
        draft.weaken("changed-while-running", "input " + path, "what was there before is not kept")
    for path in turn.used.get("changed", ()):
        if _is_changed(path, began):
            draft.weaken("changed-while-running", "input " + path, _BY_KIND.format("changed"))
    for host in turn.used.get("hosts", ()):
        draft.weaken("network-used", host, "the traced job of this kind connected to it")


def _is_changed(path: str, began: float) -> bool:
    """Tell whether a file is no longer as it was at a moment, or gone."""
    try:
        return os.stat(path).st_ctime >= began
    except (OSError, ValueError):
        return True


def _count_own_inputs(draft: Draft, shared: Collection[str]) -> int:
    """Return how many inputs nobody named the record has that not all jobs of the kind use.

    One at two places counts once. Those that are named do not count: jobs of a kind have the same
    options, so what the traced one had beside them, this one has, too.
    """
    named, found = set(), set()
    for entry in draft.record.get("inputs", ()):
        content = entry.get("sha256", entry["name"])
        if entry.get("evidence") not in ("seen", "traced"):
            named.add(content)
        elif entry["path"] not in shared:
            found.add(content)
    return len(found - named)
