"""Why a job failed, read from its exit code, signal and the end of its logs.

An error class and one line.

A first reading for people; the service reads the stored logs again with its own rules. Sources:
art's messages (artlog), the last line of a Python traceback, the dynamic linker's and the shell's
own words. Unknown stays unknown.
"""

import re
import signal

from jobprov.provenance.capture import artfailure, artlog, artsentence, logtext, redaction

_PYTHON = re.compile(
    r"^((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit|Warning|Iteration))(?:: (.*))?$",
    re.MULTILINE,
)
_LINKER = re.compile(
    r"^.*?: (symbol lookup error|error while loading shared libraries): (.*)$", re.MULTILINE
)
_OPTION = re.compile(r"^Exception from command line processing in \S+: (.*)$", re.MULTILINE)
_TERMINATED = re.compile(
    r"^terminate called after throwing an instance of '([^'\n]+)'(?:\n\s*what\(\):[ \t]*([^\n]*))?",
    re.MULTILINE,
)
_BY_USER = re.compile(r"^User signal (SIG[A-Z0-9]+) terminating the process", re.MULTILINE)
_LAST_WORDS = re.compile(
    r"^(?:.*Assertion [`'].*' failed\.?.*|.*\*\*\* Break \*\*\* .*|\S*(?:free|malloc|realloc|munmap_chunk)\(\): .+"
    r"|double free or corruption.*|corrupted .*|\*\*\* .+ \*\*\*: terminated|pure virtual method called)$",
    re.MULTILINE,
)
_TROUBLE = re.compile(
    r"\b(?:error|fatal|exception|fail(?:ed|ure|s)?|abort(?:ed|ing)?|cannot|can't|could not|unable to|no such|not found"
    r"|denied|killed|segmentation|bad_alloc|out of memory|no space)\b",
    re.IGNORECASE,
)
_CHATTER = re.compile(
    r"^(?:\*\* Config output to|Art has completed and will|%MSG|jobprov: |(?:Trig|Time|Mem)Report\b)"
)
_UNUSED_LABELS = re.compile(
    r"^The following module labels are either not assigned to any path,\n(?:or they have been .*\n)?(?:  \S+(?:\n|$))*",
    re.MULTILINE,
)
_MOST_SUPPRESSED = 50
_HANDLED = re.compile(r"^Art has handled signal (\d+)\.", re.MULTILINE)
_PHASES = {
    69: "message facility",
    70: "message facility",
    71: "message facility",
    88: "options",
    89: "options",
    90: "parse",
    91: "parse",
}
_LAST_LINES = 200
_SIGNALLED = 128  # what shells add to a signal's number
_FROM_OUTSIDE = (
    "SIGKILL",
    "SIGTERM",
    "SIGINT",
    "SIGHUP",
    "SIGXCPU",
    "SIGQUIT",
    "SIGUSR1",
    "SIGUSR2",
    "SIGXFSZ",
)
_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")


def name_state(outcome, was_told):
    """Return the record's state; a signal from outside means killed, `was_told` that one was passed on to it."""
    if outcome.code == 0:
        return "succeeded"
    number = outcome.signal or (
        outcome.code - _SIGNALLED if was_told and outcome.code > _SIGNALLED else None
    )
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
    found = find(outcome)
    return found.get("category"), found.get("message")


def find(outcome):
    """Return what is known of a failure: `category`, `message`, and of art the fields of an `artfailure` finding.

    What art says of its own end comes first, then what linker, command line, C++ and Python say,
    then the signal.
    """
    if outcome.error:
        return {"category": "not started", "message": outcome.error}
    texts = logtext.read_texts(outcome.logs)
    runs = [artlog.failing_run(text) for text in texts]
    reached = next((place for place in map(artlog.reached, runs) if place), {})
    for reading in (artfailure.severe, artfailure.bare):
        for text in runs:
            found = reading(text)
            if found:
                found["phase"] = found.get("phase") or _PHASES.get(outcome.code)
                return _told(found, reached)
    for reading in (_linker, _option, _terminated, _python):
        for text in texts:
            found = reading(text)
            if found:
                return _crashed(
                    *found, reached=reached if reading is not _option else {"phase": "options"}
                )
    return _without_word(outcome, texts, runs, reached)


