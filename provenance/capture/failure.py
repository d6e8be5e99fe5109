"""Why a job failed, read from its exit code, signal and the end of its logs: an error class and one line.

A first reading for people; the service reads the stored logs again with its own rules. Sources: art's message blocks
(`---- Category BEGIN`, wrappers stepped over) and the last line of a Python traceback. Unknown stays unknown.
"""

import re
import signal

from provenance.capture import redaction

_WRAPPERS = frozenset(["EventProcessorFailure", "ScheduleExecutionFailure", "EndJobFailure", "OtherArt"])
_BLOCK = re.compile(rb"^\s*---- (.+?) BEGIN\s*$\n(?:\s*(?!----)(\S.*))?", re.MULTILINE)
_PYTHON = re.compile(
    rb"^((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit|Warning|Iteration))(?:: (.*))?$", re.MULTILINE
)
_ANSI = re.compile(rb"\x1b\[[0-9;]*[A-Za-z]")
_TAIL = 64 * 1024
_SIGNALLED = 128  # what shells add to a signal's number
_FROM_OUTSIDE = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGXCPU", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXFSZ")


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
    texts = {name: _ANSI.sub(b"", content[-_TAIL:]) for name, content, _ in outcome.logs}
    for name in ("stderr", "stdout"):
        found = _art(texts.get(name, b"")) or _python(texts.get(name, b""))
        if found:
            return tuple(_short(item) for item in found)
    if outcome.signal is not None:
        return signal_name(outcome.signal), "ended by {}".format(signal_name(outcome.signal))
    for name in ("stderr", "stdout"):
        lines = [line for line in texts.get(name, b"").splitlines() if line.strip()]
        if lines:
            return None, _short(lines[-1])
    return None, None


def _art(text):
    blocks = [(name, line) for name, line in _BLOCK.findall(text)]
    inner = [block for block in blocks if block[0].decode("ascii", "replace") not in _WRAPPERS] or blocks
    return inner[-1] if inner else None


def _python(text):
    if b"Traceback (most recent call last)" not in text:
        return None
    found = _PYTHON.findall(text)
    return found[-1] if found else None


def _short(content):
    return redaction.redact_text(content.decode("utf-8", "replace").strip())[:500] or None
