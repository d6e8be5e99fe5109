"""Whether a command that ended with exit code 0 did what it was for.

A shell around art may end with `echo done`. What art says at the end of its log, and a file that it
was to write and that is not there, say more than that. The last program like art counts: a script
may try again after a failure.
"""

from typing import List, Optional, Sequence, Set, Tuple

from jobprov.provenance.capture.command.step import Step
from jobprov.provenance.capture.logs import art_report, log_text
from jobprov.provenance.capture.record.json_objects import Entry
from jobprov.provenance.capture.recording.seen import Seen
from jobprov.provenance.capture.running.execution import Outcome
from jobprov.provenance.capture.sight.programs import ProgramStep

_STREAMS = ("stdout", "stderr")
# art's options with which it writes no output, or does not run at all
_DRY_OPTIONS = frozenset(
    [
        "--validate-config",
        "--debug-config",
        "--no-output",
        "--status-config",
        "--print-available",
        "--print-available-modules",
        "--print-available-plugins",
        "--print-description",
        "--help",
        "-h",
        "--version",
    ]
)


class Decision:
    """What says that a command failed although its exit code is 0.

    Attributes:
        evidence: `log`, or `output-not-there`.
        text: the line of the log, or a sentence.
        step: the step that failed.
    """

    def __init__(self, evidence: str, text: str, step: str) -> None:
        self.evidence, self.text, self.step = evidence, text, step


def judge(
    step: Step, seen: Optional[Seen], outcome: Outcome, missing: Sequence[Entry]
) -> Optional[Decision]:
    """Return what says that a command failed, or None.

    `missing` are its outputs that are not there.
    """
    if outcome.code or outcome.was_told or outcome.error:
        return None
    last = _last_program(seen)
    if not step.line.is_art:
        line = _failing_line(_logs_of(last, seen, outcome))
        if line is not None:
            return Decision("log", line, step.name if last is None else last.step.name)
    maker = step if last is None else last.step
    if seen is not None and maker.line.is_art and not _DRY_OPTIONS.intersection(maker.argv):
        for entry in missing:
            if _was_promised(entry, maker, seen):
                sentence = "{} was to write {}, which is not there".format(
                    maker.name, entry["path"]
                )
                return Decision("output-not-there", sentence, maker.name)
    return None


def _logs_of(
    last: Optional[ProgramStep], seen: Optional[Seen], outcome: Outcome
) -> List[Tuple[str, bytes, bool]]:
    """Return the logs that tell how the last program ended: its own, else the command's streams."""
    names = _own_logs(last, seen) if last is not None and seen is not None else set()
    own = [log for log in outcome.logs if log[0] in names]
    return own or [log for log in outcome.logs if log[0] in _STREAMS]


def failed_programs(seen: Optional[Seen], outcome: Outcome) -> Set[str]:
    """Return the names of programs like art whose own logs end with a failure: tries of a script."""
    failed = set()
    for program in [] if seen is None else seen.programs:
        if _failing_line(_logs_of(program, seen, outcome)) is not None:
            failed.add(program.step.name)
    return failed


def logs_of_last(seen: Optional[Seen]) -> Set[str]:
    """Return the names of the logs to which the last program like art printed by itself."""
    last = _last_program(seen)
    return set() if last is None or seen is None else _own_logs(last, seen)


def _last_program(seen: Optional[Seen]) -> Optional[ProgramStep]:
    programs = [] if seen is None else seen.programs
    return max(programs, key=lambda program: program.step.began) if programs else None


def _own_logs(program: ProgramStep, seen: Seen) -> Set[str]:
    return {seen.outputs.last_basename(path) for path in program.program.child.printed_to}


def _failing_line(logs: Sequence[Tuple[str, bytes, bool]]) -> Optional[str]:
    """Return art's closing line where the last one names a status other than 0, or None."""
    for name, content, _ in logs:
        status = art_report.closing_status(log_text.read_text(content))
        if status:
            sentence = "Art has completed and will exit with status {}. (log {})"
            return sentence.format(status, name)
    return None


def _was_promised(entry: Entry, maker: Step, seen: Seen) -> bool:
    """Tell whether a program was told of a missing output, and would have written it."""
    if entry["evidence"] != "argument" or entry["step"] != maker.name:
        return False
    return seen.outputs.would_have_seen(entry["path"])
