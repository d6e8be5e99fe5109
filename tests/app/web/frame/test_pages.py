"""What the pages say, on a sample production."""

import csv
import re
from datetime import UTC, datetime
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from flask.testing import FlaskClient

from jobprov.app.csv_rows import _cell
from jobprov.app.web.frame.formats import MISSING, duration
from jobprov.app.web.tasks.campaigns import first_line as campaign_line
from jobprov.provenance.answers.statistics.campaigns import CampaignProgress
from tests.library.answers import lead, put_job
from tests.library.markup import tight
from tests.library.productions import toy_experiment as samples

FAILED = f"/jobs/{samples.job_id('reco-4-first')}"
SUCCEEDED = f"/jobs/{samples.job_id('reco-4')}"
HOSTILE_FILE = f"/files/{quote(samples.HOSTILE, safe='')}"
EVERY_PAGE = (
    "/",
    "/search",
    "/search?q=toyexp",
    "/search?q=nothing-begins-so",
    "/jobs",
    "/jobs?state=failed,killed&experiment=toyexp&sort=-max_rss_bytes",
    f"/files/{samples.MERGED}",
    f"/files/{samples.FIRST_GEN}?experiment=other",
    HOSTILE_FILE,
    f"/lineage/{samples.MERGED}",
    f"/lineage/{samples.MERGED}?direction=both&depth=1",
    SUCCEEDED,
    FAILED,
    *(
        f"/jobs/{samples.job_id(word)}"
        for word in ("gen-0", "gen-10", "merge-dimuon", "histogram", "silent", "lost", "hostile")
    ),
    f"{SUCCEEDED}?whole=environment",
    f"{FAILED}/logs/smear.err",
    f"{SUCCEEDED}/configurations/smear",
    f"{SUCCEEDED}/configurations/smear?file=detector_toyexp.fcl",
    f"{SUCCEEDED}/configurations/smear?form=expanded",
    f"{SUCCEEDED}/configurations/smear?form=evaluated&q=efficiency",
    "/tasks/toyexp-demo-reco-0001",
    "/errors?by=site&sort=newest",
    "/throughput?ended_after=2026-11-20&ended_before=2026-11-27",
    "/throughput?ended_after=2026-11-20&ended_before=2026-11-27&measure=wall_seconds",
    "/timeline?task_id=toyexp-demo-reco-0001",
    "/timeline?task_id=toyexp-demo-reco-0001&by=host",
    "/timeline?task_id=toyexp-demo-reco-0001&unit=toyexp_demo-2026_0001_gen_0004.root",
    "/resources?measure=max_rss_bytes",
    "/modules",
    "/estimate?experiment=toyexp&files=100",
    f"/diverge?a={samples.FIRST_GEN}&b={samples.MERGED}&experiment=toyexp",
    f"/diverge?a={samples.FIRST_GEN}&experiment=toyexp",
    f"/impact?file={samples.FIRST_GEN}&file_experiment=toyexp",
    f"/rebuild/{samples.MERGED}?from_scratch=1",
    f"/rebuild/{samples.MERGED}?locate=1",
    f"/replicas/{samples.MERGED}",
    f"/roots/{samples.MERGED}",
    f"/cost/{samples.MERGED}",
    f"/relation?a={samples.FIRST_GEN}&b={samples.MERGED}&experiment=toyexp",
    f"/relation?a={samples.MERGED}&b=toyexp_demo-2026_0001_merge_sideband.root",
    "/orphans",
    "/arrivals?experiment=toyexp",
    "/tasks/%3Cb%3Etask",
    f"/campaigns/toyexp/{samples.CAMPAIGN}",
    f"/campaigns/toyexp/{samples.CAMPAIGN}/lineage",
    f"/reports/toyexp/{samples.CAMPAIGN}",
    "/campaigns/other/%3Ci%3Ecampaign",
)


