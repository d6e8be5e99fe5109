"""From a finished draft to the service: kept in the spool first, sent second.

And the leftovers of earlier jobs.
"""

import io
import itertools
import os
import sys

from jobprov.provenance.capture import accepting, delivery, fitting, homing
from jobprov.provenance.capture import spool as spools
from jobprov.provenance.capture.hashing import Clock

_BUDGET_SECONDS = 20.0
_LOST = "lost, since no spool can be written"


def keep(spool, draft, options, environment):
    """Return the path of the spooled entry, in the next place where the spool takes none.

    The entry itself, in memory, where no place does.
    """
    instructions = {"url": options.url}
    draft.attempt("names, times and lengths", accepting.mend, draft)
    draft.attempt("cutting long lists", fitting.fit, draft)
    tried = set()
    for place in itertools.chain([spool] if spool else [], spools.usable(options, environment)):
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


class Sender:
    """Sends one entry, and says in one line what became of it.

    It stays in the spool where that fails.
    """

    def __init__(self, options, environment, speaker):
        self.options, self.environment, self.speaker = options, environment, speaker

    def send(self, path, draft):
        """Send what `keep` returned."""
        for note in draft.notes:
            self.speaker.detail(note)
        job_id = draft.record["job_id"]
        is_kept = not isinstance(path, io.BytesIO)
        where = self._where(path) if is_kept else _LOST
        home = homing.lay_out(path, job_id, self.environment) if is_kept else None
        if home:
            where += ", and goes home with the output as {}".format(os.path.basename(home))
        if not self.options.url:
            self.speaker.say(
                "recorded {} ({}; no --url or JOBPROV_URL to send it to)".format(job_id, where)
            )
            return
        owned = spools.claim(path) if is_kept else path
        if owned is None:
            self.speaker.say("recorded {} (another process is sending it)".format(job_id))
        else:
            self._try(owned, job_id, is_kept, where, home)

    def _where(self, path):
        spool, asked = spools.of_entry(path), self.options.spool
        if asked and os.path.abspath(asked) != spool:
            return "kept in {}, since {} cannot be written".format(spool, asked)
        return "kept in {}".format(spool)

    def _try(self, owned, job_id, is_kept, where, home):
        clock = Clock(self.options.number("budget-seconds", _BUDGET_SECONDS))
        try:
            answer = deliver(owned, self.options, self.environment, clock)
        except Exception as error:
            self._put_back(owned, job_id, is_kept, where, error)
        else:
            if is_kept:
                os.unlink(owned)
            if home:
                os.unlink(home)
            self.speaker.say("recorded {} ({})".format(job_id, summary(answer)))
            for gap in answer.get("gaps") or ():
                self.speaker.detail("gap {}: {}".format(gap.get("code"), gap.get("message")))

    def _put_back(self, owned, job_id, is_kept, where, error):
        is_refused = isinstance(error, delivery.RefusedError)
        verb = "refused" if is_refused else "not sent"
        if is_refused and error.is_for_good():
            if is_kept:
                spools.reject(owned, str(error))
                where = "kept in {}/rejected".format(spools.of_entry(owned))
            self.speaker.say("{} {}: {} ({})".format(verb, job_id, error, where))
            return
        where = self._carry(owned, job_id) or where
        if is_kept:
            spools.release(owned)
        later = "" if where == _LOST else "; `flush` sends it later"
        self.speaker.say("{} {}: {} ({}{})".format(verb, job_id, error, where, later))

    def _carry(self, owned, job_id):
        from jobprov.provenance.capture import leftovers  # noqa: PLC0415 - where something is left

        try:
            return leftovers.carry(
                owned, job_id, self.options, self.environment, self.speaker.write
            )
        except Exception as error:
            self.speaker.detail("{}: {}".format(type(error).__name__, error))
            return None


def deliver(owned, options, environment, clock, url=None):
    """Send an entry and return the service's answer.

    Raises delivery.LaterError, delivery.RefusedError, OSError.
    """
    token = delivery.read_token(options, environment)
    return delivery.deliver(owned, options.url or url, token, clock)


