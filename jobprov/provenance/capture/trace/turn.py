"""Asks the service before a command whether this job is the one of its kind to be traced.

Short, since the job waits: where the service is silent or slow, the job runs untraced. A job that
is not traced is told what the traced one of its kind used. Jobs of one kind have the same stage,
step, program, options and code; names of files, numbers and values differ from job to job and do
not count.

Source: docs/reference/http.md, `POST /api/v1/traces/turns`.
"""

import hashlib
import json
import os
import re
from typing import Any, Dict, List, Optional

from jobprov.provenance.capture.command.arguments import without_prefix
from jobprov.provenance.capture.command.glance import Glance
from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.json_objects import Answer, JsonObject
from jobprov.provenance.capture.running.background import Background
from jobprov.provenance.capture.sending.service import opened
from jobprov.provenance.capture.surroundings import batch, condor_ads
from jobprov.provenance.capture.trace.limits import find_strace, is_limited

_SECONDS, _AGAIN_SECONDS, _CONFIRM_SECONDS = 0.5, 2.0, 20.0
_WORD = re.compile(r"[A-Za-z_-]{1,30}")
_NUMBER = re.compile(r"\d+")
# Lines of a main fcl file that are written for one job: comments, its seeds and its run
_OF_ONE_JOB = re.compile(
    rb"^[ \t]*(?:(?:#(?!include)|//).*|[\w.]*(?:seed|(?:first|max)(?:run|subrun|event)s?)[ \t]*:"
    rb"[ \t]*\d+[ \t]*)$\n?",
    re.IGNORECASE | re.MULTILINE,
)
# Programs that a tracer disturbs: debuggers, and those that need the rights of another user
_DISTURBED = re.compile(
    rb"(?<![\w.-])(?:gdb|strace|ltrace|rr|sudo|su|apptainer|singularity|fusermount3?|newgrp|ping)"
    rb"(?![\w.-])|PTRACE|ptrace|LeakSanitizer|-fsanitize="
)


class Turn:
    """What the service said of a job.

    Attributes:
        key: of the job's kind.
        is_wanted: whether this job is to be traced.
        is_pending: whether a record of a traced job of the kind may come, and none is known.
        used: what the traced job of the kind used: lists of `files`, `code` and `hosts`.
        left_out: how many more files that was, or looked for in vain, than these lists name.
    """

    def __init__(self, experiment: str, key: str) -> None:
        self._experiment, self.key = experiment, key
        self.is_wanted, self.is_pending = False, True
        self.used: Dict[str, List[str]] = {}
        self.left_out = 0

    def ask(
        self,
        options: Options,
        environment: Dict[str, str],
        seconds: float = _SECONDS,
        *,
        can_be_traced: bool,
    ) -> None:
        """Ask, for half a second where the command waits; raises where nobody answers."""
        words = {"can_be_traced": can_be_traced, "confirms": True}
        answer = self._call(options, environment, words, seconds)
        self.is_wanted = answer["is_wanted"]
        self.is_pending = bool(answer.get("is_pending"))
        used = answer.get("used")
        self.used = used if isinstance(used, dict) else {}
        left_out: Any = self.used.pop("left_out", 0)
        self.left_out = left_out if isinstance(left_out, int) else 0

    def confirm(self, options: Options, environment: Dict[str, str]) -> None:
        """Tell beside the command that it runs traced; else another job soon gets the turn."""
        words = {"can_be_traced": False, "is_traced": True}
        Background(lambda: self._call(options, environment, words, _CONFIRM_SECONDS))

    def _call(
        self,
        options: Options,
        environment: Dict[str, str],
        words: Dict[str, bool],
        seconds: float,
    ) -> Answer:
        question = dict(words, experiment=self._experiment, key=self.key)
        with opened(options, environment, seconds) as service:
            return service.call(
                *("POST", "/traces/turns", json.dumps(question).encode("ascii")),
                {"Content-Type": "application/json"},
                lambda answer: isinstance(answer.get("is_wanted"), bool),
            )[1]

    def ask_again(self, options: Options, environment: Dict[str, str]) -> None:
        """Ask again after the command, where the traced job of the kind had not ended before."""
        if self.is_pending:
            try:
                self.ask(options, environment, _AGAIN_SECONDS, can_be_traced=False)
            except Exception:
                pass  # it stays pending


class Asking:
    """Asks beside the job what the service says of it."""

    def __init__(self, options: Options, environment: Dict[str, str], glance: Glance) -> None:
        can_be_traced = not (options.no_trace or find_strace() is None or is_limited())
        can_be_traced = can_be_traced and not is_disturbed(glance)
        self._turn: Optional[Turn] = None
        self._clock = Clock(_SECONDS)

        def ask() -> None:
            turn = turn_of(options, environment, glance)
            if turn is not None:
                turn.ask(options, environment, can_be_traced=can_be_traced)
                self._turn = turn

        self._work = Background(ask)

    def wait(self) -> Optional[Turn]:
        """Return the answer; None where it is slow, half a second after it was asked for."""
        self._work.wait(self._clock.left())
        return self._turn


def turn_of(options: Options, environment: Dict[str, str], glance: Glance) -> Optional[Turn]:
    """Return the turn of a job's kind, not asked for yet.

    None where nobody names the experiment.
    """
    ad = condor_ads.ads(environment, lambda _: None)[0]
    experiment = batch.name_experiment(options, environment, ad)
    if experiment is None:
        return None
    kind = kind_of(options, batch.describe_task(options, environment, ad), glance)
    key = hashlib.sha256("\0".join(kind).encode("utf-8", "replace"))
    return Turn(str(experiment), key.hexdigest())


def is_disturbed(glance: Glance) -> bool:
    """Tell whether the command or its scripts name a program that cannot be traced."""
    texts = [script.content or b"" for script in glance.scripts]
    texts.append(os.fsencode(" ".join(glance.argv)))
    return any(_DISTURBED.search(text) for text in texts)


def kind_of(options: Options, task: JsonObject, glance: Glance) -> List[str]:
    """Return what is the same for jobs of one kind."""
    argv = without_prefix(glance.argv)
    words = [str(task.get("stage") or ""), options.name or "", os.path.basename(argv[0])]
    for word in argv[1:]:
        name = word.partition("=")[0]
        if _WORD.fullmatch(name):
            words.append(name)
        elif " " in word:  # a text for `sh -c`, but for the numbers in it
            words.append(_NUMBER.sub("0", word))
    digests = []
    for script in glance.scripts:
        digests.append(_digest(script.content or b""))
    for _, closure in glance.closures:
        main, *included = closure.contents.values() or [b""]
        digests.append(_digest(_OF_ONE_JOB.sub(b"", main)))
        digests += [_digest(content) for content in included]
    for size, head in glance.heads:
        digests.append("{} {}".format(size, _digest(head)))
    return [*words, *sorted(digests), *sorted(glance.commits)]


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
