"""The hook's options: from the command line, else from JOBPROV_… in the environment, else nothing.

Not argparse: it costs a fifth of the time that the hook may take before a job, and it exits on a
slip, which would stop the job. An unknown option is a warning here.
"""

import os
import re
from collections import deque
from typing import Any, Dict, List, Optional, Sequence, Set

from jobprov.provenance.capture.files.names import as_glob, split_did
from jobprov.provenance.capture.record.json_objects import JsonObject

ONE = [
    "url",
    "token-file",
    "spool",
    "experiment",
    "namespace",
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
    "sidecar",
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
    "metadata-type",
    "seed",
    "keep-variable",
    "watch",
    "program",
]
FLAGS = ["no-sidecar", "told-only", "announce", "trace", "no-trace", "json", "verbose"]
_NUMBERS = ("part", "budget-seconds", "hash-seconds", "tail-seconds", "trace-bytes")
_JOB_IDS = ("job-id", "rerun-of", "retry-of")
_FILES = ("input", "shared-input", "output")

_NAMES = frozenset(ONE + MANY + FLAGS)
_LARGEST = 10**9
# Compiled where they are needed: few jobs do
_NAMESPACE = r"[A-Za-z0-9_.-]*\Z"
_UUID = r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z"

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
    """What was asked for; a missing value is None, an empty list, or False by its kind.

    Attributes:
        values: by the name of the option; each is an attribute as well, such as `task_id` for
            `--task-id`.
        command: the words after `--`.
        words: words that are neither options nor command.
        warnings: sentences about words that could not be used.
    """

    url: Optional[str]
    token_file: Optional[str]
    spool: Optional[str]
    experiment: Optional[str]
    namespace: Optional[str]
    task_id: Optional[str]
    campaign: Optional[str]
    stage: Optional[str]
    unit: Optional[str]
    project: Optional[str]
    submitted_by: Optional[str]
    job_id: Optional[str]
    name: Optional[str]
    role: Optional[str]
    exit_code: Optional[str]
    rerun_of: Optional[str]
    retry_of: Optional[str]
    threads: Optional[str]
    leftovers: Optional[str]
    sidecar: Optional[str]
    input: List[str]
    shared_input: List[str]
    output: List[str]
    parent: List[str]
    config: List[str]
    script: List[str]
    repository: List[str]
    log: List[str]
    metadata: List[str]
    metadata_type: List[str]
    seed: List[str]
    keep_variable: List[str]
    watch: List[str]
    program: List[str]
    no_sidecar: bool
    told_only: bool
    announce: bool
    trace: bool
    no_trace: bool
    json: bool
    verbose: bool

    def __init__(self, words: Sequence[str], environment: Dict[str, str]) -> None:
        self.values = _from_environment(environment)
        self.command: List[str] = []
        self.words: List[str] = []
        self.warnings: List[str] = []
        self._read(list(words))
        if self.no_trace:
            self.values["trace"] = False
        self._check_job_ids()
        self._check_numbers()
        self._check_names()
        self._told: Optional[Dict[str, str]] = None
        self._patterns: List[str] = []

    def __getattr__(self, name: str) -> Any:
        try:
            return self.values[name.replace("_", "-")]
        except KeyError:
            raise AttributeError(name) from None

    def number(self, name: str, default: float) -> float:
        """Return the option as seconds or count; the default where it is missing."""
        value = self.values.get(name)
        return default if value is None else float(value)

    def paths(self, name: str) -> List[str]:
        """Return the files that an option names, without the namespaces before them."""
        return [split_did(word)[1] for word in self.values[name]]

    def declared_parents(self) -> List[JsonObject]:
        """Return what the outputs were made from, as it is told: entries of name and namespace."""
        parents = []
        for word in self.parent:
            namespace, path = split_did(word)
            name = path.rsplit("/", 1)[-1]
            if namespace is None:
                namespace = self.namespace_of(name)
            parents.append({"name": name, "namespace": namespace})
        return parents

    def namespace_of(self, name: str) -> Optional[str]:
        """Return the namespace of a file: as an option names it, else that of `--namespace`."""
        import fnmatch  # noqa: PLC0415 - needed when the job has ended

        if self._told is None:
            self._told = self._namespaces_told()
        if name in self._told:
            return self._told[name]
        for pattern in self._patterns:
            if fnmatch.fnmatch(name, pattern):
                return self._told[pattern]
        return self.namespace

    def _namespaces_told(self) -> Dict[str, str]:
        """Return {name or pattern: namespace} of the files that options name with one."""
        told = {}
        for option in _FILES:
            for namespace, path in map(split_did, self.values[option]):
                if namespace is not None:
                    told[as_glob(os.path.basename(path))] = namespace
        self._patterns = [name for name in told if set(name) & set("*?[")]
        return told

    def refuse_words(self) -> None:
        """Warn of words that no option and no command takes."""
        for word in self.words:
            sentence = "{} is left out: options begin with --, the command stands behind --"
            self.warnings.append(sentence.format(word))

    def _check_job_ids(self) -> None:
        """Leave out job ids that are no UUID: the service would refuse the record for good."""
        for name in _JOB_IDS:
            job_id = self.values[name]
            if job_id is None:
                continue
            if re.match(_UUID, job_id):
                self.values[name] = job_id.lower()
            else:
                self.values[name] = None
                self.warnings.append("--{} {} is no UUID and is left out".format(name, job_id))

    def _check_names(self) -> None:
        """Leave out what no catalog takes as a namespace; tell what is not read as one."""
        if self.namespace and not re.match(_NAMESPACE, self.namespace):
            sentence = "--namespace {} is left out: it has letters, digits, _, . and - alone"
            self.warnings.append(sentence.format(self.namespace))
            self.values["namespace"] = None
        if self.sidecar not in (None, "metacat", "sam"):
            self.warnings.append("--sidecar {} is left out: metacat or sam".format(self.sidecar))
            self.values["sidecar"] = None
        for name in (*_FILES, "parent"):
            for word in self.values[name]:
                is_odd = ":" in os.path.basename(word) and split_did(word)[0] is None
                if is_odd and not os.path.exists(word):
                    sentence = "--{} {} is taken as a name: it is no NAMESPACE:NAME"
                    self.warnings.append(sentence.format(name, word))

    def _check_numbers(self) -> None:
        for name in (*_NUMBERS, "exit-code"):
            value = self.values[name]
            is_usable, wanted = _is_number, "number from 0 to {}".format(_LARGEST)
            if name == "exit-code":
                is_usable, wanted = _is_whole, "whole number"
            if value is not None and not is_usable(value):
                self.warnings.append("--{} {} is left out: no {}".format(name, value, wanted))
                self.values[name] = None

    def _read(self, words: List[str]) -> None:
        # Options of which the command line replaced what the environment said
        replaced: Set[str] = set()
        waiting = deque(words)
        while waiting:
            word = waiting.popleft()
            if word == "--":
                self.command = list(waiting)
                return
            option, equals, value = word.partition("=")
            name = option[2:]
            if not option.startswith("--"):
                self.words.append(word)
            elif name in FLAGS:
                self.values[name] = True
                if name == "trace":  # whatever the environment says
                    self.values["no-trace"] = False
            elif name not in _NAMES:
                self.warnings.append("unknown option {}".format(word))
            elif equals:
                self._set(name, value, replaced)
            elif not waiting or _is_option(waiting[0]):  # such as `--task-id $UNSET -- COMMAND`
                self.warnings.append("--{} has no value".format(name))
            else:
                self._set(name, waiting.popleft(), replaced)

    def _set(self, name: str, value: str, replaced: Set[str]) -> None:
        if name in ONE:
            self.values[name] = value
            return
        if name not in replaced:
            self.values[name] = []
            replaced.add(name)
        self.values[name].append(value)


def _is_option(word: str) -> bool:
    """Tell whether a word ends the options or is one: no value of another one looks like that."""
    return word == "--" or (word.startswith("--") and word[2:].partition("=")[0] in _NAMES)


def _is_whole(text: str) -> bool:
    try:
        int(text)
    except ValueError:
        return False
    return True


def _is_number(text: str) -> bool:
    try:
        return 0 <= float(text) <= _LARGEST
    except ValueError:
        return False


def _from_environment(environment: Dict[str, str]) -> JsonObject:
    values: JsonObject = {}
    for name in ONE + MANY + FLAGS:
        text = environment.get("JOBPROV_" + name.upper().replace("-", "_"), "")
        if name in MANY:
            lines = [line.strip() for line in text.splitlines()]
            values[name] = [line for line in lines if line]
        elif name in FLAGS:
            values[name] = text.lower() in ("1", "true", "yes", "on")
        else:
            values[name] = text or None
    if environment.get("JOBPROV_TRACE", "").lower() in ("0", "false", "no", "off"):
        values["no-trace"] = True
    return values
