"""Why a job failed, read from its exit code, signal and the end of its logs: an error class and one line.

A first reading for people; the service reads the stored logs again with its own rules. Sources: art's messages
(artlog), the last line of a Python traceback, the dynamic linker's and the shell's own words. Unknown stays unknown.
"""

import re
import signal

from provenance.capture import artlog, redaction

_PYTHON = re.compile(
    r"^((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit|Warning|Iteration))(?:: (.*))?$", re.MULTILINE
)
_LINKER = re.compile(r"^.*?: (symbol lookup error|error while loading shared libraries): (.*)$", re.MULTILINE)
_OPTION = re.compile(r"^Exception from command line processing in \S+: (.*)$", re.MULTILINE)
_ANSI = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]")
_TROUBLE = re.compile(
    r"\b(?:error|fatal|exception|fail(?:ed|ure|s)?|abort(?:ed|ing)?|cannot|can't|could not|unable to|no such|not found"
    r"|denied|killed|segmentation|bad_alloc|out of memory|no space)\b",
    re.IGNORECASE,
)
_CHATTER = re.compile(
    r"^(?:\*\* Config output to|The following module labels are either|or they have been assigned to ignored"
    r"|Art has completed and will|%MSG|jobprov: )"
)
_TAIL = 64 * 1024
_LAST_LINES, _LONGEST_LINE = 200, 2000  # in characters; patterns need not be fast on more
_SIGNALLED = 128  # what shells add to a signal's number
_FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGXCPU", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXFSZ")
_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")


def name_state(outcome, was_told):
    """Return the record's state; a signal from outside means killed, `was_told` that one was passed on to it."""
    if outcome.code == 0:
        return "succeeded"
    number = outcome.signal or (outcome.code - _SIGNALLED if was_told and outcome.code > _SIGNALLED else None)
    is_killed = number is not None and signal_name(number) in _FROM_OUTSIDE
    return "killed" if is_killed else "failed"


def signal_name(number):
    """Return the name of a signal number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal {}".format(number)


def explain(outcome):
    """Return (error class, message), each None where nothing tells."""
    if outcome.error:
        return "not started", outcome.error
    texts = read_texts(outcome.logs)
    for reading in (artlog.explain, _linker, _option, _python):
        for text in texts:
            found = reading(text)
            if found:
                return tuple(_short(item) for item in found)
    name = _signal_of(outcome)
    if name is not None:
        event = next((event for event in map(artlog.last_event, texts) if event), None)
        how = (
            "ended by {}".format(name)
            if outcome.signal is not None
            else "exit code {}, as after {}".format(outcome.code, name)
        )
        return name, how + (", in or after {}".format(event) if event else "")
    for text in reversed(texts):
        line = _last_line(text)
        if line:
            return None, _short(line)
    return None, None


def read_texts(logs):
    """Return the ends of logs as text, colours taken out: standard output, what programs logged to files, error last."""
    ordered = sorted(logs, key=lambda log: (log[0] == "stderr", log[0] != "stdout"))
    return [read_text(log[1][-_TAIL:]) for log in ordered]


def read_text(content):
    """Return a log's bytes as text without colours."""
    lines = _ANSI.sub(b"", content).decode("utf-8", "replace").split("\n")
    return "\n".join(line[:_LONGEST_LINE].rstrip("\r") for line in lines)


def _linker(text):
    found = _LINKER.findall(text)
    return found[-1] if found else None


def _option(text):
    found = _OPTION.findall(text)
    return ("bad option", found[-1]) if found else None


def _python(text):
    if "Traceback (most recent call last)" not in text:
        return None
    found = _PYTHON.findall(text)
    return found[-1] if found else None


def _signal_of(outcome):
    """Return the name of the signal that ended the command, or its child where the exit code says so as shells do."""
    if outcome.signal is not None:
        return signal_name(outcome.signal)
    name = signal_name(outcome.code - _SIGNALLED)
    return name if outcome.code > _SIGNALLED and name in _FROM_OUTSIDE + _CRASHES else None


def _last_line(text):
    """Return the last line that tells of trouble, else the last that tells anything."""
    lines = [line for line in text.splitlines() if not artlog.is_rule(line) and not _CHATTER.match(line)]
    trouble = [line for line in lines[-_LAST_LINES:] if _TROUBLE.search(line)]
    return (trouble or lines or [None])[-1]


def _short(text):
    return redaction.redact_text(text.strip())[:500] or None