class _Elements(HTMLParser):
    """Collects elements with their attributes, and their ids."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id" and value]


def elements(text: str) -> _Elements:
    """Return the elements of a page."""
    found = _Elements()
    found.feed(text)
    return found


@pytest.mark.parametrize("address", EVERY_PAGE)
def test_every_page_is_small_and_bears_the_strict_policy(pages: FlaskClient, address: str) -> None:
    answer = pages.get(address)

    assert answer.status_code == 200
    assert len(answer.data) < 80_000
    assert "'unsafe" not in answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("address", EVERY_PAGE)
def test_no_page_holds_script_style_or_foreign_addresses_of_its_own(
    pages: FlaskClient, address: str
) -> None:
    text = pages.get(address).text
    found = elements(text)

    for tag, attributes in found.found:
        assert tag not in ("style", "iframe", "object", "embed", "em"), tag
        assert tag != "script" or (attributes.get("src") or "").startswith("/static/")
        assert not any(name.startswith("on") or name == "style" for name in attributes), attributes
        for name in ("href", "src", "action"):
            value = attributes.get(name)
            assert value is None or value[:1] in ("/", "#", "?"), (tag, value)
            assert value is None or not value.startswith("//")
    assert len(found.ids) == len(set(found.ids))


@pytest.mark.parametrize(
    "address",
    [
        *EVERY_PAGE[:3],
        *(pytest.param(address, marks=pytest.mark.slow) for address in EVERY_PAGE[3:]),
    ],
)
def test_every_link_within_the_pages_leads_somewhere(pages: FlaskClient, address: str) -> None:
    for tag, attributes in elements(pages.get(address).text).found:
        target = unescape(attributes.get("href") or "")
        if tag == "a" and target.startswith(
            ("/jobs/", "/files/", "/lineage/", "/tasks/", "/campaigns/", "/search")
        ):
            if "/logs/setup.out" in target:  # its bytes were never sent, as the page says
                continue
            if target.startswith(f"/files/{samples.FIRST_GEN}") and "experiment" not in target:
                continue
            assert pages.get(target.partition("#")[0]).status_code in (200, 303), target


@pytest.mark.slow
def test_hostile_names_are_shown_as_text(pages: FlaskClient) -> None:
    addresses = (
        f"/jobs/{samples.job_id('hostile')}",
        HOSTILE_FILE,
        "/",
        "/jobs",
        f"/search?q={quote('<b>task')}&all=1",
    )

    texts = [pages.get(address).text for address in addresses]

    for text in texts:
        assert "<script>" not in text
        assert "<img" not in text
        assert "<em>" not in text
        assert "\u202e" not in text
    assert "&lt;script&gt;alert(3)&lt;/script&gt;" in texts[0]


def test_a_hostile_search_is_shown_as_text(pages: FlaskClient) -> None:
    text = pages.get("/search", query_string={"q": '"><script>alert(1)</script>'}).text

    assert "<script>alert" not in text
    assert "&#34;&gt;&lt;script&gt;" in text


def test_page_of_a_file_says_what_made_it_in_its_first_line(pages: FlaskClient) -> None:
    words = lead(pages, f"/files/{samples.MERGED}")

    assert words == (
        f"{samples.MERGED} was made by job 81239.0@sched01.fnal.gov (task toyexp-demo-merge-0001) "
        "on wn120.fnal.gov at FNAL, "
        "2026-11-24, from 10 inputs with toyexp v1_4_0 (commit "
        "3fa1c2d97be0417c0d2a3c1b5c8d1e2f4a6b7c8d) and smear.fcl."
    )


def test_page_of_a_failed_job_says_why_before_any_log(pages: FlaskClient) -> None:
    text = pages.get(FAILED).text

    assert lead(pages, FAILED) == (
        "Failed in step smear after 1 min 33 s: ConfigurationError, exit code 9. Grade L0, 5 gaps. "
        "A later attempt succeeded."
    )
    message = text.index("physics.producers.smear has no parameter eficiency")
    assert message < text.index('id="steps"') < text.index('id="logs"')
    assert "Art has completed and will exit with status 9." in text


def test_page_of_a_succeeded_job_says_how_long_and_how_complete(pages: FlaskClient) -> None:
    words = lead(pages, SUCCEEDED)

    assert words == "Succeeded in 15 min 36 s; grade L0, 5 gaps."


def test_page_of_a_reproduced_job_says_so(pages: FlaskClient) -> None:
    assert "reproduced, content identical on " in lead(
        pages, f"/jobs/{samples.job_id('merge-dimuon')}"
    )


def test_a_job_not_heard_of_for_a_day_is_silent(pages: FlaskClient) -> None:
    assert lead(pages, f"/jobs/{samples.job_id('silent')}").startswith(
        "Silent: it was running when"
    )
    assert lead(pages, f"/jobs/{samples.job_id('histogram')}").startswith("Running since ")


@pytest.mark.parametrize(
    "word",
    [
        "SETUP_PRODUCT_07",
        "BEARER_TOKEN",
        "detector_toyexp.fcl",
        "run_reco.sh",
        "almalinux",
        "ToySmear",
        "software-unresolved",
        "852\xa0MB",
    ],
)
def test_page_of_a_job_shows_everything_recorded(pages: FlaskClient, word: str) -> None:
    assert word in pages.get(SUCCEEDED).text


def test_fields_that_no_page_knows_are_shown_as_json(pages: FlaskClient) -> None:
    text = pages.get(f"/jobs/{samples.job_id('hostile')}").text

    assert "unknown_field" in text
    assert "1000000000000000000000000000000" in text


def test_a_wrong_file_name_offers_the_nearest(pages: FlaskClient) -> None:
    answer = pages.get(f"/files/{samples.MERGED[:-8]}")

    assert answer.status_code == 404
    assert f'href="/files/{samples.MERGED}"' in answer.text
    assert answer.content_type.startswith("text/html")


def test_a_name_of_several_experiments_offers_the_choice(pages: FlaskClient) -> None:
    answer = pages.get(f"/files/{samples.FIRST_GEN}")

    assert answer.status_code == 300
    assert f'href="/files/{samples.FIRST_GEN}?experiment=toyexp&amp;namespace="' in tight(
        answer.text
    )
    assert f'href="/files/{samples.FIRST_GEN}?experiment=other&amp;namespace="' in tight(
        answer.text
    )
    assert "Which one? 2 files have this name." in tight(answer.text)
    assert tight(answer.text).count("<tr><td>") == 2, "each with what tells it apart"
    assert f"/jobs/{samples.job_id('gen-0')}" in tight(answer.text)


@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("/jobs?state=asleep", 422),
        ("/jobs?state=failed,asleep", 422),
        ("/jobs?sort=colour", 422),
        ("/jobs?job_id=x", 422),
        ("/jobs/selection", 422),
        ("/jobs/selection?do=list", 422),
        ("/waive?experiment=toyexp&task_id=toyexp-demo-reco-0001", 422),
        ("/jobs?cursor=x", 422),
        ("/errors?state=asleep", 422),
        ("/modules?state=asleep", 422),
        ("/impact?state=asleep", 422),
        ("/jobs?started_after=yesterday", 422),
        (f"/lineage/{samples.MERGED}?depth=deep", 422),
        (f"/lineage/{samples.MERGED}?direction=up", 422),
        (f"/lineage/{samples.MERGED}?picture=round", 422),
        ("/jobs?file=a%00b", 422),
        (f"{SUCCEEDED}/configurations/none", 404),
        (f"{SUCCEEDED}/configurations/smear?form=none", 422),
        (f"{SUCCEEDED}/logs/none", 404),
        ("/tasks/none", 404),
        ("/errors?by=colour", 422),
        ("/campaigns/toyexp/none", 404),
        ("/jobs/81234.99@nowhere", 404),
        ("/nowhere", 404),
    ],
)
def test_what_cannot_be_answered_is_said_on_a_page(
    pages: FlaskClient, address: str, status: int
) -> None:
    answer = pages.get(address)

    assert answer.status_code == status
    assert answer.content_type.startswith("text/html")
    assert f"Status {status}" in answer.text


def test_an_exact_name_leads_straight_to_its_page(pages: FlaskClient) -> None:
    answer = pages.get("/search", query_string={"q": samples.MERGED})

    assert answer.status_code == 303
    assert answer.headers["Location"].startswith(f"/files/{samples.MERGED}")


def test_a_batch_id_leads_to_the_page_of_its_job(pages: FlaskClient) -> None:
    answer = pages.get("/jobs/81239.0@sched01.fnal.gov")

    assert answer.headers["Location"] == f"/jobs/{samples.job_id('merge-dimuon')}"


def test_lineage_page_counts_draws_and_lists(pages: FlaskClient) -> None:
    text = pages.get(f"/lineage/{samples.MERGED}").text

    assert lead(pages, f"/lineage/{samples.MERGED}") == "20 files and 21 jobs made this."
    assert 'class="lineage lineage-right"' in text
    assert 'class="lineage lineage-down"' in text
    assert "expanded=" in text
    for kind in ("json", "dot", "svg", "prov-json", "prov-n"):
        assert f"format={kind}" in text


def test_an_opened_box_of_the_picture_shows_its_members(pages: FlaskClient) -> None:
    folded = pages.get(f"/lineage/{samples.MERGED}").text
    target = next(
        unescape(attributes["href"] or "")
        for _, attributes in elements(folded).found
        if "expanded=" in (attributes.get("href") or "")
    )

    opened = pages.get(target).text

    assert opened.count("lineage-node") > folded.count("lineage-node")
    assert "Fold again" in opened


def test_filters_show_less_of_a_history_and_are_kept(pages: FlaskClient) -> None:
    address = f"/lineage/{samples.MERGED}?direction=both"

    assert lead(pages, f"{address}&kind=job&stage=merge") == "1 job made this."
    assert (
        lead(pages, f"{address}&state=failed")
        == "Nothing of this file's history passes these filters."
    )
    today = datetime.now(UTC).date().isoformat()
    text = pages.get(f"{address}&stage=merge&as_of={today}").text
    assert 'name="stage" value="merge"' in text
    assert f"as_of={today}T23:59:59Z" in text.replace("%3A", ":"), "a day counts to its end"
    assert pages.get(f"{address}&kind=task").status_code == 422
    assert pages.get(f"{address}&as_of=yesterday").status_code == 422
    assert pages.get(f"{address}&picture=left").status_code == 422


def test_a_campaign_in_the_large_counts_its_classes(pages: FlaskClient) -> None:
    address = f"/campaigns/toyexp/{samples.CAMPAIGN}/lineage"

    assert (
        lead(pages, address)
        == "27 jobs in 4 stages with 1 code version; 1 failed, 1 killed, 1 lost."
    )
    assert lead(pages, f"{address}?task_id=toyexp-demo-reco-0001").startswith("11 jobs in 1 stage")
    assert pages.get(f"{address}?task_id=none").status_code == 404
    assert pages.get(f"{address}?picture=down").content_type.startswith("image/svg+xml")


def test_a_picture_too_large_for_the_page_is_linked(
    pages: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobprov.app.web.frame.pictures.INLINE_BYTES", 100)

    text = pages.get(f"/lineage/{samples.MERGED}").text
    picture = pages.get(f"/lineage/{samples.MERGED}?picture=right")

    assert 'class="lineage ' not in text
    assert f'href="/lineage/{samples.MERGED}?picture=right"' in text
    assert f'src="/lineage/{samples.MERGED}?picture=image-right"' in text
    assert (
        b"prefers-color-scheme" in pages.get(f"/lineage/{samples.MERGED}?picture=image-right").data
    )
    assert b"<style" not in picture.data
    assert picture.content_type.startswith("image/svg+xml")


def test_rows_come_as_csv_in_which_no_cell_is_a_formula(pages: FlaskClient) -> None:
    answer = pages.get("/jobs?format=csv&experiment=toyexp")

    lines = answer.text.splitlines()
    assert answer.content_type.startswith("text/csv")
    assert lines[0].startswith("job_id,experiment,state")
    assert len(lines) == 28
    assert _cell("=HYPERLINK(1)") == "'=HYPERLINK(1)"
    assert _cell(-3) == -3


def test_code_in_csv_is_what_ran_and_no_exit_code(pages: FlaskClient) -> None:
    """The job's exit has a member of that name too."""
    rows = csv.DictReader(pages.get("/jobs?format=csv&experiment=toyexp").text.splitlines())
    jobs = pages.get("/api/v1/jobs?experiment=toyexp").get_json()["jobs"]

    told = [(row["job_id"], row["code"], row["exit_code"]) for row in rows]
    exits = ["" if job["exit"]["code"] is None else str(job["exit"]["code"]) for job in jobs]
    assert told == [
        (job["job_id"], job["code"] or "", ended) for job, ended in zip(jobs, exits, strict=True)
    ]


