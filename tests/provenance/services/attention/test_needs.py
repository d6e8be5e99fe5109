"""What needs somebody: each thing that does is told once, with its number, since when and where."""

import json
import random
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobprov.provenance.answers.attention import Attention
from jobprov.provenance.db.changes.intake import note_token_use
from jobprov.provenance.db.queries.lookup.experiments import experiment_key
from jobprov.provenance.services.alerts.events import Found, begin_alerts
from jobprov.provenance.services.attention.needs import (
    MOST_SHOWN,
    SEALED_WITHIN,
    Backups,
    CountedAnswers,
    list_needs,
)
from jobprov.provenance.services.attention.tokens import expiring_tokens
from jobprov.provenance.services.intake.tokens import Grant, create_ticket, create_token
from jobprov.provenance.services.recording.dead_letters import Undecoded, keep_letters
from jobprov.provenance.services.statistics.growing_gaps import list_growing_gaps
from jobprov.provenance.services.statistics.new_causes import list_new_causes
from jobprov.provenance.services.statistics.slower_stages import got_slower, list_slower_stages
from jobprov.provenance.services.statistics.worse_sites import list_worse_sites
from jobprov.provenance.services.tasks.campaigns import list_campaigns
from jobprov.provenance.services.tasks.queue import whole_queue
from jobprov.provenance.services.tasks.queue_reports import (
    compare_report,
    read_report,
    take_queue_report,
)
from jobprov.provenance.times import utc_text
from tests.library.production import Production
from tests.library.productions.attempts import commands
from tests.library.records import a_record, job_id

