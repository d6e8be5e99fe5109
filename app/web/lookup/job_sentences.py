"""The first line of a job's page: how it ended, whether it was reproduced, how complete its record is."""

from typing import Any

from jobprov.app.web.frame.formats import (
    counted,
    day,
    duration,
    seconds_between,
    shown_state,
    signal_name,
    text,
)

_REPRODUCED = {
    "R7": "reproduced byte for byte",
    "R6": "reproduced, equal but for what always differs",
    "R5": "reproduced, content identical",
    "R5~": "reproduced, content identical in another order",
    "R4": "reproduced to within numerical precision",
    "R3": "rerun is statistically compatible",
    "R2": "rerun gave a different result",
    "R1=": "rerun failed in the same way",
    "R1": "rerun failed",
    "R0": "bundle was made, not rerun",
}


def first_line(shown: dict[str, Any]) -> str:
    """Return the first line, of one or two sentences.

    Args:
        shown: what `show_job` answers.
    """
    summary = shown["summary"]
    state = shown_state(summary["state"], summary["heard_at"])
    took = wall_seconds(summary)
    how = {
        "succeeded": "Succeeded" + (f" in {duration(took)}" if took is not None else ""),
        "failed": _failed(summary, took),
        "killed": _killed(summary, took),
        "running": "Running" + (f" since {_since(summary)}" if summary["started_at"] else ""),
        "silent": f"Silent: said to be running, and nothing was heard since {_since({'started_at': summary['heard_at']})}",
        "lost": "Lost: nobody saw it end",
    }[state]
    verdict = _verdict_words(shown["verdicts"])
    grade = f"grade {shown['grade']}, {counted(len(shown['gaps']), 'gap') if shown['gaps'] else 'no gaps'}"
    if state == "succeeded":
        return "; ".join(part for part in (how, verdict, grade) if part) + "."
    rest = "; ".join(part for part in (verdict, grade) if part)
    return f"{how}. {rest[0].upper()}{rest[1:]}."


def wall_seconds(summary: dict[str, Any]) -> float | None:
    """Return how long a job took: as it measured itself, else from its times."""
    measured = summary["resources"]["wall_seconds"]
    return (
        measured
        if measured is not None
        else seconds_between(summary["started_at"], summary["ended_at"])
    )


def ending(summary: dict[str, Any]) -> str:
    """Return how the job's process ended: `exit code 65`, `signal 9 (SIGKILL)`.

    Empty where nothing tells.
    """
    end = summary["exit"]
    if end["signal"] is not None:
        return f"signal {signal_name(end['signal'])}"
    return "" if end["code"] is None else f"exit code {text(end['code'])}"


def _failed(summary: dict[str, Any], took: float | None) -> str:
    error = summary["exit"]["error_class"]
    why = ", ".join(part for part in (text(error) if error else "", ending(summary)) if part)
    return f"Failed{_where(summary)}{_after(took)}" + (f": {why}" if why else "")


def _killed(summary: dict[str, Any], took: float | None) -> str:
    number = summary["exit"]["signal"]
    return (
        "Killed"
        + (f" by signal {signal_name(number)}" if number is not None else "")
        + _where(summary)
        + _after(took)
    )


def _where(summary: dict[str, Any]) -> str:
    step = summary["exit"]["failed_step"]
    return f" in step {text(step)}" if step else ""


def _after(took: float | None) -> str:
    return f" after {duration(took)}" if took is not None else ""


def _since(summary: dict[str, Any]) -> str:
    return f"{day(summary['started_at'])} {str(summary['started_at'])[11:16]} UTC"


def _verdict_words(verdicts: list[dict[str, Any]]) -> str:
    if not verdicts:
        return ""
    newest = verdicts[0]
    words = _REPRODUCED.get(str(newest.get("level")), f"verdict {text(newest.get('level'))}")
    return f"{words} on {day(newest.get('posted_at'))}"
