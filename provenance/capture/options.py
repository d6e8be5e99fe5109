"""The hook's options: from the command line, else from JOBPROV_… in the environment, else nothing.

Not argparse: it costs a fifth of the time that the hook may take before a job, and it exits on a
slip, which would stop the job. An unknown option is a warning here.
"""

import re

ONE = [
    "url",
    "token-file",
    "spool",
    "experiment",
    "task-id",
    "campaign",
    "stage",
    "unit",
    "project",
    "submitted-by",
    "job-id",
    "part",
    "name",
    "role",
    "exit-code",
    "rerun-of",
    "retry-of",
    "threads",
    "budget-seconds",
    "hash-seconds",
    "leftovers",
    "tail-seconds",
    "trace-bytes",
]
MANY = [
    "input",
    "shared-input",
    "output",
    "parent",
    "config",
    "script",
    "repository",
    "log",
    "metadata",
    "seed",
    "keep-variable",
]
FLAGS = ["no-sidecar", "announce", "trace", "json", "verbose"]
_NUMBERS = ("part", "budget-seconds", "hash-seconds", "tail-seconds", "trace-bytes")

_NAMES = frozenset(ONE + MANY + FLAGS)
_LARGEST = 1e9
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")

USAGE = """usage: job-end-hook.pyz run [options] -- COMMAND...      run a command and record it
       job-end-hook.pyz start [options]                 open a record, inside a job script
       job-end-hook.pyz step [--name N] -- COMMAND...   run one step of it
       job-end-hook.pyz end [--exit-code N] [options]   close and send it
       job-end-hook.pyz flush [SPOOL|LOG] [options]     send what is left in a spool, or at the end of a log
       job-end-hook.pyz condor-exit [exit|evict]        HTCondor exit hook or PostCmd: job ad on stdin
options, each also as JOBPROV_NAME in the environment (several values: one a line):
  --{}
each of these may be given several times:
  --{}
without a value:
  --{}
""".format(" --".join(ONE), " --".join(MANY), " --".join(FLAGS))


class Options:
    """What was asked for; a missing value is None, a list, or False by its kind.

    Attributes:
        command: the words after `--`.
        words: words that are neither options nor command.
        warnings: sentences about words that could not be used.
    """

    def __init__(self, words, environment):
        self.values = _from_environment(environment)
        self.command, self.words, self.warnings = [], [], []
        self._read(list(words))
        self._check_job_ids()
        self._check_numbers()

    def __getattr__(self, name):
        try:
            return self.values[name.replace("_", "-")]
        except KeyError:
            raise AttributeError(name) from None

    def number(self, name, default):
        """Return the option as seconds or count; the default where it is missing."""
        value = self.values.get(name.replace("_", "-"))
        return default if value is None else float(value)

    def refuse_words(self):
        """Warn of words that no option and no command takes."""
        for word in self.words:
            self.warnings.append(
                "{} is left out: options begin with --, the command stands behind --".format(word)
            )

    def _check_job_ids(self):
        """Leave out job ids that are no UUID: the service would refuse the record for good."""
        for name in ("job-id", "rerun-of", "retry-of"):
            named = self.values[name]
            if named is not None:
                self.values[name] = named.lower() if _UUID.match(named) else None
                if self.values[name] is None:
                    self.warnings.append("--{} {} is no UUID and is left out".format(name, named))

    def _check_numbers(self):
        for name in (*_NUMBERS, "exit-code"):
            is_usable = _is_whole if name == "exit-code" else _is_number
            if self.values[name] is not None and not is_usable(self.values[name]):
                self.warnings.append(
                    "--{} {} is no number of use and is left out".format(name, self.values[name])
                )
                self.values[name] = None

    def _read(self, words):
        explicit = set()
        while words:
            word = words.pop(0)
            if word == "--":
                self.command = words
                return
            name, equals, value = word.partition("=")
            name = name[2:] if name.startswith("--") else None
            if name is None:
                self.words.append(word)
            elif name in FLAGS:
                self.values[name] = True
            elif name in ONE or name in MANY:
                if not equals and (
                    not words or _is_option(words[0])
                ):  # such as `--task-id $UNSET -- COMMAND`
                    self.warnings.append("--{} has no value".format(name))
                else:
                    self._set(name, value if equals else words.pop(0), explicit)
            else:
                self.warnings.append("unknown option {}".format(word))

    def _set(self, name, value, explicit):
        if name in ONE:
            self.values[name] = value
            return
        if name not in explicit:  # the command line replaces what the environment said
            self.values[name] = []
            explicit.add(name)
        self.values[name].append(value)


def _is_option(word):
    """Tell whether a word ends the options or is one: no value of another one looks like that."""
    return word == "--" or (word.startswith("--") and word[2:].partition("=")[0] in _NAMES)


def _is_whole(text):
    try:
        return int(text) is not None
    except ValueError:
        return False


def _is_number(text):
    try:
        return 0 <= float(text) < _LARGEST
    except ValueError:
        return False


def _from_environment(environment):
    values = {}
    for name in ONE + MANY + FLAGS:
        text = environment.get("JOBPROV_" + name.upper().replace("-", "_"))
        if name in MANY:
            values[name] = [line.strip() for line in (text or "").splitlines() if line.strip()]
        elif name in FLAGS:
            values[name] = (text or "").lower() in ("1", "true", "yes", "on")
        else:
            values[name] = text or None
    return values