@pytest.mark.slow
def test_lists_lead_on_to_older_jobs_without_loss(pages: FlaskClient) -> None:
    seen: list[str] = []
    address: str | None = "/jobs?limit=5"
    while address:
        text = pages.get(address).text
        found = elements(text).found
        seen += [
            unescape(a["href"] or "")
            for tag, a in found
            if tag == "a" and re.fullmatch(r"/jobs/[0-9a-f-]{36}", a.get("href") or "")
        ]
        older = re.search(r'<a href="([^"]*)">Older</a>', text)
        address = unescape(older[1]) if older else None

    assert len(seen) == len(set(seen)) == 28


def test_a_task_says_how_far_it_is_and_why_jobs_failed(pages: FlaskClient) -> None:
    text = pages.get("/tasks/toyexp-demo-reco-0001").text

    assert lead(pages, "/tasks/toyexp-demo-reco-0001").startswith(
        "10 units done; 1 cause of failure."
    )
    assert "ConfigurationError" in text


def test_file_leads_to_what_it_touched_and_to_the_jobs_that_make_it_again(
    pages: FlaskClient,
) -> None:
    text = pages.get(f"/files/{samples.MERGED}").text

    assert f"/rebuild/{samples.MERGED}?experiment=toyexp" in text
    assert f"/impact?reads={samples.MERGED}&amp;file_experiment=toyexp" in text
    assert lead(pages, f"/rebuild/{samples.MERGED}").startswith(
        "1 job, from 10 files that must still exist"
    )
    assert lead(pages, f"/rebuild/{samples.MERGED}?from_scratch=1").startswith("21 jobs, from")
    assert lead(pages, f"/impact?file={samples.FIRST_GEN}&file_experiment=toyexp").endswith(
        "were made from it, by 3 jobs."
    )
    assert "are touched in all." in lead(
        pages, f"/impact?file={samples.FIRST_GEN}&stage=reco&experiment=toyexp"
    )
    assert lead(pages, "/impact").startswith("Which files were made with a commit")


