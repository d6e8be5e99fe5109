"""What the program prints, in the manner of art's message logger."""

import sys
import time


def say(line: str = "") -> None:
    """Print one line at once, so that a killed job still shows where it was."""
    print(line, flush=True)  # the log of the job is its standard output


def _now() -> str:
    return time.strftime("%d-%b-%Y %H:%M:%S %Z")


def info(category: str, context: str, text: str) -> None:
    """Print an information block."""
    say(f"%MSG-i {category}:  {context} {_now()}")
    say(text)
    say("%MSG")


def warning(category: str, context: str, text: str) -> None:
    """Print a warning block."""
    say(f"%MSG-w {category}:  {context} {_now()}")
    say(text)
    say("%MSG")


def severe(category: str, text: str, context: str = "JobSetup") -> None:
    """Print the block of the exception that ends the job."""
    say(f"%MSG-s ToyException:  {context} {_now()}")
    say("cet::exception caught in toy")
    say(f"---- {category} BEGIN")
    for line in text.splitlines():
        say(f"  {line}")
    say(f"---- {category} END")
    say("%MSG")


def begin_event(number: int, run: int, subrun: int, event: int) -> None:
    """Print that the `number`th event (from 1) is begun."""
    tens, ones = number % 100 // 10, number % 10
    ending = {1: "st", 2: "nd", 3: "rd"}.get(ones, "th") if tens != 1 else "th"
    say(
        f"Begin processing the {number}{ending} record. run: {run} subRun: {subrun} event: {event} at {_now()}"
    )


def summary(*, total: int, passed: int, cpu_seconds: float, real_seconds: float) -> None:
    """Print the counts and times of the job."""
    say("\nTrigReport ---------- Event summary -------------")
    say(f"TrigReport Events total = {total} passed = {passed} failed = {total - passed}\n")
    say("TimeReport ---------- Time summary [sec] -------")
    say(f"TimeReport CPU = {cpu_seconds:.6f} Real = {real_seconds:.6f}\n")


def closing(status: int) -> None:
    """Print the last line of every job that was not killed."""
    sys.stderr.flush()
    say(f"toy has completed and will exit with status {status}.")