def find_suppressed(outcome):
    """Return the findings of what went wrong without art's giving up, each once with `severity` and `count`, in order."""
    found = {}
    for log in outcome.logs:
        content = log[1]
        if b"%MSG-w" not in content and b"%MSG-e" not in content:
            continue
        for entry in artfailure.suppressed(logtext.read_text(content)):
            key = tuple(
                entry.get(field)
                for field in ("severity", "category", "module_label", "path", "message")
            )
            found.setdefault(key, dict(entry, count=0))["count"] += 1
            if len(found) >= _MOST_SUPPRESSED:
                break
    for match in map(_HANDLED.search, logtext.read_texts(outcome.logs)):
        if match and outcome.code == 0:
            name = signal_name(int(match.group(1)))
            entry = {
                "severity": "warning",
                "category": name,
                "phase": "event loop",
                "message": match.group(),
                "count": 1,
            }
            found[name] = entry
    return [
        dict(entry, category=_short(entry.get("category")), message=_short(entry.get("message")))
        for entry in found.values()
    ]


def say_suppressed(entries):
    """Return one line on what `find_suppressed` found, the weightiest first; None for nothing."""
    told = sorted(entries, key=lambda entry: (entry["severity"] != "warning", -entry["count"]))
    if not told:
        return None
    first = told[0]
    words = "{}: {}".format(first["category"], artsentence.with_place(first))
    kind = "went on after" if first["severity"] == "warning" else "logged as error"
    if first["category"] in _FROM_OUTSIDE:
        kind = "ended early by a signal, exit code 0:"
    more = sum(entry["count"] for entry in told) - first["count"]
    times = " ({} times)".format(first["count"]) if first["count"] > 1 else ""
    return _short(
        "{} {}{}{}".format(kind, words, times, "; and {} more".format(more) if more else "")
    )


def _told(found, reached):
    """Return a finding of art, made whole by how far the log shows it to have come."""
    if found.get("phase") in ("run", "subRun"):
        found["phase"] = ("end" if reached.get("event") else "begin") + found[
            "phase"
        ].capitalize().replace("run", "Run")
    return dict(
        found, category=_short(found["category"]), message=_short(artsentence.with_place(found))
    )


def _crashed(category, message, reached):
    """Return the finding of a program that ended without art's word."""
    words = [reached.get("phase"), artsentence.event_words(reached)]
    if words[1]:
        words[1] = "in or after " + words[1]
    if reached.get("module_label"):
        words = [
            "in module {}".format(reached["module_label"]),
            reached["phase"],
            artsentence.event_words(reached),
        ]
    place = ", ".join(word for word in words if word)
    message = "{} ({})".format(message, place) if place else message
    return dict(reached, category=_short(category), message=_short(message))


def _without_word(outcome, texts, runs, reached):
    """Return the finding of a failure of which no program says why.

    By signal, else by the last words of the logs.
    """
    name = _signal_of(outcome)
    if name is not None:
        if any(map(_HANDLED.search, texts)):
            reached = dict(reached, phase="event loop")  # what came after it is only the clean end
        by_user = next((match for match in map(_BY_USER.search, texts) if match), None)
        how = "ended by {}" if outcome.signal is not None else "exit code {code}, as after {}"
        how = how.format(name, code=outcome.code)
        words = by_user or next((match for match in map(_LAST_WORDS.search, texts) if match), None)
        words = words.group().strip() if words else None
        return _crashed(
            by_user.group(1) if by_user else name,
            ": ".join(part for part in (how, words) if part),
            reached,
        )
    for text in runs:
        found = artfailure.severe(text, is_own=False)
        if found:
            return _told(found, reached)
    if outcome.code and 0 in map(artlog.closing_status, texts):
        return _crashed(
            None,
            "the process ended with code {}, though art's closing line says 0".format(outcome.code),
            reached,
        )
    for text in reversed(texts):
        line = _last_line(text)
        if line:
            return {"message": _short(line)}
    return {}


def _linker(text):
    found = _LINKER.findall(text)
    return found[-1] if found else None


def _option(text):
    found = _OPTION.findall(text)
    return ("bad option", found[-1]) if found else None


def _terminated(text):
    """Return (type, text) of a C++ exception that nobody caught."""
    found = _TERMINATED.findall(text)
    return (found[-1][0], found[-1][1].strip() or "nobody caught it") if found else None


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
    told = _UNUSED_LABELS.sub("", text).splitlines()
    lines = [line for line in told if not artsentence.is_rule(line) and not _CHATTER.match(line)]
    trouble = [line for line in lines[-_LAST_LINES:] if _TROUBLE.search(line)]
    return (trouble or lines or [None])[-1]


def _short(text):
    return redaction.redact_text(text.strip())[:500] or None if text else None
