"""The hook's commands that run no command of the job: loaded where they are called."""

import sys
from typing import Callable, Dict, Optional

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.recording.moments import job_script
from jobprov.provenance.capture.running.background import (
    Background,
    Speaker,
    budget,
    hash_seconds,
    tell_failure,
)

_LARGEST_AD = 4 << 20


def start(options: Options, environment: Dict[str, str]) -> int:
    """Open a record for the calling job script."""
    speaker = Speaker(options)
    work = Background(lambda: job_script.open_session(options, environment))
    tell_failure(work, speaker, is_done=work.wait(budget(options)))
    return 0


def end(options: Options, environment: Dict[str, str]) -> int:
    """Close and send the record of the calling job script; returns the job's exit code."""
    speaker, code = Speaker(options), _exit_code(options)
    work = Background(lambda: job_script.close_session(options, environment, code, speaker))
    is_done = work.wait(hash_seconds(options) + budget(options))
    tell_failure(work, speaker, is_done=is_done)
    last: Optional[int] = work.result
    return (last if code is None else code) or 0


def flush(options: Options, environment: Dict[str, str]) -> int:
    """Send what is left in a spool.

    Returns 0 when nothing is left, 3 when something could not be sent.
    """
    from jobprov.provenance.capture.sending import flushing  # noqa: PLC0415

    return flushing.flush(options, environment, Speaker(options))


def condor_exit(options: Options, environment: Dict[str, str]) -> int:
    """Record a job from its ad on standard input, as HTCondor's exit hook or PostCmd.

    Always returns 0.
    """
    from jobprov.provenance.capture.recording.condor_exit import record_exit  # noqa: PLC0415

    speaker = Speaker(options)
    text = sys.stdin.read(_LARGEST_AD)
    work = Background(lambda: record_exit(options, environment, text, speaker))
    tell_failure(work, speaker, is_done=work.wait(budget(options)))
    return 0


def _exit_code(options: Options) -> Optional[int]:
    return None if options.exit_code is None else int(options.exit_code) & 0xFF


COMMANDS: Dict[str, Callable[[Options, Dict[str, str]], int]] = {
    "start": start,
    "end": end,
    "flush": flush,
    "condor-exit": condor_exit,
}
