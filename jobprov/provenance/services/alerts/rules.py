"""Rules of alerts and their receivers, by experiment, from an operator's TOML file.

[nova]
quiet = "22:00-07:00"            # messages wait until the morning, but those of urgent rules
time_zone = "America/Chicago"

[nova.receivers.shifters]
url_file = "/etc/jobprov/shifters"   # holds an address of apprise; or url_variable

[[nova.rules]]
name = "many jobs fail"
when = "failure_share"
over = 0.2
window = "1h"
to = ["shifters"]

No address stands in this file, since they hold secrets. Source: docs/reference/alerts.md.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, NoReturn, get_args
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from jobprov.provenance.db.queries.alerts.watched import MOST_LOOKED_AT
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.launchers.toml_lines import line_numbers, line_of
from jobprov.provenance.records.reading.documents import check_experiment_name
from jobprov.provenance.records.reading.misfits import misfit
from jobprov.provenance.services.statistics.throughput import length_of

MOST_RULES = 50
MOST_RECEIVERS = 16
LONGEST_WINDOW = timedelta(days=7)
CALM = "10m"
_Name = Annotated[str, Meta(min_length=1, max_length=80, pattern="^[^\\x00-\\x1f\\x7f]+$")]
_Text = Annotated[str, Meta(min_length=1, max_length=1000)]
_Count = Annotated[int, Meta(ge=0, lt=MOST_LOOKED_AT)]
_Least = Annotated[int, Meta(ge=1, lt=MOST_LOOKED_AT)]
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_QUIET = re.compile(rf"({_TIME})-({_TIME})")


class Rule(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, tag_field="when"):
    """What all rules have.

    Attributes:
        name: shown in messages; unique in an experiment.
        to: names of receivers.
        urgent: sent in quiet hours, too.
    """

    name: _Name
    to: Annotated[list[_Name], Meta(min_length=1, max_length=MOST_RECEIVERS)]
    urgent: bool = False

    @property
    def condition(self) -> str:
        """What is watched, as the file calls it."""
        return str(self.__struct_config__.tag)


class JobsRule(Rule, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A rule about jobs that ended within a window; None for what does not matter."""

    campaign: _Text | None = None
    stage: _Text | None = None
    site: _Text | None = None
    window: _Text = "1h"


class FailureShare(JobsRule, frozen=True, forbid_unknown_fields=True, tag="failure_share"):
    """More than a share of the jobs that ended failed.

    Attributes:
        over: the share, from 0 to 1.
        least: jobs that have to have ended before a share means anything.
        by: each stage or site alone.
    """

    over: Annotated[float, Meta(ge=0, lt=1)]
    least: _Least = 10
    by: Literal["stage", "site"] | None = None


class FailureCount(JobsRule, frozen=True, forbid_unknown_fields=True, tag="failure_count"):
    """More than so many jobs failed."""

    over: _Count
    by: Literal["stage", "site"] | None = None


class NewCause(JobsRule, frozen=True, forbid_unknown_fields=True, tag="new_cause"):
    """Jobs failed of a cause that no job had failed of before the window.

    Attributes:
        least: how many.
    """

    least: _Least = 3
    window: _Text = "24h"


class Stuck(Rule, frozen=True, forbid_unknown_fields=True, tag="stuck"):
    """More than so many jobs run and neither use CPU nor write to their logs."""

    over: _Count = 0


class Held(Rule, frozen=True, forbid_unknown_fields=True, tag="held"):
    """More than so many jobs are held in queues."""

    over: _Count = 0


class NoRecord(Rule, frozen=True, forbid_unknown_fields=True, tag="no_record"):
    """No final record came for so many hours."""

    hours: Annotated[float, Meta(gt=0, le=24 * 366)]


class Disk(Rule, frozen=True, forbid_unknown_fields=True, tag="disk"):
    """The disk of the service has less left than so many GB."""

    below_gb: Annotated[float, Meta(gt=0, le=1e9)]


class DrillDiffers(Rule, frozen=True, forbid_unknown_fields=True, tag="drill_differs"):
    """The newest rerun of recipes by jobprov failed, or gave other outputs."""

    over: _Count = 0


class StageDone(Rule, frozen=True, forbid_unknown_fields=True, tag="stage_done"):
    """All units of a stage are made or waived; without `stage`, of each stage of the campaign."""

    campaign: _Text
    stage: _Text | None = None


AnyRule = (
    FailureShare
    | FailureCount
    | NewCause
    | Stuck
    | Held
    | NoRecord
    | Disk
    | DrillDiffers
    | StageDone
)
_CONDITIONS = {str(kind.__struct_config__.tag): kind for kind in get_args(AnyRule)}
"""The kinds of rules, by the name that a file has for what they watch."""