def summary(answer):
    """Return `grade L2, 1 gap`, as far as the service told."""
    gaps = answer.get("gaps")
    words = ["grade {}".format(answer["grade"])] if answer.get("grade") else []
    if isinstance(gaps, list):
        words.append(
            "no gaps" if not gaps else "{} gap{}".format(len(gaps), "" if len(gaps) == 1 else "s")
        )
    return ", ".join(words) or "taken"


def announce(record, options, environment):
    """Send a `running` record at once, once, and unspooled: only the end of a job is a promise."""
    # Loaded by then
    from jobprov.provenance.capture.redaction import redact_strings  # noqa: PLC0415

    if not options.url:
        return
    fields = (
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
    running = {name: record[name] for name in fields if name in record}
    service = delivery.Service(options.url, delivery.read_token(options, environment), Clock(5.0))
    try:
        body = delivery.gzip_bytes(spools.encode(redact_strings(running)))
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        service.call("PUT", "/jobs/" + record["job_id"], body, headers)
    finally:
        service.close()


def flush(options, environment, speaker):
    """Send everything in a spool, oldest first; return 0 when nothing is left, 3 otherwise.

    With --json say on stdout what came of it.

    A service that does not answer ends it at once; a refused entry does not hold up the next ones.
    """
    found = {
        "spool": None,
        "found": None,
        "sent": 0,
        "refused": 0,
        "left": None,
        "problem": None,
        "is_answered": True,
    }
    spool = found["spool"] = _spool_to_send(options, environment, found)
    if spool is None:
        found["problem"] = "no spool to send from"
        speaker.say(found["problem"])
    else:
        if found["found"] is not None:
            speaker.say("found {} in {}".format(found["found"], options.words[0]))
        _send_all(found, options, environment, speaker)
        found["left"] = len(spools.ready(spool))
        why = " ({problem})".format(**found) if found["problem"] else ""
        speaker.say("sent {sent}, refused {refused}, left {left}{}".format(why, **found))
        if not options.words:
            _tell_others(options, environment, spool, speaker)
    if options.json:
        sys.stdout.write(spools.encode(found).decode("utf-8") + "\n")
    return 3 if found["left"] or found["refused"] or found["problem"] else 0


def _spool_to_send(options, environment, found):
    """Return the spool of the folder that was named, else the usual one, with what a log that was named holds."""
    if options.words and not os.path.isfile(options.words[0]):
        return spools.open_at(homing.gather(options.words[0]))
    spool = spools.find(options, environment)
    if options.words and spool is not None:
        from jobprov.provenance.capture import leftovers  # noqa: PLC0415

        found["found"] = leftovers.unpack(options.words[0], os.path.join(spool, "ready"))
    return spool


def _send_all(found, options, environment, speaker):
    """Send what a spool holds, and count what came of it.

    `is_answered` where the service took or refused each one.
    """
    for path in spools.ready(found["spool"]):
        owned = spools.claim(path)
        if owned is None:
            continue
        try:
            clock = Clock(options.number("budget-seconds", _BUDGET_SECONDS))
            deliver(owned, options, environment, clock, None if options.url else _address(owned))
            os.unlink(owned)
            found["sent"] += 1
        except delivery.RefusedError as error:
            if error.is_for_good():
                spools.reject(owned, str(error))
            else:  # another experiment's, perhaps: the next ones may be taken
                spools.release(owned)
            speaker.say("refused {}: {}".format(os.path.basename(path), error))
            found["refused"] += 1
        except delivery.LaterError as error:
            spools.release(owned)
            found["problem"], found["is_answered"] = str(error), False
            break
        except Exception as error:  # this one's trouble, as far as anybody can tell
            spools.release(owned)
            found["problem"] = str(error) or type(error).__name__


def _tell_others(options, environment, spool, speaker):
    """Say which of the places that a record goes to where its spool cannot be written hold some."""
    for other in spools.there(options, environment):
        count = len(spools.ready(other)) if other != spool else 0
        if count:
            speaker.say("{} more in {}: send them by `flush {}`".format(count, other, other))


def _address(owned):
    """Return the address that the entry was made for; only used where none is given now."""
    import json  # noqa: PLC0415
    import zipfile  # noqa: PLC0415

    try:
        with zipfile.ZipFile(owned) as entry:
            return json.loads(entry.read("delivery.json").decode("utf-8")).get("url")
    except (zipfile.BadZipFile, KeyError, ValueError, OSError):
        return None
