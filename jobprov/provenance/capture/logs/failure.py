"""Why a job failed, read from its exit code, signal and the end of its logs.

An error class and one line.

A first reading for people; the service reads the stored logs again with its own rules. Unknown
stays unknown.

Sources: art's messages (art_log), the last line of a Python traceback, the dynamic linker's and the
shell's own words.
"""

import re
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from jobprov.provenance.capture.logs import (
    art_failure,
    art_log,
    art_report,
    art_sentence,
    art_subject,
    crash_stack,
    log_text,
)
from jobprov.provenance.capture.logs.clues import Clues
from jobprov.provenance.capture.record.json_objects import Finding
from jobprov.provenance.capture.running.ending import FROM_OUTSIDE, SIGNALLED, signal_name
from jobprov.provenance.capture.running.execution import Outcome
from jobprov.provenance.capture.secrets.texts import redact_text

_PYTHON = re.compile(
    r"^((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Interrupt|Exit|Warning"
    r"|Iteration))(?:: (.*))?$",
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
    r"^(?:.*Assertion [`'].*' failed\.?.*|.*\*\*\* Break \*\*\* .*"
    r"|\S*(?:free|malloc|realloc|munmap_chunk)\(\): .+"
    r"|double free or corruption.*|corrupted .*|\*\*\* .+ \*\*\*: terminated"
    r"|pure virtual method called|(?:.*\] )?Check failed: .+)$",
    re.MULTILINE,
)
_TROUBLE = re.compile(
    r"\b(?:error|fatal|exception|fail(?:ed|ure|s)?|abort(?:ed|ing)?|cannot|can't|could not"
    r"|unable to|no such"
    r"|not found|denied|killed|segmentation|bad_alloc|out of memory|no space)\b",
    re.IGNORECASE,
)
# How shells and `env` say that they could not start a program, and the codes with which they end
_NOT_STARTED = re.compile(
    r"^(?:\S+: (?:line )?\d+: .+|env: .+|.*failed to run command .+): "
    r"(?:.*not found|No such file or directory|Permission denied|cannot execute.*"
    r"|bad interpreter.*)$|^\S+: [Cc]ommand not found.*$",
    re.MULTILINE,
)
_NOT_STARTED_CODES = (126, 127)
_CHATTER = re.compile(
    r"^(?:\*\* Config output to|Art has completed and will|%MSG|jobprov: |(?:Trig|Time"
    r"|Mem)Report\b)"
)
# What a shell under `set -x` prints of its own commands
_SHELL_TRACE = re.compile(r"^\++ .*$", re.MULTILINE)
_UNUSED_LABELS = re.compile(
    r"^The following module labels are either not assigned to any path,\n"
    r"(?:or they have been .*\n)?(?:  \S+(?:\n|$))*",
    re.MULTILINE,
)
_GENIE = re.compile(r"^\d{9,11} FATAL (\S{1,100}) : \[\w\] <[^>\n]{0,300}> : (.+)$", re.MULTILINE)
_GEANT4 = re.compile(
    r"^\*\*\* G4Exception : (\S{1,100})\n[ \t]+issued by : ([^\n]{1,200})\n"
    r"((?:(?!\*\*\*|-----)[^\n]*\n){0,40})\*\*\* Fatal ",
    re.MULTILINE,
)
_HANDLED = re.compile(r"^Art has handled signal (\d+)\.", re.MULTILINE)
_PHASES = {  # art's exit codes
    69: "message facility",
    70: "message facility",
    71: "message facility",
    88: "options",
    89: "options",
    90: "parse",
    91: "parse",
}
_MOST_SUPPRESSED = 50
_LAST_LINES = 200
_LONGEST = 500  # characters of a category or message
_CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")


def explain(outcome: Outcome) -> Tuple[Optional[str], Optional[str]]:
    """Return (error class, message), each None where nothing shows it."""
    finding = getattr(outcome, "finding", None) or find(outcome)
    return finding.get("category"), finding.get("message")