class Receiver(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where the address of a receiver is: in the first line of a file, or in a variable."""

    url_file: _Text | None = None
    url_variable: Annotated[str, Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$")] | None = None


class _Table(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The table of an experiment, its rules and receivers not read further."""

    rules: Annotated[list[dict[str, Any]], Meta(max_length=MOST_RULES)]
    receivers: Annotated[dict[_Name, dict[str, Any]], Meta(min_length=1, max_length=MOST_RECEIVERS)]
    quiet: _Text | None = None
    time_zone: _Text = "UTC"
    over_after: _Text = CALM


class QuietHours(NamedTuple):
    """A part of each day, in a time zone; it may hold midnight."""

    start: time
    end: time
    zone: tzinfo

    def ends(self, now: datetime) -> datetime | None:
        """Return when the quiet that holds now is over; None where none does."""
        here = now.astimezone(self.zone)
        for day in (here.date() - timedelta(days=1), here.date()):
            start = datetime.combine(day, self.start, self.zone)
            end = datetime.combine(day, self.end, self.zone)
            if end <= start:
                end = datetime.combine(day + timedelta(days=1), self.end, self.zone)
            if start <= here < end:
                return end
        return None


class ExperimentAlerts(NamedTuple):
    """What is watched in one experiment.

    Attributes:
        quiet: when messages wait; None for never.
        over_after: how long a rule must not have held before its alert is over.
    """

    rules: tuple[AnyRule, ...]
    receivers: Mapping[str, Receiver]
    quiet: QuietHours | None
    over_after: timedelta

    def is_urgent(self, name: str) -> bool:
        """Return whether the rule of this name is reported in quiet hours, too."""
        return any(rule.urgent for rule in self.rules if rule.name == name)


def read_alert_rules(path: Path) -> dict[str, ExperimentAlerts]:
    """Return the rules and receivers in a file, by experiment.

    Raises:
        BadInputError: the file cannot be read, or something in it is wrong; the message names the
            line.
    """
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except (OSError, ValueError) as problem:
        raise BadInputError.of_file(path, problem) from None
    reading = _Reading(path, line_numbers(text))
    return {name: reading.experiment(name, table) for name, table in document.items()}


def _place_in(path: str) -> list[str | int]:
    """Return the keys and positions of a path such as `quiet.days[2]`."""
    place: list[str | int] = []
    for part in re.split(r"[.\[\]]+", path):
        if part.isdigit():
            place.append(int(part))
        elif part:
            place.append(part)
    return place


class _Reading:
    """Reads one file; errors name the place in it that is wrong."""

    def __init__(self, path: Path, lines: Mapping[tuple[str | int, ...], int]) -> None:
        self._path = path
        self._lines = lines

    def experiment(self, name: str, table: Any) -> ExperimentAlerts:
        try:
            check_experiment_name(name)
        except BadInputError as problem:
            self._refuse((name,), str(problem).rstrip("."))
        if not isinstance(table, dict):
            self._refuse((name,), f"write it as a table [{name}]")
        read = self._convert((name,), table, _Table)
        receivers = {}
        for receiver, raw_receiver in read.receivers.items():
            place = (name, "receivers", receiver)
            receivers[receiver] = self._receiver(place, raw_receiver)
        rules: list[AnyRule] = []
        for number, raw in enumerate(read.rules):
            rules.append(self._rule((name, "rules", number), raw, read, rules))
        quiet = self._quiet(name, read)
        over_after = self._length((name, "over_after"), read.over_after)
        return ExperimentAlerts(tuple(rules), receivers, quiet, over_after)

    def _receiver(self, place: tuple[str | int, ...], raw: Mapping[str, Any]) -> Receiver:
        receiver: Receiver = self._convert(place, raw, Receiver)
        if (receiver.url_file is None) == (receiver.url_variable is None):
            self._refuse(place, "give either url_file or url_variable")
        return receiver

    def _rule(
        self,
        place: tuple[str | int, ...],
        raw: Mapping[str, Any],
        table: _Table,
        before: list[AnyRule],
    ) -> AnyRule:
        rule: AnyRule = self._convert(place, raw, AnyRule)
        if any(rule.name == other.name for other in before):
            self._refuse((*place, "name"), f"there are two rules {rule.name!r}")
        for receiver in rule.to:
            if receiver not in table.receivers:
                known = ", ".join(table.receivers)
                self._refuse((*place, "to"), f"there is no receiver {receiver!r}, only {known}")
        if isinstance(rule, JobsRule):
            window = self._length((*place, "window"), rule.window)
            if window > LONGEST_WINDOW:
                self._refuse((*place, "window"), "a window has 7 days at most")
        return rule

    def _convert(self, place: tuple[str | int, ...], raw: Any, kind: Any) -> Any:
        try:
            return msgspec.convert(raw, kind)
        except msgspec.ValidationError as problem:
            if kind is AnyRule and isinstance(raw, Mapping):
                kind = _CONDITIONS.get(str(raw.get("when")), AnyRule)  # which settings there are
            inner, message = misfit(problem, kind)
            self._refuse((*place, *_place_in(inner)), message)

    def _quiet(self, name: str, table: _Table) -> QuietHours | None:
        if table.quiet is None:
            return None
        hours = _QUIET.fullmatch(table.quiet)
        if hours is None or hours[1] == hours[2]:
            self._refuse((name, "quiet"), "give two times of the day, such as 22:00-07:00")
        try:
            zone = ZoneInfo(table.time_zone)
        except (LookupError, ValueError, OSError):
            self._refuse((name, "time_zone"), f"there is no time zone {table.time_zone[:80]!r}")
        return QuietHours(time.fromisoformat(hours[1]), time.fromisoformat(hours[2]), zone)

    def _length(self, place: tuple[str | int, ...], text: str) -> timedelta:
        try:
            return length_of(text, str(place[-1]))
        except BadInputError as problem:
            self._refuse(place, problem.fields[str(place[-1])][0])

    def _refuse(self, place: tuple[str | int, ...], problem: str) -> NoReturn:
        field = ""
        for part in place:
            field += f"[{part}]" if isinstance(part, int) else f".{part}"
        field = field.lstrip(".")
        line = line_of(self._lines, place)
        where = f"{self._path}, line {line}" if line else str(self._path)
        raise BadInputError(f"{where}: {field}: {problem}.", {field: [problem]})
