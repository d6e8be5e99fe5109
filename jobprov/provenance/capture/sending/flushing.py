"""From a finished draft to the service: kept in the spool first, sent second.

And the leftovers of earlier jobs.
"""

import io
import os
import sys
from typing import Any, Dict, Iterator, List, Optional

from jobprov.provenance.capture.files.hashing import Clock
from jobprov.provenance.capture.options import Options
from jobprov.provenance.capture.record import limits
from jobprov.provenance.capture.record.draft import Draft
from jobprov.provenance.capture.record.encoding import encode
from jobprov.provenance.capture.record.json_objects import Answer, Record
from jobprov.provenance.capture.running.background import Speaker, budget
from jobprov.provenance.capture.sending import delivery, homing
from jobprov.provenance.capture.sending import spool as spools
from jobprov.provenance.capture.sending.entry import Entry

_ANNOUNCED = (
    "schema_version",
    "job_id",
    "witness",
    "state",
    "experiment",
    "task",
    "batch",
    "started_at",
    "command",
    "hook",
)
_PLACE = ("hostname", "facility", "site", "slot")
_ANNOUNCING_SECONDS = 5.0
_LOST = "lost, since no spool can be written"
_LEFT = 3  # exit code of `flush`


def keep(spool: Optional[str], draft: Draft, options: Options, environment: Dict[str, str]) -> Any:
    """Return the path of the spooled entry.

    The entry itself, in memory, where no spool can be written.

    Where one spool takes no entry, the next is tried.
    """
    instructions = {"url": options.url}
    draft.attempt("names, times and lengths", limits.mend, draft)
    draft.attempt("cutting long lists", limits.fit, draft)
    tried = set()
    for place in _spools(spool, options, environment):
        if place in tried:
            continue
        tried.add(place)
        try:
            return spools.keep(place, draft, instructions)
        except OSError as error:
            draft.note("the spool {} cannot be written: {}".format(place, error.strerror))
    buffer = io.BytesIO()
    spools.write(buffer, draft, instructions)
    return buffer


def _spools(first: Optional[str], options: Options, environment: Dict[str, str]) -> Iterator[str]:
    if first:
        yield first
    yield from spools.usable(options, environment)