def find(outcome: Outcome, clues: Optional[Clues] = None) -> Finding:
    """Return what is known of a failure: `category`, `message`, and fields of an `art_failure`.

    What art prints about its own end comes first, then what linker, command line, C++ and Python
    print, then the signal. `clues` is what the command left besides its logs.
    """
    if outcome.error:
        return {"category": "not started", "message": outcome.error}
    clues = clues or Clues()
    texts = log_text.read_texts(outcome.logs)
    own = log_text.read_texts([log for log in outcome.logs if log[0] in clues.own_logs])
    runs = [art_log.failing_run(text) for text in texts]
    reached = _first_reached(runs)
    is_after_art = bool(clues.is_script and outcome.code) and art_log.has_ended_well(runs)
    if is_after_art:  # what art wrote tells nothing of what failed then
        reached = {"phase": "after art", "message": "nothing was printed after art ended well"}
        texts = runs = [art_log.after_closing(text) for text in texts]
        own = [art_log.after_closing(text) for text in own]
    finding = _first_of_art(runs)
    if finding is not None:
        finding["phase"] = finding.get("phase") or _PHASES.get(outcome.code)
        if not finding["phase"] and not finding.get("run"):
            finding.update(reached)  # of an exception that nothing caught, only the log tells where
        return _completed(finding, reached, clues)
    if not is_after_art:
        clues.complete_event(reached)
    finding = _of_program(own, texts, reached, clues, is_after_art=is_after_art)
    if finding is None:
        finding = _without_word(outcome, texts, runs, dict(reached), clues)
    if finding is None:
        said_last = [*map(_last_trouble, reversed(own)), *map(_last_line, reversed(texts))]
        finding = _of_last_line(said_last, reached)
    return finding


def _first_reached(runs: Sequence[str]) -> Finding:
    for run in runs:
        place = art_log.reached(run)
        if place:
            return place
    return {}


def _first_of_art(runs: Sequence[str]) -> Optional[Finding]:
    for reading in (art_failure.severe, art_failure.bare):
        for run in runs:
            finding = reading(run)
            if finding:
                return finding
    return None


def _of_program(
    own: Sequence[str],
    texts: Sequence[str],
    reached: Finding,
    clues: Clues,
    *,
    is_after_art: bool,
) -> Optional[Finding]:
    """Return what linker, command line, C++, Geant4, GENIE or Python print of a failure.

    `own` are the logs of the last program like art: a script may say something else afterwards.
    """
    for reading in (_linker, _option, _terminated, _geant4, _genie, _python):
        for text in [*own, *texts]:
            found = reading(text)
            if not found:
                continue
            place = dict(reached)
            if reading is _option:
                place = {"phase": "options"}
            elif reading is _python and clues.is_script and text not in own and not is_after_art:
                place = {}  # the script failed: nobody knows how far art was
            place.update(found)
            return _crashed(place, clues)
    return None


def find_suppressed(outcome: Outcome) -> List[Finding]:
    """Return what went wrong without art giving up.

    Findings, each once with `severity` and `count`, in order.
    """
    found: Dict[Any, Finding] = {}
    for _, content, _ in outcome.logs:
        if b"%MSG-w" in content or b"%MSG-e" in content:
            _count_suppressed(art_failure.suppressed(log_text.read_text(content)), found)
    if outcome.code == 0:
        for text in log_text.read_texts(outcome.logs):
            handled = _HANDLED.search(text)
            if handled:
                name = signal_name(int(handled.group(1)))
                found[name] = {
                    "severity": "warning",
                    "category": name,
                    "phase": "event loop",
                    "message": handled.group(),
                    "count": 1,
                }
    for finding in found.values():
        finding["category"], finding["message"] = (
            _short(finding["category"]),
            _short(finding["message"]),
        )
    return list(found.values())


def _count_suppressed(findings: Sequence[Finding], found: Dict[Any, Finding]) -> None:
    """Count findings that are equal; at most 50 different ones."""
    for finding in findings:
        fields = ("severity", "category", "module_label", "path", "message")
        key = tuple(finding.get(field) for field in fields)
        found.setdefault(key, dict(finding, count=0))["count"] += 1
        if len(found) >= _MOST_SUPPRESSED:
            return


