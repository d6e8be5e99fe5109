"""One job out of what several witnesses saw.

Field by field, the first witness in the precedence that has a value gives it; lists are taken
whole. The result does not depend on the order of arrival. If two witnesses differ, both values are
kept for the page to show. Each witness measures times, amounts and reasons in its own way: they
contradict each other only if no way of measuring explains the difference.

Source: record.md, "Witnesses".
"""

from collections.abc import Iterator

import msgspec

from jobprov.provenance.records.identity import witness_rank
from jobprov.provenance.records.job_record import PROVISIONAL, JsonObject
from jobprov.provenance.records.reading.times import read_time

# What each witness records of itself; differences contradict nothing.
_OWN = frozenset({"witness", "sent_at", "hook", "extra", "schema_version"})

# What a witness knows only once the job is over.
_ENDING = frozenset(
    {
        "state",
        "exit",
        "ended_at",
        "resources",
        "outputs",
        "outputs_not_there",
        "logs",
        "modules",
        "trace",
        "weaknesses",
    }
)

# What each witness reads on its own clock or meter, or puts in its own words: inside the job, on
# the node, at the submit host.
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


class Disagreement(msgspec.Struct, frozen=True):
    """A field in which witnesses differ.

    Attributes:
        field: its path, such as `exit.code`.
        values: what each witness says.
        is_explained: no gap. One of them names the evidence by which it judges, `decided_by`, or
            saw the end of a failed step where the others saw that of its script.
    """

    field: str
    values: JsonObject
    is_explained: bool

    @property
    def is_serious(self) -> bool:
        """Whether one of the witnesses must be wrong; else each saw it in its own way."""
        if self.is_explained or self.field.startswith(_OWN_WAY):
            return False
        values = list(self.values.values())
        if self.field.endswith("_at"):
            moments = _moments(values)
            if moments:
                return max(moments) - min(moments) > _APART_SECONDS
        if self.field == "host.hostname":
            # With and without its domain
            names = {str(value).split(".")[0].lower() for value in values}
            return len(names) > 1
        return True


def merge_witnesses(
    records: dict[str, JsonObject],
) -> tuple[JsonObject, list[Disagreement]]:
    """Return the merged record and the contradictions, from plain JSON records by witness.

    For fields about the job's end, a final state goes before a provisional one, whoever saw it: a
    witness that lost sight of the job does not overrule one that saw it end. `running` comes last,
    since witnesses report it at the beginning. For all other fields, which a witness knows at the
    beginning as well as later, the precedence alone decides.
    """
    by_rank = sorted(records, key=witness_rank)
    by_state = sorted(by_rank, key=lambda witness: _state_rank(records[witness].get("state")))
    merged: JsonObject = {}
    for witness in by_state:
        record = records[witness]
        fill(merged, {key: value for key, value in record.items() if key in _ENDING})
    for witness in by_rank:
        record = records[witness]
        fill(merged, {key: value for key, value in record.items() if key not in _ENDING})
    # What is in a provisional record may still change, so it contradicts nothing
    finals: dict[str, JsonObject] = {}
    for witness in by_state:
        if records[witness].get("state") not in PROVISIONAL:
            finals[witness] = records[witness]
    return merged, _contradictions(finals)


def _contradictions(finals: dict[str, JsonObject]) -> list[Disagreement]:
    """Return the contradictions of final records, and whether each is explained."""
    contradictions = []
    for field, values in _differences(finals, ""):
        is_explained = _is_of_step(field, values, finals)
        if field == "state" and _has_evidence(finals):
            is_explained = True
        contradictions.append(Disagreement(field, values, is_explained))
    return contradictions