class Sender:
    """Sends one entry, and prints in one line what became of it where that fails.

    It stays in the spool then. At a terminal, or with --verbose, the line is printed in any case.
    """

    def __init__(self, options: Options, environment: Dict[str, str], speaker: Speaker) -> None:
        self.options, self.environment, self.speaker = options, environment, speaker

    def send(self, entry: Any, draft: Draft) -> None:
        """Send what `keep` returned."""
        for note in draft.notes:
            if note not in self.options.warnings:  # which were printed at the start
                self.speaker.detail(note)
        job_id = draft.record["job_id"]
        is_kept = isinstance(entry, str)
        where = self._where(entry) if is_kept else _LOST
        home = homing.lay_out(entry, job_id, self.environment) if is_kept else None
        if home:
            where += ", and goes home with the output as {}".format(os.path.basename(home))
        if not self.options.url:
            self.speaker.say(
                "recorded {} ({}; no --url or JOBPROV_URL to send it to)".format(job_id, where)
            )
            return
        owned = spools.claim(entry) if is_kept else entry
        if owned is None:
            self.speaker.confirm("recorded {} (another process is sending it)".format(job_id))
        else:
            self._try(owned, job_id, where, home)

    def _where(self, path: str) -> str:
        spool, wanted = spools.of_entry(path), self.options.spool
        if wanted and os.path.abspath(wanted) != spool:
            return "kept in {}, since {} cannot be written".format(spool, wanted)
        return "kept in {}".format(spool)

    def _try(self, owned: Any, job_id: str, where: str, home: Optional[str]) -> None:
        try:
            sent = deliver(owned, self.options, self.environment, Clock(budget(self.options)))
        except delivery.IncompleteError as error:
            self._keep_rest(owned, where, home, error)
            return
        except Exception as error:
            self._put_back(owned, job_id, where, error)
            return
        if isinstance(owned, str):
            os.unlink(owned)
        if home:
            os.unlink(home)
        speak = self.speaker.say if sent.refused else self.speaker.confirm
        speak("recorded {} ({})".format(job_id, _outcome(sent)))
        self._tell_gaps(sent)

    def _tell_gaps(self, sent: Entry) -> None:
        for gap in sent.answer.get("gaps") or ():
            self.speaker.detail("gap {}: {}".format(gap.get("code"), gap.get("message")))

    def _keep_rest(
        self, owned: Any, where: str, home: Optional[str], error: delivery.IncompleteError
    ) -> None:
        """Keep the blobs that did not arrive, and name them."""
        from jobprov.provenance.capture.sending import rest  # noqa: PLC0415

        entry, left = error.entry, owned
        if isinstance(owned, str):
            rest.keep(owned, entry)
        else:
            left = io.BytesIO()
            rest.write(left, entry)
            entry.close()
        where = self._carry(left, entry.job_id, is_recorded=True) or where
        if isinstance(owned, str):
            kept = spools.release(owned)
            if home:
                os.unlink(home)
                homing.lay_out(kept, entry.job_id, self.environment)
        later = "" if where == _LOST else "; `flush` sends the rest later"
        self.speaker.say(
            "recorded {} ({}) without {}: {} ({}{})".format(
                entry.job_id, _outcome(entry), rest.waiting(entry), error, where, later
            )
        )
        self._tell_gaps(entry)

    def _put_back(self, owned: Any, job_id: str, where: str, error: Exception) -> None:
        """Keep the entry after an error, aside where it is refused for good, and say so."""
        is_kept, is_refused = isinstance(owned, str), isinstance(error, delivery.RefusedError)
        if isinstance(error, delivery.RefusedError) and error.is_for_good():
            if is_kept:
                spools.reject(owned, str(error))
                where = "kept in {}/rejected".format(spools.of_entry(owned))
            self.speaker.say("refused {}: {} ({})".format(job_id, error, where))
            return
        where = self._carry(owned, job_id) or where
        if is_kept:
            spools.release(owned)
        verb, later = "not sent", "; `flush` sends it later"
        if is_refused:
            verb, later = "refused", "; `flush` sends it once the service allows that"
        if where == _LOST:
            later = ""
        self.speaker.say("{} {}: {} ({}{})".format(verb, job_id, error, where, later))

    def _carry(self, owned: Any, job_id: str, *, is_recorded: bool = False) -> Optional[str]:
        """Send the entry another way home; return in words where it went, or None."""
        # Where something is left
        from jobprov.provenance.capture.sending import leftovers  # noqa: PLC0415

        try:
            return leftovers.carry(
                owned,
                job_id,
                self.options,
                self.environment,
                self.speaker.write,
                is_recorded=is_recorded,
            )
        except Exception as error:
            self.speaker.detail("{}: {}".format(type(error).__name__, error))
            return None


def deliver(
    owned: Any,
    options: Options,
    environment: Dict[str, str],
    clock: Clock,
    url: Optional[str] = None,
) -> Entry:
    """Send an entry and return it with what the service said.

    `url` is used where the options name none.

    Raises delivery.LaterError, delivery.RefusedError, OSError.
    """
    token = delivery.read_token(options, environment)
    address: Any = options.url or url
    return delivery.deliver(owned, address, token, clock)


def summary(answer: Answer) -> str:
    """Return `grade L2, 1 gap`, as far as the service has answered so."""
    gaps = answer.get("gaps")
    words = ["grade {}".format(answer["grade"])] if answer.get("grade") else []
    if isinstance(gaps, list):
        count = {0: "no gaps", 1: "1 gap"}.get(len(gaps))
        words.append(count or "{} gaps".format(len(gaps)))
    return ", ".join(words) or "taken"