def say_suppressed(findings: Sequence[Finding]) -> Optional[str]:
    """Return one line on what `find_suppressed` found, the weightiest first; None for nothing."""
    if not findings:
        return None
    first = min(findings, key=lambda finding: (finding["severity"] != "warning", -finding["count"]))
    kind = "went on after" if first["severity"] == "warning" else "logged as error"
    if first["category"] in FROM_OUTSIDE:
        kind = "ended early by a signal, exit code 0:"
    sentence = "{} {}: {}".format(kind, first["category"], art_sentence.with_place(first))
    if first["count"] > 1:
        sentence += " ({} times)".format(first["count"])
    others = sum(finding["count"] for finding in findings) - first["count"]
    if others:
        sentence += "; and {} more".format(others)
    return _short(sentence)


def _completed(finding: Finding, reached: Finding, clues: Optional[Clues] = None) -> Finding:
    """Return a finding of art, completed by how far the log shows it to have come, and by clues."""
    clues = clues or Clues()
    others = []
    for each in [finding, *finding.get("also", ())]:
        transition = {"run": "Run", "subRun": "SubRun"}.get(each.get("phase") or "")
        if transition:
            each["phase"] = ("end" if reached.get("event") else "begin") + transition
        clues.complete_module(each)
        clues.add_database(each)
        clues.add_plugin_path(each)
        each["message"] = art_sentence.with_place(each)
        others.append("; and {category}: {message}".format(**each))
    finding["message"] += "".join(others[1:])
    return _shortened(finding)


def _crashed(finding: Finding, clues: Clues) -> Finding:
    """Return the finding of a program that ended without art's word, with where in its message."""
    clues.complete_module(finding)
    event = art_sentence.event_words(finding)
    if event and finding.get("event_from"):
        event = "{} by {}".format(event, finding["event_from"])
    module = art_sentence.module_words(finding)
    if event and not module:
        event = "in or after " + event
    parts = ("in " + module if module else "", finding.get("phase"), event)
    place = ", ".join(part for part in parts if part)
    if place:
        finding["message"] = "{} ({})".format(finding["message"], place)
    return _shortened(finding)


def _shortened(finding: Finding) -> Finding:
    """Return a finding with texts of bounded length, without secrets."""
    for name, value in finding.items():
        if isinstance(value, str):
            finding[name] = _short(value)
    for other in finding.get("also", ()):
        _shortened(other)
    return finding


def _without_word(
    outcome: Outcome,
    texts: Sequence[str],
    runs: Sequence[str],
    reached: Finding,
    clues: Clues,
) -> Optional[Finding]:
    """Return the finding of a failure that no program explains, but a signal or how art ended."""
    if outcome.code in _NOT_STARTED_CODES:
        for text in texts:
            lines = _NOT_STARTED.findall(text)
            if lines:  # what a script prints after it tells less
                return _crashed(dict(reached, message=lines[-1]), clues)
    name = _signal_of(outcome)
    if name is not None:
        return _signalled(outcome, name, texts, reached, clues)
    for run in runs:
        finding = art_failure.severe(run, is_own=False)
        if finding:
            return _completed(finding, reached, clues)
    is_own_end = outcome.code and not clues.is_script
    if is_own_end and 0 in map(art_report.closing_status, texts):
        if reached.get("event"):
            reached["phase"] = "event loop"  # what came after it is only the end that exit() makes
        sentence = "the process ended with code {}, though art's closing line says 0"
        reached.update(category="exited itself", message=sentence.format(outcome.code))
        return _crashed(reached, clues)
    return None


def _of_last_line(lines: Iterable[Optional[str]], reached: Finding) -> Finding:
    """Return the finding of a failure of which only the last line of a log tells."""
    line = next((line for line in lines if line), None)
    if line is None:
        return reached if reached.get("message") else {}
    found = dict(reached, message=line) if reached.get("phase") else {"message": line}
    return _shortened(found)