RECORDED = datetime(2026, 1, 1, 12, tzinfo=UTC)
"""When a production of tests records."""
NOW = datetime(2026, 1, 2, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


UNWATCHED = Backups(None, None)


def look(
    production: Production,
    now: datetime = NOW,
    backups: Backups = UNWATCHED,
    tokens_expire_at: Sequence[datetime] = (),
) -> Attention:
    """Return what needs somebody; causes are new where none was seen a day before."""
    with production.database.reading.connect() as connection:
        return list_needs(
            connection,
            production.store,
            counted_answers=CountedAnswers(
                causes=list_new_causes(connection, now - 24 * HOUR, now),
                campaigns=list_campaigns(connection, production.store),
                sites=list_worse_sites(connection, now),
                stages=list_slower_stages(connection, now),
                gaps=list_growing_gaps(connection, now),
            ),
            queue=whole_queue(connection, limit=0),
            backups=backups,
            tokens_expire_at=tokens_expire_at,
            window="24h",
            now=now,
        )


def fail(number: int, ended_at: datetime, message: str, **more: Any) -> dict[str, Any]:
    exit_ = {"code": 1, "failed_step": "art", "error_class": message, "message": message}
    ended = ended_at.isoformat().replace("+00:00", "Z")
    return a_record(number, state="failed", ended_at=ended, exit=exit_, **more)


def hold(
    production: Production, *since: datetime, state: str = "held", task_id: str = "another"
) -> None:
    """Have a queue report a job for each moment since when it is held, or in another state."""
    jobs = []
    for number, moment in enumerate(since):
        jobs.append(
            {
                "batch_id": f"{number}.0@s",
                "job_id": job_id(900 + number),
                "task_id": task_id,
                "state": state,
                "since": moment.isoformat(),
            }
        )
    body = read_report(json.dumps({"experiment": "nova", "jobs": jobs}).encode())
    with production.database.reading.connect() as connection:
        compared = compare_report(connection, "s", body, received_at=datetime.now(UTC))
    production.write(lambda writing: take_queue_report(writing, "s", body, compared))


def test_nothing_needs_attention_before_anything_is_recorded(production: Production) -> None:
    attention = look(production)

    assert (attention.needs, attention.left_out, attention.since) == ([], 0, None)


def test_causes_stages_and_held_jobs_say_how_many_since_when_and_where(
    production: Production,
) -> None:
    of_task = {"task": {"task_id": "t1", "unit": "a"}}
    production.declare("t1", units=["a", "b"], campaign="c", stage="reco")
    production.record(
        fail(1, NOW - 90 * HOUR, "old"),
        fail(2, NOW - HOUR, "old"),
        fail(3, NOW - 2 * HOUR, "new", **of_task),
        fail(4, NOW - HOUR, "new"),
    )
    hold(production, NOW - 3 * HOUR, NOW - 5 * HOUR)
    production.work()

    attention = look(production)

    by_kind = {need.kind: need for need in attention.needs}
    assert list(by_kind)[:3] == ["cause", "units", "held"]
    cause, units, held = by_kind["cause"], by_kind["units"], by_kind["held"]
    assert (cause.count, cause.since, cause.experiment) == (2, "2026-01-01T23:00:00Z", "nova")
    assert cause.words.startswith("2 jobs failed with a new cause: ")
    assert cause.url.startswith("/jobs?experiment=nova&cause_id=")
    assert units.words.startswith("1 unit of stage reco of c needs a decision")
    assert units.url == "/campaigns/nova/c"
    assert (held.count, held.since, held.url) == (2, "2026-01-01T20:00:00Z", "/queue")
    assert attention.since == held.since


def test_stage_in_which_something_goes_on_waits_for_nobody(production: Production) -> None:
    production.declare("t1", units=["a", "b"], campaign="c", stage="reco")
    task = {"task_id": "t1", "unit": "a"}
    production.record(fail(1, NOW - HOUR, "x", task=task))
    assert "units" in [need.kind for need in look(production).needs]

    production.waive("t1", "a", "b")
    assert "units" not in [need.kind for need in look(production).needs]


@pytest.mark.slow
def test_stage_whose_jobs_wait_in_a_queue_without_their_units_waits_for_nobody(
    production: Production,
) -> None:
    production.declare("t1", units=["a", "b"], campaign="c", stage="reco")
    production.record(fail(1, NOW - HOUR, "x", task={"task_id": "t1", "unit": "a"}))
    now = datetime.now(UTC)

    def waits(later: timedelta) -> bool:
        return "units" in [need.kind for need in look(production, now + later).needs]

    assert waits(timedelta(0))
    hold(production, NOW, task_id="t1")
    assert waits(timedelta(0)), "what is held goes on by nobody"
    hold(production, NOW, state="idle", task_id="t1")
    assert not waits(timedelta(0))
    assert waits(HOUR), "a queue that is not reported any more tells nothing"


@pytest.mark.slow
def test_alert_is_told_instead_of_what_it_was_found_by_and_many_are_bounded(
    production: Production,
) -> None:
    production.record(
        *[fail(number, NOW - HOUR, f"cause {'x' * number}") for number in range(1, 9)]
    )
    production.work()
    with production.database.reading.connect() as connection:
        key = experiment_key(connection, "nova")
    assert key is not None
    before = look(production)
    causes = [need for need in before.needs if need.kind == "cause"]
    assert len(causes) == MOST_SHOWN
    told = causes[0]

    found = [Found("x", "it fails", told.url)]
    production.write(
        lambda writing: begin_alerts(
            writing, key, found, rule="new", condition="new_cause", receivers=[]
        )
    )
    after = look(production)

    assert after.needs[0].kind == "alert"
    assert [need.url for need in after.needs].count(told.url) == 1
    assert after.left_out == before.left_out


@pytest.mark.slow
def test_records_that_could_not_be_read_need_somebody(production: Production) -> None:
    first = production.tick()
    bad = Undecoded(job_id(1), "no JSON", first, b"{")
    other = Undecoded(job_id(2), "no JSON", first + HOUR, b"{")
    production.write(lambda writing: keep_letters(writing, Grant("nova", "token"), [other]))
    [alone] = [need for need in look(production).needs if need.kind == "letters"]
    production.write(lambda writing: keep_letters(writing, Grant("nova", "token"), [bad]))
    production.write(lambda writing: keep_letters(writing, Grant("mu2e", "token"), [bad]))

    [need] = [need for need in look(production).needs if need.kind == "letters"]

    assert alone.words == "1 record could not be read and is kept as a dead letter, from nova"
    words = "3 records could not be read and are kept as dead letters, from nova, mu2e"
    assert (need.count, need.words) == (3, words)
    assert need.since == utc_text(first)
    assert need.url == "/docs/how-to/run-a-service#dead-letters"


@pytest.mark.slow
def test_ledger_that_is_not_sealed_needs_somebody_after_days(production: Production) -> None:
    production.record(a_record(1))
    soon, late = RECORDED + HOUR, RECORDED + SEALED_WITHIN + HOUR

    assert "unsealed" not in [need.kind for need in look(production, soon).needs]
    [need] = [need for need in look(production, late).needs if need.kind == "unsealed"]
    assert need.since is not None
    assert need.url == "/docs/how-to/look-after-the-archive#seal"
    production.seal()
    assert "unsealed" not in [need.kind for need in look(production, late).needs]


def ran_at(site: str, numbers: range, ended_at: datetime, *, failed: int) -> list[dict[str, Any]]:
    """Return records of one site, of which the first so many failed."""
    records = []
    for number in numbers:
        state = "failed" if number < numbers.start + failed else "succeeded"
        ended = ended_at.isoformat()
        host = {"hostname": f"n.{site}", "site": site}
        records.append(a_record(number, state=state, ended_at=ended, host=host))
    return records


def worse(production: Production, now: datetime = NOW) -> list[Any]:
    """Return the sites that got worse; what is told of their failures otherwise does not count."""
    return [
        (need.words, need.count, need.since, need.url)
        for need in look(production, now).needs
        if need.kind == "site"
    ]


@pytest.mark.slow
def test_site_that_got_worse_says_how_much_and_since_when(production: Production) -> None:
    before = NOW - 48 * HOUR
    production.record(
        *ran_at("FNAL", range(1, 41), before, failed=1),
        *ran_at("CERN", range(41, 81), before, failed=1),
        # A single failure of the morning is not since when
        *ran_at("FNAL", range(81, 91), NOW - 20.5 * HOUR, failed=1),
        *ran_at("FNAL", range(91, 101), NOW - 4.5 * HOUR, failed=6),
        *ran_at("FNAL", range(101, 111), NOW - 1.5 * HOUR, failed=5),
        *ran_at("CERN", range(111, 141), NOW - 4.5 * HOUR, failed=2),
    )

    words = (
        "FNAL got worse: 40.0 % of its jobs did not succeed in 24 hours (12 of 30), "
        "2.5 % in the 7 days before"
    )
    page = "/throughput?experiment=nova&site=FNAL&since=8d"
    assert worse(production) == [(words, 12, "2026-01-01T20:00:00Z", page)]
    a_while_later = NOW + timedelta(minutes=47)
    assert worse(production, a_while_later) == worse(production), "since does not move on"
    production.record(fail(200, NOW - HOUR, "a single one"))
    production.work()
    kinds = [need.kind for need in look(production).needs]
    assert "cause" in kinds
    assert kinds[0] == "site", "before a cause of which a single job may have failed"


def test_site_of_few_failures_or_as_bad_as_before_did_not_get_worse(production: Production) -> None:
    before, lately = NOW - 48 * HOUR, NOW - 4 * HOUR
    production.record(
        *ran_at("CERN", range(1, 41), before, failed=0),
        *ran_at("CERN", range(41, 81), lately, failed=0),
        *ran_at("FNAL", range(81, 121), before, failed=0),
        *ran_at("FNAL", range(121, 141), lately, failed=9),
        *ran_at("RAL", range(141, 181), before, failed=15),
        *ran_at("RAL", range(181, 221), lately, failed=29),
        *ran_at("SMU", range(221, 240), before, failed=0),
        *ran_at("SMU", range(240, 260), lately, failed=20),
    )

    assert worse(production) == [], "nine failures; 73 % after 38 %; 19 jobs to compare with"


@pytest.mark.slow
def test_what_fails_at_all_sites_is_no_matter_of_a_site(production: Production) -> None:
    before, lately = NOW - 48 * HOUR, NOW - 4 * HOUR
    production.record(
        *ran_at("CERN", range(1, 41), before, failed=0),
        *ran_at("FNAL", range(41, 81), before, failed=0),
        *ran_at("CERN", range(81, 121), lately, failed=20),
        *ran_at("FNAL", range(121, 161), lately, failed=21),
    )
    assert worse(production) == []

    production.record(*ran_at("FNAL", range(161, 201), lately, failed=40))
    assert [words.split(":")[0] for words, *_ in worse(production)] == ["FNAL got worse"]


def took(
    seconds: Iterable[float],
    ended_at: datetime,
    *,
    first: int,
    campaign: str = "c",
    state: str = "succeeded",
) -> list[dict[str, Any]]:
    """Return records of the stage `reco`, one for each of these run times."""
    records = []
    for number, wall_seconds in enumerate(seconds, first):
        task = {"task_id": f"t-{campaign}", "campaign": campaign, "stage": "reco"}
        resources = {"wall_seconds": wall_seconds}
        ended = ended_at.isoformat()
        records.append(
            a_record(number, state=state, ended_at=ended, task=task, resources=resources)
        )
    return records


def slower(production: Production) -> list[Any]:
    return [
        (need.words, need.count, need.since, need.url)
        for need in look(production).needs
        if need.kind == "stage"
    ]


def scattered(jobs: int, typical: float, chance: random.Random) -> list[float]:
    """Return run times as those of one stage scatter: a few take several times as long."""
    return [typical * chance.lognormvariate(0, 0.5) for _ in range(jobs)]


def test_stage_that_got_slower_says_by_how_much_and_since_when(production: Production) -> None:
    chance = random.Random(1)  # noqa: S311 - has to repeat, not to be secret
    production.record(
        *took(scattered(60, 3600, chance), NOW - 48 * HOUR, first=1),
        *took(scattered(20, 3600, chance), NOW - 10.5 * HOUR, first=100),
        *took(scattered(30, 14_400, chance), NOW - 4.5 * HOUR, first=200),
        # Another campaign runs the same stage, as fast as it always did
        *took(scattered(60, 600, chance), NOW - 48 * HOUR, first=300, campaign="d"),
        *took(scattered(60, 600, chance), NOW - 4 * HOUR, first=400, campaign="d"),
    )

    [(words, jobs, since, url)] = slower(production)

    assert words.startswith("stage reco of c got slower: its jobs take ")
    assert "(median of 50 in 24 hours)" in words
    assert words.endswith("in the 7 days before")
    assert (jobs, since) == (50, "2026-01-01T20:00:00Z")
    assert url == (
        "/throughput?experiment=nova&campaign=c&stage=reco&measure=wall_seconds&by=site&since=8d"
    )


def test_stage_of_the_usual_scatter_did_not_get_slower() -> None:
    """Of 1,000 stages of which nothing changed, one at most is told: twenty jobs beside forty."""
    told = 0
    for seed in range(1000):
        chance = random.Random(seed)  # noqa: S311 - as above
        told += got_slower(scattered(20, 3600, chance), scattered(40, 3600, chance))
    assert told <= 1


def test_stage_whose_jobs_are_of_two_kinds_did_not_get_slower(production: Production) -> None:
    """Every third job takes five times as long; of today's twenty, twelve do."""
    production.record(
        *took([600, 600, 3000] * 20, NOW - 48 * HOUR, first=1),
        *took([600] * 8 + [3000] * 12, NOW - 4 * HOUR, first=100),
    )

    assert slower(production) == []


@pytest.mark.slow
def test_stage_of_few_or_failed_or_short_jobs_did_not_get_slower(production: Production) -> None:
    before, lately = NOW - 48 * HOUR, NOW - 4 * HOUR
    production.record(
        *took([3600] * 40, before, first=1, campaign="few"),
        *took([9000] * 19, lately, first=100, campaign="few"),
        *took([3600] * 19, before, first=200, campaign="new"),
        *took([9000] * 40, lately, first=300, campaign="new"),
        *took([3600] * 40, before, first=400, campaign="failed"),
        *took([9000] * 40, lately, first=500, campaign="failed", state="failed"),
        *took([10] * 40, before, first=600, campaign="short"),
        *took([60] * 40, lately, first=700, campaign="short"),
        *took([3600] * 40, before, first=800, campaign="less than twice"),
        *took([7100] * 40, lately, first=900, campaign="less than twice"),
    )
    assert slower(production) == []

    production.record(*took([9000], lately, first=1000, campaign="few"))
    [(words, jobs, _, _)] = slower(production)
    assert (words.split(":")[0], jobs) == ("stage reco of few got slower", 20)


def gapless(number: int, ended_at: datetime) -> dict[str, Any]:
    """Return a record that names the code of its job."""
    software = [{"name": "x", "repository": "https://git.example.org/x.git", "revision": "a" * 40}]
    return a_record(number, ended_at=ended_at.isoformat(), software=software)


def codeless(number: int, ended_at: datetime) -> dict[str, Any]:
    host = {"hostname": "n1", "site": "FNAL" if number % 4 else "CERN"}
    task = {"task_id": "t1", "stage": "reco"}
    return a_record(number, ended_at=ended_at.isoformat(), host=host, task=task)


def growing(production: Production, code: str = "software-missing") -> list[Any]:
    return [
        (need.words, need.count, need.since, need.url)
        for need in look(production).needs
        if need.kind == "gap" and code in need.words
    ]


def test_gap_that_grows_says_how_much_where_and_since_when(production: Production) -> None:
    before, lately = NOW - 48 * HOUR, NOW - 4.5 * HOUR
    production.record(
        *[gapless(number, before) for number in range(1, 31)],
        codeless(31, before),
        codeless(32, NOW - 20 * HOUR),
        *[gapless(number, NOW - 20 * HOUR) for number in range(33, 53)],
        *[codeless(number, lately) for number in range(53, 65)],
    )

    words = (
        "13 jobs of 33 in 24 hours have the gap software-missing, of the 7 days before 1 of 31; "
        "most of stage reco at FNAL"
    )
    page = "/jobs?experiment=nova&stage=reco&site=FNAL"
    assert growing(production) == [(words, 13, "2026-01-01T20:00:00Z", page)]


@pytest.mark.slow
def test_gap_of_few_jobs_or_of_as_many_before_does_not_grow(production: Production) -> None:
    before, lately = NOW - 48 * HOUR, NOW - 4 * HOUR
    production.record(
        *[gapless(number, before) for number in range(1, 31)],
        *[codeless(number, lately) for number in range(31, 40)],
    )
    assert growing(production) == [], "nine jobs"

    production.record(*[codeless(number, before) for number in range(40, 60)])
    production.record(*[codeless(number, lately) for number in range(60, 70)])
    production.record(*[gapless(number, lately) for number in range(70, 80)])
    assert growing(production) == [], "19 of 29 are less than twice 20 of 50"


@pytest.mark.slow
def test_code_that_may_still_be_resolved_does_not_grow(production: Production) -> None:
    """Its repository is asked in the background; an hour later nobody will close the gap."""
    production.record(*[codeless(number, NOW - 48 * HOUR) for number in range(1, 31)])
    # Their software names a repository, which nobody has registered
    production.record(*[gapless(number, NOW - HOUR / 2) for number in range(31, 51)])
    assert growing(production, "software-unresolved") == []

    production.record(*[gapless(number, NOW - 3 * HOUR) for number in range(51, 71)])
    [(words, jobs, since, _)] = growing(production, "software-unresolved")

    assert words.startswith("20 jobs of 20 in 24 hours have the gap software-unresolved")
    assert (jobs, since) == (20, "2026-01-01T22:00:00Z")


def test_gap_is_compared_with_nothing_in_the_first_days(production: Production) -> None:
    production.record(*[gapless(number, NOW - 48 * HOUR) for number in range(1, 20)])
    production.record(*[codeless(number, NOW - HOUR) for number in range(31, 60)])

    assert growing(production) == []


@pytest.mark.slow
def test_backup_that_is_old_or_was_never_made_needs_somebody(production: Production) -> None:
    production.record(a_record(1))
    production.seal()
    day = timedelta(days=1)
    now = RECORDED + 9.5 * day

    def backup(last_at: datetime | None, within: timedelta | None) -> list[str]:
        needs = look(production, now, Backups(last_at, within)).needs
        return [need.words for need in needs if need.kind == "backup"]

    assert backup(now - 3.5 * day, 2 * day) == ["no backup for 3 days"]
    assert backup(now - 1.5 * day, 2 * day) == []
    assert backup(None, 7 * day) == ["no backup yet, and the oldest record is 9 days old"]
    assert backup(None, 10 * day) == [], "what is new may still get its first"
    assert backup(now - 300 * day, None) == [], "not watched"


def test_token_in_use_that_expires_needs_somebody_until_there_is_another(
    production: Production,
) -> None:
    def make(days: int, experiment: str = "nova") -> None:
        production.write(
            lambda writing: create_token(
                writing, experiment=experiment, name="hook", now=RECORDED, days=days
            )
        )

    def told(now: datetime, hidden: frozenset[str] = frozenset()) -> list[datetime]:
        with production.database.reading.connect() as connection:
            return expiring_tokens(connection, now, hidden=hidden)

    make(20)
    production.write(
        lambda writing: create_ticket(
            writing, experiment="nova", task_id="t", now=RECORDED, days=20
        )
    )
    production.write(lambda writing: note_token_use(writing.connection, 2, RECORDED))
    unused, day = told(RECORDED + timedelta(days=10)), timedelta(days=1)
    production.write(
        lambda writing: note_token_use(writing.connection, 1, RECORDED + timedelta(days=9))
    )
    end = RECORDED + 20 * day

    assert unused == []
    assert told(RECORDED + 5 * day) == []
    assert told(RECORDED + 10 * day) == [end]
    assert told(RECORDED + 22 * day) == [end]
    assert told(RECORDED + 10 * day, frozenset({"nova"})) == []
    assert told(RECORDED + 28 * day) == []
    make(400, "mu2e")
    assert told(RECORDED + 10 * day) == [end]
    make(400)
    assert told(RECORDED + 10 * day) == []


@pytest.mark.parametrize(
    ("expire_at", "words", "since"),
    [
        (
            [NOW + HOUR],
            "1 token in use expires on 2026-01-02 02:00 UTC: records sent with it will be refused",
            None,
        ),
        (
            [NOW - HOUR],
            "1 token in use expired on 2026-01-02 00:00 UTC: records sent with it are refused",
            NOW - HOUR,
        ),
        (
            [NOW + HOUR] * 2,
            (
                "2 tokens in use expire from 2026-01-02 02:00 UTC on: records sent with them will "
                "be refused"
            ),
            None,
        ),
    ],
)
def test_need_of_tokens_says_when_jobs_are_refused_and_names_none(
    production: Production, expire_at: list[datetime], words: str, since: datetime | None
) -> None:
    [need] = look(production, tokens_expire_at=expire_at).needs

    assert need.words == words
    assert (need.kind, need.experiment, need.count) == ("token", None, len(expire_at))
    assert need.since == (utc_text(since) if since else None)
    assert need.url == "/docs/how-to/run-a-service#tokens"


def test_unit_that_hides_that_a_command_of_its_batch_job_failed(production: Production) -> None:
    production.record(*commands("ssf"))

    [need] = [need for need in look(production).needs if need.kind == "hidden"]
    later = look(production, now=NOW + timedelta(days=8))

    assert (need.count, need.url, need.since) == (
        1,
        "/tasks/t1?experiment=nova",
        "2026-01-01T09:29:00Z",
    )
    assert need.words == (
        "task t1: 1 unit has several commands in one batch job or submission, of which some failed though "
        "others succeeded"
    )
    assert not [need for need in later.needs if need.kind == "hidden"]


@pytest.mark.slow
def test_experiment_that_differs_from_an_older_one_only_in_case_needs_somebody(
    production: Production,
) -> None:
    production.record(a_record(1, experiment="nova"), a_record(2, experiment="mu2e"))
    assert [need for need in look(production).needs if need.kind == "name"] == []
    production.record(a_record(3, experiment="NOvA"))

    [need] = [need for need in look(production).needs if need.kind == "name"]

    words = "NOvA is a new experiment, beside nova: did its jobs mean nova?"
    assert (need.experiment, need.count, need.words) == ("NOvA", 1, words)
    assert need.url == "/jobs?experiment=NOvA"
    assert need.since is not None
    later = look(production, now=NOW + timedelta(days=31)).needs
    assert [need for need in later if need.kind == "name"] == []
    production.seal()
    assert need in look(production).needs