def _keep_rest(owned: str, error: delivery.IncompleteError, speaker: Speaker) -> None:
    """Put back what is left of a claimed entry, and name it."""
    from jobprov.provenance.capture.sending import rest  # noqa: PLC0415

    entry = error.entry
    rest.keep(owned, entry)
    path = spools.release(owned)
    _tell_refusals(path, entry, speaker)
    lacking = rest.waiting(entry)
    speaker.say("{}: the service still lacks {}: {}".format(os.path.basename(path), lacking, error))


def _tell_refusals(path: str, sent: Entry, speaker: Speaker) -> None:
    for sentence in _refusals(sent):
        speaker.say("{}: {}".format(os.path.basename(path), sentence))


def _outcome(sent: Entry) -> str:
    """Return what came of an entry: `grade L2, 1 gap`, and what was refused of it."""
    return "; ".join([summary(sent.answer), *_refusals(sent)])


def _refusals(sent: Entry) -> List[str]:
    """Return a sentence for each blob that the service refused for good."""
    if not sent.refused:
        return []
    from jobprov.provenance.capture.sending import rest  # noqa: PLC0415

    return rest.refusals(sent)


def announce(record: Record, options: Options, environment: Dict[str, str]) -> None:
    """Send a `running` record at once, once, and unspooled: only the end of a job is a promise."""
    # Loaded by then
    from jobprov.provenance.capture.secrets.values import redact_strings  # noqa: PLC0415

    if not options.url:
        return
    running = {name: record[name] for name in _ANNOUNCED if name in record}
    _add_place(running, record, options, environment)
    with delivery.opened(options, environment, _ANNOUNCING_SECONDS) as service:
        delivery.put_record(service, record["job_id"], encode(redact_strings(running)))


def _add_place(
    running: Record, record: Record, options: Options, environment: Dict[str, str]
) -> None:
    """Add to a `running` record where the job runs, its unit, and its step.

    The record has them only when it is complete.
    """
    from jobprov.provenance.capture.surroundings import batch, condor_ads, host  # noqa: PLC0415

    draft = Draft()
    described = record.get("host")
    if not described:
        machine_ad = condor_ads.ads(environment, draft.note)[1]
        described = host.describe_host(draft, environment, machine_ad)
    place = {name: described[name] for name in _PLACE if name in described}
    if place:
        running["host"] = place
    inputs = record.get("inputs")
    if not inputs:
        inputs = []
        for path in options.paths("input"):
            inputs.append({"name": os.path.basename(path), "role": "primary"})
    # The index of a job is its unit only where it reads no input, which shows later
    unit = batch.name_unit(options, {}, {}, inputs)
    if unit and running.get("task", {}).get("task_id"):
        running["task"] = dict(running["task"], unit=unit)
    command = running.get("command", {})
    name = options.name or os.path.basename((command.get("argv") or [""])[0])
    if name and not command.get("steps"):
        running["command"] = dict(command, steps=[{"name": name}])


class Flush:
    """What came of sending a spool.

    Attributes:
        spool: its folder, or None where there is none.
        found: entries that were found in the log that was named, or None where none was.
        sent, refused, left: entries.
        problem: why it ended early, or None.
        is_answered: whether the service took or refused each entry.
    """

    def __init__(self) -> None:
        self.spool: Optional[str] = None
        self.found: Optional[int] = None
        self.sent, self.refused = 0, 0
        self.left: Optional[int] = None
        self.problem: Optional[str] = None
        self.is_answered = True