def test_numbers_of_a_report_stand_below_each_other_and_are_not_broken(pages: FlaskClient) -> None:
    text = tight(pages.get(f"/reports/toyexp/{samples.CAMPAIGN}").text)

    figures = re.findall(r'<td class="figure"[^>]*>([^<]*)</td>', text)
    assert '<th scope="col" class="figure">Done</th>' in text
    assert '<th scope="col">Stage</th>' in text
    assert len(figures) > 20
    assert all(figure == MISSING or figure[0].isdigit() for figure in figures)


def test_questions_to_a_history_are_answered_in_the_first_line(pages: FlaskClient) -> None:
    first, merged, other = (
        samples.FIRST_GEN,
        samples.MERGED,
        "toyexp_demo-2026_0001_merge_sideband.root",
    )

    assert f"/roots/{merged}?experiment=toyexp" in pages.get(f"/files/{merged}").text
    assert lead(pages, f"/roots/{merged}") == "It goes back to 10 files."
    assert lead(pages, f"/leaves/{first}?experiment=toyexp") == "2 final products came from it."
    assert lead(pages, f"/cost/{merged}").startswith(
        "21 jobs took 4 h 10 min of CPU; 1 attempt failed and took another"
    )
    related = f"/relation?experiment=toyexp&a={first}&b={merged}"
    assert lead(pages, related) == "The second was made from the other, by 2 jobs."
    assert (
        lead(pages, f"{related}&as_of=2020-01-01")
        == f"No record had mentioned {first} at 2020-01-01T23:59:59+00:00."
    )
    assert (
        lead(pages, f"/relation?a={merged}&b={other}")
        == "Neither was made from the other; both were made from 10 files."
    )
    assert lead(pages, "/relation") == "Was one made from the other, or both from the same?"
    assert lead(pages, "/orphans") == "No recorded job made these 2 files."
    assert lead(pages, "/orphans?experiment=none").endswith(
        "named here, or a name is not spelt as it is recorded."
    )


