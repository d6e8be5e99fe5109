"""Rules that say in plain words what a failure was.

Conditions as data, the first rule that fits decides.

Patterns are plain text with `*` for anything, found anywhere in a line: no regular expressions, so
that no rule can keep the service busy. What a payload's exit code means only the payload's rules
say; a code is never read as an `errno` of the system.
"""

import re
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from jobprov.provenance.errors import BadInputError
from jobprov.provenance.records.reading.documents import read_document

MOST_RULES = 500
NESTED = " > "
"""Between the categories of nested exceptions in an error class, outermost first."""
LONGEST_LINE = 2000
_LEAST_PATTERN = 4
_MESSAGE_LENGTH, _LEAST_MESSAGE = 80, 8

_Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,59}$(?!\n)")]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
_Code = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**32)]
_Part = Literal["state", "step", "code", "category", "module", "subject", "message", "line"]
_BadState = Literal["failed", "killed", "lost"]


class Rule(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Conditions, all of which must hold, and what a failure is where they do.

    Attributes:
        name: of the rule, once a table.
        class_name: one word for failures of this kind, such as `memory`; `class` in JSON.
        words: what happened, for people.
        advice: what to do about it.
        transient: whether the same job may succeed when it is tried again; None where nobody knows.
        state: of the job, one of these.
        exit_code: the payload's, one of these.
        signal: by number or name, one of these.
        step: the step that failed, `*` for anything.
        program: the program of that step, `*` for anything; `art` is every program that read FHiCL.
        error_class: as the hook read it, `*` for anything; of nested categories (`DataCorruption >
            BadBlock`) all or one.
        pattern: text in a line of the exit message or of a log.
        cause: one name for all failures that this rule fits, and for those of other rules that
            have the same; else failures are one cause if they are alike.
        tell_apart: what splits the failures that this rule fits into causes; nothing for [].
    """

    name: _Name
    class_name: _Name = msgspec.field(name="class")
    words: _Text
    advice: _Text | None = None
    transient: bool | None = None
    state: Annotated[list[_BadState], msgspec.Meta(min_length=1, max_length=3)] | None = None
    exit_code: Annotated[list[_Code], msgspec.Meta(min_length=1, max_length=256)] | None = None
    signal: Annotated[list[_Code | _Text], msgspec.Meta(min_length=1, max_length=64)] | None = None
    step: _Text | None = None
    program: _Text | None = None
    error_class: _Text | None = None
    pattern: _Text | None = None
    cause: _Text | None = None
    tell_apart: Annotated[list[_Part], msgspec.Meta(max_length=8)] | None = None


class RuleTable(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The rules of an experiment, in the order in which they are tried.

    Attributes:
        who: the person who changed them last.
        why: the reason, for whoever asks in a year.
    """

    rules: Annotated[list[Rule], msgspec.Meta(max_length=MOST_RULES)]
    who: _Text
    why: _Text


_RULE_PATH = re.compile(r"rules\[(\d+)\]")
_LONGEST_NAME = 60


class Failure(NamedTuple):
    """What is known of a job that did not succeed.

    `program` is None where the record was not looked at.
    """

    state: str
    exit_code: int | None = None
    signal: int | None = None
    step: str | None = None
    program: str | None = None
    error_class: str | None = None
    message: str | None = None


class LogEnd(NamedTuple):
    """The end of a log: its lines with the position of each in the log, in bytes."""

    name: str
    lines: Sequence[tuple[int, str]]


class Match(NamedTuple):
    """The rule that fits, and the line of a log that its pattern was found in."""

    rule: Rule
    log: str | None = None
    at: int | None = None


def read_rules(document: Mapping[str, Any]) -> RuleTable:
    """Return the typed reading of an experiment's table.

    Raises:
        BadInputError: a field is missing or wrong, a name stands twice, or a rule fits everything;
            `fields` says which.
    """
    try:
        table = read_document(document, RuleTable, "The table of rules")
    except BadInputError as problem:
        raise _with_name(problem, document) from None
    problems: dict[str, list[str]] = {}
    seen: set[str] = set()
    for place, rule in enumerate(table.rules):
        message = _problem(rule, seen)
        if message:
            problems[f"rules[{place}]"] = [f"rule {rule.name}: {message}"]
        seen.add(rule.name)
    if problems:
        path, messages = next(iter(problems.items()))
        raise BadInputError(f"{path}: {messages[0]}.", problems)
    return table


def _with_name(problem: BadInputError, document: Mapping[str, Any]) -> BadInputError:
    """Return an error about a field of a rule with the rule's name, by which people know it."""
    [(path, [message])] = problem.fields.items()
    place = _RULE_PATH.match(path)
    rule = document["rules"][int(place[1])] if place else None
    if not isinstance(rule, Mapping) or not isinstance(rule.get("name"), str):
        return problem
    return BadInputError.of_field(path, f"rule {rule['name'][:_LONGEST_NAME]}: {message}")


def _problem(rule: Rule, seen: set[str]) -> str | None:
    if rule.name.startswith("built-in."):
        return "names that begin with built-in. are the service's own"
    if rule.name in seen:
        return "the name stands twice"
    if not _has_condition(rule):
        return "it has no condition and would fit every failure"
    for word in rule.signal or ():
        if isinstance(word, str) and word not in signal.Signals.__members__:
            return f"no signal is called {word}"
    if rule.pattern is not None and max(map(len, rule.pattern.split("*"))) < _LEAST_PATTERN:
        return f"the pattern has no piece of {_LEAST_PATTERN} characters"
    return None


def _has_condition(rule: Rule) -> bool:
    conditions = (
        rule.state,
        rule.exit_code,
        rule.signal,
        rule.step,
        rule.program,
        rule.error_class,
        rule.pattern,
    )
    return any(condition is not None for condition in conditions)


def find_rule(rules: Iterable[Rule], failure: Failure, logs: Sequence[LogEnd] = ()) -> Match | None:
    """Return the first rule that fits; None if none does.

    If several lines have its pattern, the last one counts.
    """
    for rule in rules:
        if not _fits(rule, failure):
            continue
        if rule.pattern is None:
            return Match(rule)
        place = _last_line(logs, partial(holds, rule.pattern))
        if place is not None:
            return Match(rule, *place)
        if any(holds(rule.pattern, line) for line in (failure.message or "").split("\n")):
            return Match(rule)
    return None


def _fits(rule: Rule, failure: Failure) -> bool:
    """Return whether all conditions of a rule hold but its pattern."""
    if rule.state is not None and failure.state not in rule.state:
        return False
    if rule.exit_code is not None and failure.exit_code not in rule.exit_code:
        return False
    if not _has_signal(failure, rule.signal):
        return False
    if not (_is_like(rule.step, failure.step) and _is_like(rule.program, failure.program)):
        return False
    return any(_is_like(rule.error_class, name) for name in _classes(failure.error_class))


def _has_signal(failure: Failure, signals: Sequence[int | str] | None) -> bool:
    """Return whether a failure has one of these signals, given by number or name."""
    if signals is None:
        return True
    return failure.signal in [_signal_number(name) for name in signals]


def _classes(error_class: str | None) -> list[str | None]:
    """Return an error class and, if it is one of nested exceptions, each category of it."""
    if error_class is None or NESTED not in error_class:
        return [error_class]
    return [error_class, *error_class.split(NESTED)]


def _signal_number(name: int | str) -> int:
    return name if isinstance(name, int) else int(signal.Signals[name])


def _is_like(wanted: str | None, value: str | None) -> bool:
    """Return whether a whole value is like a text with `*` for anything."""
    if wanted is None:
        return True
    if value is None:
        return False
    first, *others = wanted.split("*")
    if not others:
        return value == wanted
    last = others.pop()
    rest = value[len(first) :]
    return (
        value.startswith(first)
        and rest.endswith(last)
        and holds("*".join(others), rest[: len(rest) - len(last)])
    )


def holds(pattern: str, line: str) -> bool:
    """Return whether the pieces of a pattern stand in a line one after the other."""
    end = 0
    for piece in pattern.split("*"):
        start = line.find(piece, end, LONGEST_LINE)
        if start < 0:
            return False
        end = start + len(piece)
    return True


def _has(text: str, line: str) -> bool:
    return text in line[:LONGEST_LINE]


class LogPlace(NamedTuple):
    """Where a line begins: the name of its log, and the position in bytes."""

    log_name: str
    log_at: int


def _last_line(logs: Sequence[LogEnd], fits: Callable[[str], bool]) -> LogPlace | None:
    """Return the place of the last line that fits, in the first log that has one."""
    for log in logs:
        for at, line in reversed(log.lines):
            if fits(line):
                return LogPlace(log.name, at)
    return None


def find_cause(failure: Failure, logs: Sequence[LogEnd]) -> LogPlace | None:
    """Return the place of the exit message, or where art's block of that category begins."""
    message = (failure.message or "").strip().split("\n")[0][:_MESSAGE_LENGTH].strip()
    texts = []
    if len(message) >= _LEAST_MESSAGE:
        texts.append(message)
    if failure.error_class:
        # art begins the block of an exception with such a line
        texts.append(f"---- {failure.error_class.split(NESTED)[-1]} BEGIN")
    for text in texts:
        place = _last_line(logs, partial(_has, text))
        if place is not None:
            return place
    return None


_ESCAPE = re.compile(rb"\x1b\[[0-9;]{0,64}[A-Za-z]")


def log_end(name: str, content: bytes, start: int) -> LogEnd:
    """Return the lines of a log's end, colours taken out.

    `start` is its position in the log, in bytes.
    """
    lines = []
    at = start
    for raw in content.split(b"\n"):
        lines.append((at, _ESCAPE.sub(b"", raw[: 4 * LONGEST_LINE]).decode("utf-8", "replace")))
        at += len(raw) + 1
    return LogEnd(name, lines)
