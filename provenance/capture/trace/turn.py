"""Asks the service before a command whether this job is the one of its kind to be traced.

Short, since the job waits: where the service is silent or slow, the job runs untraced. A job that is
not traced is told what the traced one of its kind used. Jobs of one kind have the same stage, step,
program, options and code; names of files, numbers and values differ from job to job and do not
count.

Source: docs/reference/http.md, `POST /api/v1/traces/turns`.
"""

import hashlib
import json
import os
import re
from typing import Any, Dict, List, Optional, Sequence, Tuple

from jobprov.provenance.capture.command.arguments import is_system, without_prefix
from jobprov.provenance.capture.command.glance import Glance
from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.running.background import Background
from jobprov.provenance.capture.sending.service import Service, read_token
from jobprov.provenance.capture.surroundings import batch, condor_ads
from jobprov.provenance.capture.trace.limits import is_limited

_SECONDS = 0.5
_WORD = re.compile(r"[A-Za-z_-]{1,30}")
_NUMBER = re.compile(r"\d+")
# Lines of a main fcl file that are written for one job: comments, its seeds and its run
_OF_ONE_JOB = re.compile(
    rb"^[ \t]*(?:(?:#(?!include)|//).*|[\w.]*(?:seed|(?:first|max)(?:run|subrun|event)s?)[ \t]*:"
    rb"[ \t]*\d+[ \t]*)$\n?",
    re.IGNORECASE | re.MULTILINE,
)
# What these read although no word names it
_UNNAMED = {
    "make": ("GNUmakefile", "makefile", "Makefile"),
    "gmake": ("GNUmakefile", "makefile", "Makefile"),
    "snakemake": ("Snakefile", "workflow/Snakefile"),
}
_LARGEST_REF, _HEAD_BYTES, _MOST_WORDS = 4096, 1 << 16, 100
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

    def ask(self, options: Options, environment: Dict[str, str], *, can_be_traced: bool) -> None:
        """Ask, for half a second at most; raises where nobody answers."""
        question = {"experiment": self._experiment, "key": self.key, "can_be_traced": can_be_traced}
        token = read_token(options, environment)
        service = Service(options.url or "", token, Clock(_SECONDS))
        try:
            answer = service.call(
                *("POST", "/traces/turns", json.dumps(question).encode("ascii")),
                {"Content-Type": "application/json"},
                lambda answer: isinstance(answer.get("is_wanted"), bool),
            )[1]
        finally:
            service.close()
        self.is_wanted = answer["is_wanted"]
        self.is_pending = bool(answer.get("is_pending"))
        used = answer.get("used")
        self.used = used if isinstance(used, dict) else {}
        left_out: Any = self.used.pop("left_out", 0)
        self.left_out = left_out if isinstance(left_out, int) else 0

    def ask_again(self, options: Options, environment: Dict[str, str]) -> None:
        """Ask once more after the command, where the traced job of the kind had not ended before."""
        if self.is_pending:
            try:
                self.ask(options, environment, can_be_traced=False)
            except Exception:
                pass  # it stays pending


def ask(
    options: Options, environment: Dict[str, str], glance: Glance, *, can_be_traced: bool
) -> Optional[Turn]:
    """Return what the service says of this job; a turn of its kind alone where it says nothing.

    None where that is slow or not known, too.
    """
    can_be_traced = can_be_traced and not is_disturbed(glance) and not is_limited()
    turns: List[Turn] = []

    def work() -> None:
        kind = _kind(options, environment, glance)
        if kind is None:
            return
        turns.append(Turn(*kind))
        if options.url and not options.trace:
            turn = Turn(*kind)
            turn.ask(options, environment, can_be_traced=can_be_traced)
            turns.append(turn)

    Background(work).wait(_SECONDS)
    return turns[-1] if turns else None


def is_disturbed(glance: Glance) -> bool:
    """Tell whether the command or its scripts name a program that cannot be traced."""
    texts = [content or b"" for _, _, content in glance.scripts]
    texts.append(os.fsencode(" ".join(glance.argv)))
    return any(_DISTURBED.search(text) for text in texts)


def _kind(
    options: Options, environment: Dict[str, str], glance: Glance
) -> Optional[Tuple[str, str]]:
    """Return the experiment of a job, and the key of its kind; None where nobody names the first."""
    ad = condor_ads.ads(environment, Draft())[0]
    experiment = batch.name_experiment(options, environment, ad)
    if experiment is None:
        return None
    task = batch.describe_task(options, environment, ad)
    key = hashlib.sha256("\0".join(kind_of(options, task, glance)).encode("utf-8", "replace"))
    return str(experiment), key.hexdigest()


def kind_of(options: Options, task: Dict[str, Any], glance: Glance) -> List[str]:
    """Return what is the same for jobs of one kind."""
    argv = without_prefix(glance.argv)
    words = [str(task.get("stage") or ""), options.name or "", os.path.basename(argv[0])]
    for word in argv[1:]:
        name = word.partition("=")[0]
        if _WORD.fullmatch(name):
            words.append(name)
        elif " " in word:  # a text for `sh -c`, but for the numbers in it
            words.append(_NUMBER.sub("0", word))
    digests = [hashlib.sha256(content or b"").hexdigest() for _, _, content in glance.scripts]
    for _, closure in glance.closures:
        main, *included = closure.contents.values() or [b""]
        for content in (_OF_ONE_JOB.sub(b"", main), *included):
            digests.append(hashlib.sha256(content).hexdigest())
    digests += _heads_of_files(_UNNAMED.get(words[2], ()))
    digests += _heads_of_programs([argv[0], *" ".join(argv[1:]).split()])
    return [*words, *sorted(digests), *sorted(_commit(top) for top in glance.tops)]


def _heads_of_programs(words: Sequence[str]) -> List[str]:
    """Return size and digest of the beginning of the job's own programs among some words."""
    programs = []
    for word in words[:_MOST_WORDS]:
        if "/" in word and not is_system(os.path.abspath(word)) and os.access(word, os.X_OK):
            programs.append(word)
    return _heads_of_files(programs)


def _heads_of_files(paths: Sequence[str]) -> List[str]:
    heads = []
    for path in filter(os.path.isfile, paths):
        with open(path, "rb") as stream:
            head = hashlib.sha256(stream.read(_HEAD_BYTES)).hexdigest()
        heads.append("{} {}".format(os.path.getsize(path), head))
    return heads


def _commit(top: str) -> str:
    """Return the commit of a checkout without starting git; its branch where that is packed."""
    folder = os.path.join(top, ".git")
    head = _line(os.path.join(folder, "HEAD"))
    if not head.startswith("ref: "):
        return head
    return _line(os.path.join(folder, head[5:])) or head


def _line(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read(_LARGEST_REF).strip()
    except OSError:
        return ""