def test_errors_are_counted_by_cause_and_lead_to_their_jobs(pages: FlaskClient) -> None:
    text = pages.get("/errors?experiment=toyexp&stage=reco").text

    assert lead(pages, "/errors?experiment=toyexp&stage=reco").startswith(
        "1 failure in 11 jobs, 1 cause; newest, 2026-11-24 "
    )
    since = pages.get("/errors?started_after=2026-11-01T06:00:00Z").text
    assert '<h1>Errors since <span class="unbroken">2026-11-01</span> 06:00 UTC</h1>' in since
    assert "/jobs?experiment=toyexp&amp;stage=reco&amp;state=failed" in text
    assert lead(pages, "/errors?experiment=nobody") == "No experiment nobody is recorded."


def test_a_campaign_shows_its_stages_in_order(pages: FlaskClient) -> None:
    text = pages.get(f"/campaigns/toyexp/{samples.CAMPAIGN}").text

    places = [text.index(f"stage={stage}") for stage in ("gen", "reco", "merge", "histogram")]
    assert places == sorted(places)


def test_a_campaign_says_first_what_it_lacks() -> None:
    def stage(name: str, **units: Any) -> dict[str, Any]:
        whole = {"expected": 10, "produced": 10, "failed": 0, "running": 0, "missing": 0}
        counts = {**whole, "no_output": 0, "waived": 0, "states": {"succeeded": 10}, **units}
        return {"stage": name, "states": {"succeeded": 3, "failed": 1}, "units": counts}

    def line(
        stages: list[dict[str, Any]],
        seconds_left: float | None = None,
        backlog: dict[str, Any] | None = None,
    ) -> str:
        proof = {"proven": 0, "failed": 0, "differs": 0, "unproven": 0, "no_recipe": 0}
        campaign = {"experiment": "nova", "campaign": "c", "task_count": 0, "tasks": []}
        band = {"seconds_left_low": None, "seconds_left_high": None}
        if seconds_left is not None:
            band = {"seconds_left_low": seconds_left / 2, "seconds_left_high": 2 * seconds_left}
        document = {**campaign, "proof": proof, "stages": stages, "seconds_left": seconds_left}
        document |= {**band, "backlog": backlog}
        return campaign_line(msgspec.convert(document, CampaignProgress))

    states = {"succeeded": 4, "running": 1, "not_submitted": 2, "no_output": 1, "failed": 2}
    gen, reco = stage("gen"), stage("reco", produced=4, missing=6, states=states)

    assert line([gen, reco], seconds_left=120) == (
        "14 of 20 units done (70 %) in 2 stages; missing: 6 of reco "
        "(1 running, 1 succeeded without output, 2 failed). "
        "About 2 min (1 min to 4 min) left at the present pace."
    )
    burn_down = {"start": "2026-11-30T00:00:00Z", "step_seconds": 3600, "expected": 20}
    ends = {"ends_at": "2026-12-01T00:03:12Z", "ends_at_low": None, "ends_at_high": None}
    waiting = {"burn_down": {**burn_down, "left": [6], "is_whole": True}, "stays": 2, **ends}
    assert line([gen, reco], 120, waiting).endswith(
        "At the present pace it will be done about 2026-12-01 00:03 UTC, "
        "in 2 min (1 min to 4 min), but for 2 units that need a decision."
    )
    assert line([gen]) == "10 of 10 units done in 1 stage."
    undeclared = stage("reco", expected=None, missing=None, produced=4, states=states)
    assert line([gen, undeclared]) == (
        "10 of 10 units done in 1 stage; without a declared number: 4 of reco done "
        "(1 running, 1 succeeded without output, 2 failed)."
    )
    partly = {**waiting, "burn_down": {**waiting["burn_down"], "is_whole": False}, "stays": 0}
    assert "At the present pace what was declared will be done about 2026-12-01" in line(
        [gen, undeclared], 120, partly
    )
    assert line([undeclared]) == (
        "1 stage begun, the last is reco: 4 of 10 units done; "
        "1 succeeded without output, 2 failed in all."
    )


