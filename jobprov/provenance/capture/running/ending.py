"""How a command ended, by its exit code and signal alone."""

import signal

from jobprov.provenance.capture.running.execution import Outcome

SIGNALLED = 128  # what shells add to a signal's number
FROM_OUTSIDE = (
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


def name_state(outcome: Outcome, *, was_told: bool) -> str:
    """Return the record's state.

    A signal from outside means killed, `was_told` that one came for it.
    """
    if outcome.code == 0:
        return "succeeded"
    number = outcome.killing_signal() if was_told else outcome.signal
    is_killed = number is not None and signal_name(number) in FROM_OUTSIDE
    return "killed" if is_killed else "failed"


def signal_name(number: int) -> str:
    """Return the name of a signal number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal {}".format(number)