def flush(options: Options, environment: Dict[str, str], speaker: Speaker) -> int:
    """Send everything in a spool, oldest first; return 0 when nothing is left, 3 otherwise.

    With --json the result is printed. A service that does not answer ends it at once; a refused
    entry does not hold up the next ones.
    """
    result = Flush()
    result.spool = _spool_to_send(options, environment, result)
    if result.spool is None:
        speaker.say(result.problem or "{}: no spool, nothing to send".format(options.words[0]))
    else:
        if result.found is not None:
            speaker.say("found {} in {}".format(result.found, options.words[0]))
        _send_all(result.spool, result, options, environment, speaker)
        result.left = len(spools.ready(result.spool))
        reason = " ({})".format(result.problem) if result.problem else ""
        counts = result.sent, result.refused, result.left
        told = "sent {}, refused {}, left {} in {}{}"
        speaker.say(told.format(*counts, result.spool, reason))
        if not options.words:
            _tell_others(options, environment, result.spool, speaker)
    if options.json:
        sys.stdout.write(encode(vars(result)).decode("utf-8") + "\n")
    return _LEFT if result.left or result.refused or result.problem else 0


def _spool_to_send(options: Options, environment: Dict[str, str], result: Flush) -> Optional[str]:
    """Return the spool of the folder that was named, else the usual one.

    With the entries of a log that was named. Where it is None, the result says why, if anything
    may be left.
    """
    if options.words and not os.path.isfile(options.words[0]):
        return _spool_of_folder(options.words[0], result)
    spool = spools.find(options, environment)
    if spool is None:
        result.problem = "no spool to send from"
    elif options.words:
        from jobprov.provenance.capture.sending import leftovers  # noqa: PLC0415

        result.found = leftovers.unpack(options.words[0], os.path.join(spool, "ready"))
    return spool


def _spool_of_folder(folder: str, result: Flush) -> Optional[str]:
    """Return the spool in a folder; None where there is none, or it cannot be used."""
    if not os.path.exists(folder):
        result.problem = "there is no {}".format(folder)
        return None
    place = homing.gather(folder)
    is_begun = spools.is_begun(place)
    spool = spools.open_at(place) if is_begun else None
    if spool is None and (is_begun or not os.access(folder, os.R_OK | os.W_OK)):
        result.problem = "{} cannot be written, or is another user's".format(folder)
    return spool


def _send_all(
    spool: str, result: Flush, options: Options, environment: Dict[str, str], speaker: Speaker
) -> None:
    """Send what a spool holds, and count what came of it."""
    for path in spools.ready(spool):
        owned = spools.claim(path)
        if owned is None:
            continue
        try:
            url = None if options.url else _address(owned)
            sent = deliver(owned, options, environment, Clock(budget(options)), url)
            os.unlink(owned)
            result.sent += 1
            _tell_refusals(path, sent, speaker)
        except delivery.IncompleteError as error:
            _keep_rest(owned, error, speaker)
            result.problem = str(error)
        except delivery.RefusedError as error:
            if error.is_for_good():
                spools.reject(owned, str(error))
            else:  # another experiment's, perhaps: the next ones may be taken
                spools.release(owned)
            speaker.say("refused {}: {}".format(os.path.basename(path), error))
            result.refused += 1
        except delivery.LaterError as error:
            spools.release(owned)
            result.problem, result.is_answered = str(error), False
            if not delivery.is_barred(error):
                break  # a gateway that refuses this one may let the next ones pass
        except Exception as error:  # this one's trouble, as far as anybody can tell
            spools.release(owned)
            result.problem = str(error) or type(error).__name__


def _tell_others(
    options: Options, environment: Dict[str, str], spool: str, speaker: Speaker
) -> None:
    """Name the other spools that hold entries: those of records whose own could not be written."""
    for other in spools.there(options, environment):
        count = len(spools.ready(other)) if other != spool else 0
        if count:
            speaker.say("{} more in {}: send them by `flush {}`".format(count, other, other))


def _address(owned: str) -> Any:
    """Return the address that the entry was made for; only used where none is given now."""
    import json  # noqa: PLC0415
    import zipfile  # noqa: PLC0415

    try:
        with zipfile.ZipFile(owned) as entry:
            return json.loads(entry.read("delivery.json").decode("utf-8")).get("url")
    except (zipfile.BadZipFile, KeyError, ValueError, OSError):
        return None
