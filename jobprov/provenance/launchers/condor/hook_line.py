"""What the hook of a job gets from its ad: options on the command line and in the environment.

So the unit of a job is known before the job begins.
"""

import shlex
from collections.abc import Sequence

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.surroundings import batch
from jobprov.provenance.capture.surroundings.condor_ads import command_of, job_variables
from jobprov.provenance.launchers.condor.ads import Ad

_HOOK = ".pyz"
"""How the name of the hook ends, whatever else it is called."""
_LONGEST_LINE = 100_000
_VERBS = frozenset({"run", "start", "step"})


def hook_options(ad: Ad) -> Options:
    """Return the options of a job's hook; those of the command line go before the environment."""
    return Options(_words_of_hook(command_of(ad)), job_variables(ad))


def task_of(ad: Ad) -> dict[str, str]:
    """Return the record's `task` as far as an ad has it; the unit only where the ad names one.

    A job that names no unit gets it from what it reads, which is not known here.
    """
    options = hook_options(ad)
    task: dict[str, str] = batch.describe_task(options, job_variables(ad), ad)
    if options.unit:
        task["unit"] = options.unit
    return task


def experiment_in(ad: Ad) -> str | None:
    """Return the experiment that an ad names, or None."""
    named = batch.name_experiment(hook_options(ad), job_variables(ad), ad)
    return str(named) if named else None


def _words_of_hook(words: Sequence[str]) -> list[str]:
    """Return the words behind the hook's `run` or `start`; none where the hook is not called."""
    for place, word in enumerate(words):
        if word.endswith(_HOOK) and words[place + 1 : place + 2]:
            if words[place + 1] in _VERBS:
                return list(words[place + 2 :])
        elif _HOOK in word and " " in word:
            # `sh -c "python3 job-end-hook.pyz run …"`
            inner = _words_of_hook(_shell_words(word))
            if inner:
                return inner
    return []


def _shell_words(line: str) -> list[str]:
    if len(line) > _LONGEST_LINE:  # shlex takes a time that grows with the square of a word
        return []
    try:
        return shlex.split(line)
    except ValueError:
        return []