def _is_of_step(field: str, values: dict[str, object], finals: dict[str, JsonObject]) -> bool:
    """Return whether some witnesses name the end of a failed step, the others that of its script.

    A job script may go on after a failed step and exit with a code of its own, often 0. The hook
    then records the step's failure and the batch system the script's exit code: both are right.
    """
    if field not in ("state", "exit.code"):
        return False
    ends_of_script = []
    for witness, value in values.items():
        record = finals[witness]
        if _names_end_of_step(field, record):
            continue
        # A script that was killed did not choose its exit code
        if record.get("state") not in ("succeeded", "failed"):
            return False
        ends_of_script.append(value)
    if not ends_of_script:
        return False
    return all(value == ends_of_script[0] for value in ends_of_script)


def _names_end_of_step(field: str, record: JsonObject) -> bool:
    """Return whether a record's state or exit code is that of a failed step of a job script."""
    ending, command = record.get("exit"), record.get("command")
    if not isinstance(ending, dict) or not isinstance(command, dict):
        return False
    steps = command.get("steps")
    if not isinstance(steps, list):
        return False
    for step in steps:
        if not isinstance(step, dict) or step.get("name") != ending.get("failed_step"):
            continue
        # A job that is one command has it as its only step: there is no script around it
        if step.get("argv") == command.get("argv") or not step.get("exit_code"):
            continue
        if field == "state" or step["exit_code"] == ending.get("code"):
            return True
    return False


def _has_evidence(records: dict[str, JsonObject]) -> bool:
    """Return whether the witnesses saw one end, which one of them has evidence to call a failure.

    The log or a missing output beats the exit code 0 of a shell, which is all that others saw.
    """
    states = set()
    is_decided = False
    for record in records.values():
        ending = record.get("exit")
        if not isinstance(ending, dict):
            ending = {}
        if ending.get("code") not in (0, None) or ending.get("signal") is not None:
            return False
        states.add(record.get("state"))
        if record.get("state") == "failed" and ending.get("decided_by"):
            is_decided = True
    return is_decided and states == {"failed", "succeeded"}


def _state_rank(state: object) -> int:
    """Return 0 for a final state; 1 where sight of the job was lost; 2 for one at the beginning."""
    if state == "running":
        return 2
    if state in PROVISIONAL:
        return 1
    return 0


def fill(target: JsonObject, source: JsonObject) -> None:
    """Put into the target what it lacks and the source has; lists are taken whole."""
    for key, value in source.items():
        present = target.get(key)
        if present is None or present == []:
            target[key] = value
        elif isinstance(present, dict) and isinstance(value, dict):
            # A copy, since the object is part of a witness's record
            target[key] = dict(present)
            fill(target[key], value)


def _differences(
    records: dict[str, JsonObject], prefix: str
) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield (path of a field, values by witness) of each field whose values differ."""
    if len(records) < 2:  # noqa: PLR2004 - one witness contradicts nobody
        return
    for key in sorted(set().union(*records.values())):
        path = f"{prefix}{key}"
        if path in _OWN:
            continue
        values = _values_of(key, records)
        objects = {witness: value for witness, value in values.items() if isinstance(value, dict)}
        if len(objects) == len(values):
            yield from _differences(objects, f"{path}.")
        elif _differ(key, list(values.values())):
            yield path, values


def _values_of(key: str, records: dict[str, JsonObject]) -> dict[str, object]:
    """Return the value of a field by witness; witnesses that do not know it are left out."""
    values = {}
    for witness, record in records.items():
        if record.get(key) is not None:
            values[witness] = record[key]
    return values


def _differ(key: str, values: list[object]) -> bool:
    """Return whether these are single values and not all the same.

    A moment may be written in several ways.
    """
    if any(isinstance(value, list | dict) for value in values):
        return False
    if all(value == values[0] for value in values):
        return False
    return not key.endswith("_at") or len(set(_moments(values))) != 1


def _moments(values: list[object]) -> list[float]:
    """Return moments in seconds since 1970; none if one of the values is not one."""
    moments = []
    for value in values:
        moment = read_time(value)
        if moment is None:
            return []
        moments.append(moment.timestamp())
    return moments