def _signalled(
    outcome: Outcome, name: str, texts: Sequence[str], reached: Finding, clues: Clues
) -> Finding:
    """Return the finding of a job that a signal ended, with the last words of its programs."""
    if _search(_HANDLED, texts):
        reached["phase"] = "event loop"  # what came after it is only the clean end
    message = "ended by {}".format(name)
    if outcome.signal is None:
        message = "exit code {}, as after {}".format(outcome.code, name)
    by_user = _search(_BY_USER, texts)
    words = by_user or _search(_LAST_WORDS, texts)
    if words and words.group().strip():
        message = "{}: {}".format(message, words.group().strip())
    if name in _CRASHES and not by_user:
        reached.update(crash_stack.read(texts, is_in_module=bool(reached.get("module_label"))))
        if reached.get("function"):
            message = "{} in {}".format(message, reached["function"])
    reached.update(category=by_user.group(1) if by_user else name, message=message)
    return _crashed(reached, clues)


def _search(pattern: Any, texts: Sequence[str]) -> Any:
    """Return the first match of a pattern in the first of the texts that has one, or None."""
    for text in texts:
        match = pattern.search(text)
        if match:
            return match
    return None


def _linker(text: str) -> Finding:
    """Return what the dynamic linker did not find, and the plugin that wanted it."""
    hits = _LINKER.findall(text)
    if not hits:
        return {}
    category, message = hits[-1]
    finding = dict(art_subject.linked(message), category=category, message=message)
    plugin = art_subject.plugin_of(finding.get("library") or "")
    if plugin and plugin.kind in ("module", "source"):
        finding["module_type"] = plugin.name
    return finding


def _option(text: str) -> Finding:
    hits = _OPTION.findall(text)
    return {"category": "bad option", "message": hits[-1]} if hits else {}


def _terminated(text: str) -> Finding:
    """Return type and text of a C++ exception that nobody caught."""
    hits = _TERMINATED.findall(text)
    if not hits:
        return {}
    kind, words = hits[-1]
    return {"category": kind, "message": words.strip() or kind + ", which nobody caught"}


def _geant4(text: str) -> Finding:
    """Return the last exception with which Geant4 ends a program; it goes on after all others."""
    hits = _GEANT4.findall(text)
    if not hits:
        return {}
    code, issuer, words = hits[-1]
    said = " ".join(words.split()) or "no text"
    message = "{}, issued by {}".format(said.rstrip("."), issuer.strip())
    return {"category": "G4Exception > {}".format(code), "message": message}


def _genie(text: str) -> Finding:
    """Return the first fatal message of GENIE: those behind it only say that it ends."""
    hit = _GENIE.search(text)
    return {"category": "GENIE > {}".format(hit.group(1)), "message": hit.group(2)} if hit else {}


def _python(text: str) -> Finding:
    if "Traceback (most recent call last)" not in text:
        return {}
    hits = _PYTHON.findall(text)
    if not hits:
        return {}
    category, message = hits[-1]
    if category.endswith("CalledProcessError"):  # why, the program that it called has said
        before = text.rpartition("Traceback (most recent call last)")[0]
        said = _last_line(_SHELL_TRACE.sub("", before))
        message = "{} {}".format(message, said) if said else message
    return {"category": category, "message": message}


def _signal_of(outcome: Outcome) -> Optional[str]:
    """Return the name of the signal that ended the command, or its child.

    A child's shows in the exit code, as shells have it.
    """
    if outcome.signal is not None:
        return signal_name(outcome.signal)
    name = signal_name(outcome.code - SIGNALLED)
    return name if outcome.code > SIGNALLED and name in FROM_OUTSIDE + _CRASHES else None


def _last_line(text: str) -> Optional[str]:
    """Return the last line about trouble, else the last that is not chatter."""
    return _last_trouble(text) or next(reversed(_lines(text)), None)


def _last_trouble(text: str) -> Optional[str]:
    trouble = [line for line in _lines(text)[-_LAST_LINES:] if _TROUBLE.search(line)]
    return trouble[-1] if trouble else None


def _lines(text: str) -> List[str]:
    used = _UNUSED_LABELS.sub("", text).splitlines()
    return [line for line in used if not art_sentence.is_rule(line) and not _CHATTER.match(line)]


def _short(text: Optional[str]) -> Optional[str]:
    if not text:
        return None
    return redact_text(text.strip())[:_LONGEST] or None
