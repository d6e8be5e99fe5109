"""What the hook of a job gets from its ad: options on the command line and in the environment.

So the unit of a job is known before the job begins.

Source: HTCondor manual, condor_submit: `arguments` and `environment`, old and new syntax. In the ad
the new syntax is in `Arguments` and `Environment`, the old one in `Args` and `Env`.
"""

import re
import shlex
from collections.abc import Sequence

from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.surroundings import batch
from jobprov.provenance.launchers.condor.ads import Ad, text_in

_HOOK = ".pyz"
"""How the name of the hook ends, whatever else it is called."""
_VERBS = frozenset({"run", "start", "step"})
_PIECE = re.compile(r"'((?:[^']|'')*)'|([^\s']+)|(\s+)|(')")


def hook_options(ad: Ad) -> Options:
    """Return the options of a job's hook; those of the command line go before the environment."""
    return Options(_words_of_hook(command_words(ad)), environment_of(ad))


def task_of(ad: Ad) -> dict[str, str]:
    """Return the record's `task` as far as an ad has it; the unit only where the ad names one.

    A job that names no unit gets it from what it reads, which is not known here.
    """
    options = hook_options(ad)
    task: dict[str, str] = batch.describe_task(options, environment_of(ad), ad)
    if options.unit:
        task["unit"] = options.unit
    return task


def experiment_in(ad: Ad) -> str | None:
    """Return the experiment that an ad names, or None."""
    named = batch.name_experiment(hook_options(ad), environment_of(ad), ad)
    return str(named) if named else None


def command_words(ad: Ad) -> list[str]:
    """Return program and arguments of an ad."""
    program = ad.get("Cmd")
    words = [program] if isinstance(program, str) else []
    in_new_form, in_old_form = text_in(ad, "Arguments"), text_in(ad, "Args")
    if in_new_form is not None:
        words += split_words(in_new_form)
    elif in_old_form is not None:
        words += in_old_form.split()
    return words


def environment_of(ad: Ad) -> dict[str, str]:
    """Return the variables that an ad gives its job."""
    in_new_form, in_old_form = text_in(ad, "Environment"), text_in(ad, "Env")
    words: list[str] = []
    if in_new_form is not None:
        words = split_words(in_new_form)
    elif in_old_form is not None:
        words = in_old_form.split(";")
    variables = {}
    for word in words:
        name, equals, value = word.partition("=")
        if equals:
            variables[name] = value
    return variables


def split_words(text: str) -> list[str]:
    """Return the words of HTCondor's new syntax.

    Single quotes keep blanks together; two of them within quotes are one.
    """
    words: list[str] = []
    word: str | None = None
    for quoted, plain, blank, lone_quote in _PIECE.findall(text):
        if blank:
            if word is not None:
                words.append(word)
            word = None
        else:
            word = (word or "") + (quoted.replace("''", "'") or plain or lone_quote)
    return words if word is None else [*words, word]


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
    try:
        return shlex.split(line)
    except ValueError:
        return []
