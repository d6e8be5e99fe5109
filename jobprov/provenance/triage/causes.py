"""What makes two failures one cause: what a person would say was wrong, without numbers and names.

A cause is told by the class of the failure, the category of its exception, the step, the module, what
it is about (a parameter, a product, a library), and its message as a pattern. The exit code counts
only where nothing else is known. A rule of the experiment may merge causes, or split them.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from jobprov.provenance.triage.rules import NESTED, Failure, Rule

LONGEST = 300
_PLACE = re.compile(
    r" \((?:in )?(?:(?P<module>service [\w:]+|module [\w:/]+|[\w:/]+/\w+)(?:, |\)))?"
    r"(?:[^()]{0,200}\))?$"
)
_PATTERNS = (
    (re.compile(r" \[ \S{1,300}:\d+ \]"), ""),  # where a parameter was written
    (re.compile(r"'[^'\n]{0,300}'"), "'…'"),
    (re.compile(r'"[^"\n]{0,300}"'), '"…"'),
    (re.compile(r"\b[a-z]{2,10}://\S+"), "…"),
    (re.compile(r"(?<![\w.])\.{0,2}/[^\s:;,()]+"), "…"),
    (re.compile(r"\b[\w.-]+\.(?:root|art|hdf5|h5|fcl|txt|db|csv|gdml|dat|raw)\b"), "…"),
    (re.compile(r"\b0[xX][0-9a-fA-F]+\b"), "N"),
    (re.compile(r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b"), "…"),
    (re.compile(r"(?<![A-Za-z_0-9.])[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![A-Za-z_])"), "N"),
)
_BARE_CRASH = re.compile(r"(?:ended by|exit code \d+, as after) SIG(?:SEGV|ABRT|BUS|FPE|ILL)")
"""The message of a crash that shows neither module nor last words."""
_ABOUT = ("parameter", "product", "symbol", "library", "plugin", "function")
_NAMED_FILES = ("Parse error", "search_path")
"""Categories of which the file that they name is what was wrong, not one of many inputs."""
_PARTS = ("state", "step", "category", "module", "subject", "message")


class Cause(NamedTuple):
    """What failures have in common: a key that is equal for equal causes, and words for people."""

    key: str
    words: str


def name_cause(
    failure: Failure, class_name: str, rule: Rule | None, details: Mapping[str, Any]
) -> Cause:
    """Return the cause of a failure.

    Args:
        failure: what is known of the job.
        class_name: of the failure, by the rules.
        rule: the rule that fitted, None where none did.
        details: `extra.failure` of the step that failed, as far as a record has it.
    """
    parts = _parts(failure, details)
    base, apart = _key_base(rule, class_name), _parts_apart(rule, parts)
    values = [parts[name] for name in apart]
    text = json.dumps([base, *apart, *values])
    key = hashlib.sha256(text.encode()).hexdigest()[:16]
    return Cause(key, _words(rule, parts, apart))


def _key_base(rule: Rule | None, class_name: str) -> str:
    """Return what all causes that the same parts tell apart have in common."""
    if rule is not None and rule.cause is not None:
        return f"cause {rule.cause}"
    if rule is not None and rule.tell_apart is not None:
        return f"rule {rule.name}"
    return f"class {class_name}"


def _parts_apart(rule: Rule | None, parts: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the parts that tell causes apart: of the rule, or the usual ones."""
    if rule is not None and rule.tell_apart is not None:
        return tuple(rule.tell_apart)
    if rule is not None and rule.cause is not None:
        return ()
    if parts["category"] or parts["message"]:
        return _PARTS
    # Nothing else is known of how the job failed
    return (*_PARTS, "code")


def pattern_of(message: str) -> str:
    """Return a message without the numbers and names that differ between failures of one cause."""
    text = message.split("\n", 1)[0][: 2 * LONGEST]
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())[:LONGEST]


def _parts(failure: Failure, details: Mapping[str, Any]) -> dict[str, str]:
    """Return what can tell causes apart, by the words of `Rule.tell_apart`."""
    message = failure.message or ""
    place = _PLACE.search(message.split("\n", 1)[0])
    module = _known(details, ("service", "module_label", "module_type"))
    if place is not None:
        message = message[: place.start()]
        module = module or (place.group("module") or "").rpartition("/")[2]
    if not module and _BARE_CRASH.fullmatch(message):
        # one as modules are made is another than one in an event
        module = _known(details, ("phase",))
    code = failure.state
    if failure.signal is not None:
        code = f"signal {failure.signal}"
    elif failure.exit_code is not None:
        code = f"code {failure.exit_code}"
    return {
        "state": failure.state,
        "step": failure.step or "",
        "code": code,
        "category": failure.error_class or "",
        "module": module.removeprefix("service ").removeprefix("module "),
        "subject": _subject(failure, details, message),
        "message": pattern_of(message),
        "line": message[:LONGEST],
    }


def _subject(failure: Failure, details: Mapping[str, Any], message: str) -> str:
    """Return what a failure is about, where its pattern may have lost it."""
    categories = (failure.error_class or "").split(NESTED)
    is_about_file = any(category in _NAMED_FILES for category in categories)
    names: Sequence[str] = _ABOUT
    if is_about_file:
        names = (*_ABOUT, "file")
    subject = _known(details, names)
    if not subject and is_about_file:
        quoted = re.search(r'"([^"\n]{1,300})"', message)
        subject = quoted.group(1) if quoted else ""
    if "://" in subject or "::" in subject:  # an address, or a name of C++
        return subject
    return subject.rpartition("/")[2]


def _known(details: Mapping[str, Any], names: Sequence[str]) -> str:
    for name in names:
        value = details.get(name)
        if isinstance(value, str) and value:
            return value
    return ""


def _words(rule: Rule | None, parts: Mapping[str, str], apart: Sequence[str]) -> str:
    """Return a cause in words: `softcut: Missing parameters: pMin: <double>`.

    Args:
        rule: the rule that told the class of the failure.
        parts: of the failure, by name.
        apart: the names of the parts by which causes of the class differ.
    """
    if rule is not None and rule.cause is not None:
        values = [parts[name] for name in apart if parts[name]]
        return ": ".join([rule.cause, *values])[:LONGEST]
    text = parts["message"]
    if "line" in apart:
        text = parts["line"]
    words = _about(parts, apart, text)
    if text and ("message" in apart or "line" in apart):
        words.append(text)
    else:
        words.append(parts["category"] or parts["code"])
    return ": ".join(words)[:LONGEST]


def _about(parts: Mapping[str, str], apart: Sequence[str], text: str) -> list[str]:
    """Return what a failure is about, as one entry; none where its text says it already."""
    about = []
    if "module" in apart and parts["module"]:
        about.append(parts["module"])
    if "subject" in apart and parts["subject"] not in text:
        about.append(parts["subject"])
    return [", ".join(about)] if about else []
