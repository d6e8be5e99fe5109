"""Work beside the job that is never waited for longer than its budget, and what is said of it at the end."""

import os
import sys
import threading

from jobprov.provenance.capture.hashing import Clock

_BUDGET_SECONDS, _HASH_SECONDS = 20.0, 120.0


def budget(options):
    """Return the seconds that spooling and sending may take after the command."""
    return options.number("budget-seconds", _BUDGET_SECONDS)


def hash_seconds(options):
    """Return the seconds that hashing outputs may take, apart from the budget."""
    return options.number("hash-seconds", _HASH_SECONDS)


class Speaker:
    """Says one line at the end, and more with --verbose; a closed stderr is no reason to fail."""

    def __init__(self, options):
        self.is_verbose = options.verbose

    def say(self, sentence):
        """Write a line."""
        try:
            sys.stderr.write("jobprov: {}\n".format(" ".join(str(sentence).split())))
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):
            pass

    def write(self, content):
        """Write bytes as they are."""
        try:
            sys.stderr.flush()
            os.write(2, content)
        except (OSError, ValueError, AttributeError):
            pass

    def detail(self, sentence):
        """Write a line with --verbose only."""
        if self.is_verbose:
            self.say(sentence)


class Background:
    """Work beside the job, in one thread: its pieces in order, an error in one never reaches the job."""

    def __init__(self, function):
        self.error, self.result = None, None
        self._function = function
        self.thread = threading.Thread(target=self._run)
        self.thread.daemon = True
        self.thread.start()

    def wait(self, seconds, should_stop=bool):
        """Wait at most some seconds; tell whether the work is done."""
        clock = Clock(seconds)
        while self.thread.is_alive() and clock.left() and not should_stop():
            self.thread.join(min(0.1, clock.left()))
        return not self.thread.is_alive()

    def _run(self):
        try:
            self.result = self._function()
        except BaseException as error:
            self.error = error
