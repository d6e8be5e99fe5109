"""One job out of what several witnesses saw.

Field by field, the first witness in the precedence that has a value gives it; lists are taken
whole. The result does not depend on the order of arrival. Where two witnesses say different things,
both values are kept for the page to show. Moments, amounts and reasons each witness takes its own
way: they contradict each other only where no way of looking explains the difference.

Source: record.md, "Witnesses".
"""

from typing import Any

import msgspec

from jobprov.provenance.records.identity import witness_rank
from jobprov.provenance.records.job_record import PROVISIONAL
from jobprov.provenance.records.times import read_time

# Each witness says these of itself; that they differ contradicts nothing.
_OWN = frozenset({"witness", "sent_at", "hook", "extra", "schema_version", "state"})

# What a witness knows only once the job is over.
_ENDING = frozenset({"state", "exit", "ended_at", "resources", "outputs", "logs", "modules"})

# Read on a clock, meter or in words of its own by each witness: inside the job, on the node, at the
# submit host.
_OWN_WAY = (
    "resources.",
    "exit.message",
    "exit.error_class",
    "exit.failed_step",
    "host.slot",
    "host.cpu",
    "host.cores",
    "host.memory",
)
_APART_SECONDS = 3600.0  # bringing the input may take as long; a wrong clock is further off


class Contradiction(msgspec.Struct, frozen=True):
    """A field of which witnesses say different things.

    Attributes:
        field: path, as `exit.code`.
        values: what each witness says, by witness.
    """

    field: str
    values: dict[str, Any]

    @property
    def is_serious(self) -> bool:
        """Whether one of the witnesses must be wrong; else each saw it in its own way."""
        if self.field.startswith(_OWN_WAY):
            return False
        values = list(self.values.values())
        if self.field.endswith("_at") and (moments := _moments(values)):
            return max(moments) - min(moments) > _APART_SECONDS
        if self.field == "host.hostname":  # with and without its domain
            return len({str(value).split(".")[0].lower() for value in values}) > 1
        return True


def merge_witnesses(
    records: dict[str, dict[str, Any]],
) -> tuple[dict[str, Any], list[Contradiction]]:
    """Return the merged record and the contradictions, from plain JSON records by witness.

    A final state goes before a provisional one whoever saw it: a witness that lost sight of the job
    does not overrule one that saw it end. That it runs, a witness says at its beginning: any other
    word is newer. So far for how it ended; what it was, a witness knows at its beginning as well as
    later, and the precedence alone decides.
    """
    by_rank = sorted(records, key=witness_rank)
    ordered = sorted(by_rank, key=lambda name: _place_of(records[name].get("state")))
    merged: dict[str, Any] = {}
    contradictions: list[Contradiction] = []
    for name in ordered:
        fill(merged, {key: value for key, value in records[name].items() if key in _ENDING})
    for name in by_rank:
        fill(merged, {key: value for key, value in records[name].items() if key not in _ENDING})
    if len(ordered) > 1:
        finals = {
            name: records[name] for name in ordered if records[name].get("state") not in PROVISIONAL
        }
        contradictions = _contradictions(finals, "")
    return merged, contradictions


def _place_of(state: Any) -> int:
    return 2 if state == "running" else int(state in PROVISIONAL)


def fill(target: dict[str, Any], source: dict[str, Any]) -> None:
    """Put into the target what it lacks and the source has; lists are taken whole."""
    for key, value in source.items():
        held = target.get(key)
        if held is None or held == []:
            target[key] = dict(value) if isinstance(value, dict) else value
        elif isinstance(held, dict) and isinstance(value, dict):
            copy = dict(held)
            fill(copy, value)
            target[key] = copy


def _contradictions(records: dict[str, dict[str, Any]], prefix: str) -> list[Contradiction]:
    found = []
    for key in sorted({key for record in records.values() for key in record}):
        if not prefix and key in _OWN and key != "state":
            continue
        values = {
            name: record[key] for name, record in records.items() if record.get(key) is not None
        }
        path = f"{prefix}{key}"
        if len(values) > 1 and all(isinstance(value, dict) for value in values.values()):
            found += _contradictions(values, f"{path}.")
        elif len(values) > 1 and _differ(key, list(values.values())):
            found.append(Contradiction(path, values))
    return found


def _differ(key: str, values: list[Any]) -> bool:
    """Return whether these are single values and not all the same.

    A moment may be written in several ways.
    """
    first, *others = values
    if any(isinstance(value, list | dict) for value in values) or all(
        other == first for other in others
    ):
        return False
    return not key.endswith("_at") or len(set(_moments(values))) != 1


def _moments(values: list[Any]) -> list[float]:
    """Return seconds since 1970; nothing where one is no moment."""
    moments = [moment.timestamp() for moment in map(read_time, values) if moment is not None]
    return moments if len(moments) == len(values) else []