def test_an_evaluated_configuration_says_where_each_value_was_written(pages: FlaskClient) -> None:
    text = pages.get(f"{SUCCEEDED}/configurations/smear?form=evaluated&q=threshold").text

    assert "services.message.threshold" in text
    assert "messages_toyexp.fcl:2" in text
    assert "physics.producers" not in text


def test_times_are_in_utc_and_machine_readable(pages: FlaskClient) -> None:
    assert (
        '<time datetime="2026-11-24T15:24:39Z" title="2026-11-24 15:24:39 UTC">2026-11-24 '
        "15:24 UTC</time>" in pages.get(SUCCEEDED).text
    )


def test_static_files_are_served(pages: FlaskClient) -> None:
    for name, kind in (
        ("jobprov.css", "text/css"),
        ("jobprov.js", "text/javascript"),
        ("search.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ):
        with pages.get(f"/static/{name}") as answer:
            assert answer.content_type.startswith(kind)


def test_the_page_of_modules_says_which_takes_most(pages: FlaskClient) -> None:
    first = lead(pages, "/modules?stage=reco")

    assert first.startswith("smear takes most: ")
    assert ", 84 % of the time, in " in first  # 612.75 of 726.95 s in every job
    assert "No job that succeeded" in lead(pages, "/modules?stage=gen")
    assert pages.get("/modules?first=nobody").status_code == 404


def test_modules_of_every_stage_are_shown_and_stages_are_compared_only_when_asked(
    client: FlaskClient,
) -> None:
    def module(label: str | None, seconds: float, **more: str) -> dict[str, Any]:
        return {
            "step": "art",
            "label": label,
            "type": "T",
            "events": 100,
            "seconds_total": seconds,
            **more,
        }

    for number, (stage, seconds) in enumerate((("gen", 8.0), ("reco", 2.0))):
        record = {
            "schema_version": 1,
            "job_id": f"0f8b0000-0000-4000-8000-{number:012x}",
            "experiment": "nova",
            "state": "succeeded",
            "started_at": "2026-01-01T00:00:00Z",
            "task": {"task_id": f"t-{stage}", "campaign": "c", "stage": stage},
            "modules": [
                module(f"{stage}mod", seconds, path="p"),
                module(None, 0.004, path="source"),
            ],
        }
        put_job(client, record)

    text = tight(client.get("/modules?by=stage").text)
    compared = tight(client.get("/modules?by=stage&first=gen&second=reco").text)

    assert (
        lead(client, "/modules?by=stage")
        == "genmod of gen takes most: 8 s, 100 % of the time there, in 2 jobs that succeeded."
    )
    assert re.findall(r'<h2 id="modules\d">(\w+)', text) == ["gen", "reco"]
    assert "art, p" in text
    assert "40\N{NO-BREAK SPACE}\N{MICRO SIGN}s" in text, (
        "the source, which has no label, by its path and in time"
    )
    assert "From gen to reco" not in text
    assert "From gen to reco" in compared


def test_the_page_of_estimates_says_how_long_and_what_is_lacking(pages: FlaskClient) -> None:
    said = lead(pages, "/estimate?experiment=toyexp&stage=gen&files=100&slots=10")
    twin = pages.get("/api/v1/estimate?experiment=toyexp&stage=gen&files=100&slots=10").get_json()

    assert said.startswith("100 files from gen: about ")
    hours = duration(twin["total"]["wall_hours"]["expected"] * 3600)
    assert f"about {' '.join(hours.split())} with 10 slots" in said
    for query, status, words in (
        ("", 200, "Say how many files or events"),
        ("?files=1&events=1", 422, "files: give files= or events=, one of them"),
        ("?files=1&campaign=nobody", 404, "Nothing is recorded of campaign nobody."),
    ):
        assert pages.get(f"/estimate{query}").status_code == status
        assert lead(pages, f"/estimate{query}").startswith(words)
    assert pages.get("/estimate?files=-1").status_code == 422


@pytest.mark.parametrize(
    "address",
    [
        "/tasks/toyexp-demo-reco-0001",
        f"/campaigns/toyexp/{samples.CAMPAIGN}",
        "/resources?experiment=toyexp",
    ],
)
def test_pages_lead_to_the_estimate_of_doing_it_again(pages: FlaskClient, address: str) -> None:
    found = re.search(r'<a href="([^"]*)">How long would it take again', pages.get(address).text)

    assert found is not None
    assert pages.get(unescape(found[1])).status_code == 200


def test_a_job_tells_when_its_inputs_were_open(pages: FlaskClient) -> None:
    text = re.sub(r"<[^>]+>", "", tight(pages.get(SUCCEEDED).text))
    time = r"2026-\d\d-\d\d [\d:]+ UTC"
    assert re.search(rf"open {time} to {time}, by looks at open files, within 1\ss", text)


def test_a_job_leads_to_its_retry_and_to_what_its_commit_touched(pages: FlaskClient) -> None:
    killed, done = (
        pages.get(f"/jobs/{samples.job_id(word)}").text for word in ("gen-10", "reco-4")
    )

    found = re.search(r'<a href="([^"]*)">Try again, or go on without', killed)
    assert found is not None
    assert samples.job_id("gen-10") in pages.get(unescape(found[1])).text
    assert "Try again" not in done
    touched = re.search(r'href="(/impact[^"]*)">files made with it', done)
    assert touched is not None
    assert re.match(r"\d+ jobs? made ", lead(pages, unescape(touched[1])))


@pytest.mark.parametrize(
    ("address", "column", "value"),
    [
        ("/errors?experiment=toyexp", "failed_step", "smear"),
        ("/modules?stage=reco", "label", "smear"),
        ("/resources?stage=reco", "measure", "wall_seconds"),
    ],
)
def test_what_a_table_shows_can_be_saved_as_csv(
    pages: FlaskClient, address: str, column: str, value: str
) -> None:
    found = re.search(
        r'<a href="([^"]*format=csv[^"]*)">[^<]*as CSV|<a href="([^"]*)">As CSV',
        pages.get(address).text,
    )
    assert found is not None

    saved = pages.get(unescape(found[1] or found[2]))

    assert saved.content_type == "text/csv; charset=utf-8"
    assert value in [row[column] for row in csv.DictReader(saved.text.splitlines())]


@pytest.mark.slow
@pytest.mark.parametrize(
    "folder", ["./", "/pnfs/toyexp/merge/", "root://door.example.org:1094//pnfs/"]
)
def test_search_takes_the_path_of_a_file(pages: FlaskClient, folder: str) -> None:
    whole = pages.get("/search", query_string={"q": folder + samples.MERGED})
    begun = pages.get("/search", query_string={"q": folder + samples.MERGED[:-5]})
    suggested = pages.get("/api/v1/search", query_string={"q": folder + samples.MERGED}).get_json()[
        "hits"
    ]

    assert (whole.status_code, f"/files/{samples.MERGED}" in whole.location) == (303, True)
    assert f"1 name contains <code>{samples.MERGED[:-5]}</code>" in tight(begun.text)
    assert [hit["text"] for hit in suggested] == [samples.MERGED]
    told = pages.get(f"/api/v1/files/pnfs/{samples.MERGED}").get_json()["detail"]
    assert "The name of a file has no slash" in told


def test_picture_of_a_campaign_that_is_not_there_names_that(pages: FlaskClient) -> None:
    assert "names a campaign nowhere." in lead(pages, "/campaigns/toyexp/nowhere/lineage")


def test_marks_without_words_are_spelled_below_the_campaigns(pages: FlaskClient) -> None:
    section = pages.get("/").text.split('id="campaigns"')[1].split("</section>")[0]
    marks = set(re.findall(r'<span class="state" title="(\w+)">', section))

    assert {"succeeded", "failed", "killed"} <= marks
    assert marks == set(re.findall(r'<span class="word">(\w+)</span>', section))


def test_no_line_breaks_within_the_date_of_a_hit(pages: FlaskClient) -> None:
    found = pages.get("/search?q=merge").text

    assert re.search(r'class="quiet">[^<]*<span class="unbroken">20\d\d-\d\d-\d\d</span>', found)
