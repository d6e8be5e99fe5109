"""The page of a job: everything recorded of it, first of all why it failed.

It also says what is missing and how to close that.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from flask import Response, redirect

from jobprov.app.errors import STATUS, problem_of
from jobprov.app.web.frame.cuts import address, asked_section
from jobprov.app.web.frame.formats import shown_state
from jobprov.app.web.frame.page import answer, asked, experiment_asked, pages
from jobprov.app.web.lookup.job_sections import sections
from jobprov.app.web.lookup.job_sentences import decided_by, ending, first_line
from jobprov.app.web.lookup.log_text import Excerpt, excerpt
from jobprov.app.wiring import Connection, get_service
from jobprov.provenance.answers.addresses import job_page, lineage_of
from jobprov.provenance.answers.lookup.jobs import JobAnswer, JobSummary
from jobprov.provenance.db.queries.recording.findings import KnownEvaluation
from jobprov.provenance.errors import NotFoundError
from jobprov.provenance.lineage.graph import SHARED_ROLES
from jobprov.provenance.lineage.words import grade_words
from jobprov.provenance.records.job_record import Log
from jobprov.provenance.records.verdicts import LEVELS, REPRODUCED
from jobprov.provenance.services.configurations.configuration import known_evaluations
from jobprov.provenance.services.lookup.job import ReadJob, read_job, show_job
from jobprov.provenance.services.lookup.logs import read_log
from jobprov.provenance.services.reruns.proof_lists import comparator_lines

_UNHAPPY = ("failed", "killed", "lost", "silent")
_EXCERPTS_AT_MOST = 2
_NOT_THERE = ("dropped", "copy_failed", "not_kept")
_PRIMARY = (None, "primary")


class JobQuestion(NamedTuple):
    """What the query of an address says of the job in its path.

    Attributes:
        witness: whose record is asked for; the first in precedence by default.
        section: the section that is to be shown alone; empty for the whole page.
    """

    experiment: str | None
    witness: str | None
    section: str

    @classmethod
    def from_request(cls) -> "JobQuestion":
        """Return the question in the query."""
        return cls(experiment_asked(), asked("witness"), asked_section())


class LineageLink(NamedTuple):
    """Words and address of the lineage that a job is in."""

    title: str
    url: str


class JobPage(NamedTuple):
    """What the page shows beside the sections of the record.

    Attributes:
        offered: the comparators that would accept what the newest rerun made, as lines of TOML.
        took: seconds on the clock.
        later: the attempt at the same unit that succeeded, where this one did not.
        excerpts: the lines of logs that matter, or why they cannot be read, by log.
        whole: the section that is shown alone; empty for the whole page.
        evaluations: what is known of each configuration; empty for a single witness.
    """

    twin: str
    is_live: bool
    job: JobAnswer
    summary: JobSummary
    state: str
    first_line: str
    grade_words: str
    offered: str | None
    ending: str
    decided_by: str | None
    is_unhappy: bool
    is_reproduced: bool
    took: float | None
    later: JobSummary | None
    lineage: LineageLink | None
    excerpts: dict[str, Excerpt | str]
    levels: Mapping[str, str]
    whole: str
    evaluations: Sequence[KnownEvaluation | None]


@pages.get("/jobs/<job_id>", endpoint="job")
def show_page(job_id: str) -> Response:
    """Show a job; a batch id leads to the newest of its attempts."""
    question, service = JobQuestion.from_request(), get_service()
    with service.reading() as connection:
        job = read_job(connection, service.store, job_id, experiment=question.experiment)
        if job.found.job_id != job_id:
            location = redirect(job_page(job.found.job_id)).location
            return Response(status=303, headers={"Location": location})
        shown = show_job(connection, job, witness=question.witness)
        # a single witness may tell of other configurations
        evaluations = [] if question.witness else known_evaluations(connection, job)
        excerpts = {}
        if _state(shown.summary) in _UNHAPPY and not question.section:
            excerpts = _excerpts(connection, job, shown.summary)
    page = _page(question, shown, job.found.key, excerpts, evaluations)
    return answer("lookup/job.html", **page._asdict(), **sections(shown)._asdict())


def _state(summary: JobSummary) -> str:
    return shown_state(summary.state, summary.heard_at)


def _page(
    question: JobQuestion,
    shown: JobAnswer,
    key: int,
    excerpts: dict[str, Excerpt | str],
    evaluations: Sequence[KnownEvaluation | None],
) -> JobPage:
    summary, state = shown.summary, _state(shown.summary)
    newest_level = shown.verdicts[0].get("level") if shown.verdicts else None
    return JobPage(
        twin=address(f"/jobs/{summary.job_id}", {"experiment": question.experiment}),
        is_live=state == "running",
        job=shown,
        summary=summary,
        state=state,
        first_line=first_line(shown),
        grade_words=grade_words(shown.grade, shown.proof),
        offered=_offered(shown),
        ending=ending(summary),
        decided_by=decided_by(shown.decided_by),
        is_unhappy=state in _UNHAPPY,
        is_reproduced=newest_level in REPRODUCED,
        took=summary.took_seconds(),
        later=_later_success(shown),
        lineage=lineage_link(shown, key),
        excerpts=excerpts,
        levels=LEVELS,
        whole=question.section,
        evaluations=evaluations,
    )


def _offered(shown: JobAnswer) -> str | None:
    """Return the comparators that would accept what the newest rerun made, as lines of TOML."""
    if shown.proof is None or shown.proof.state != "differs":
        return None
    return comparator_lines(shown.verdicts[0]) if shown.verdicts else None


def lineage_link(job: JobAnswer, key: int) -> LineageLink | None:
    """Return the lineage of an output of the job, else of an input, with the job's box chosen.

    None if the job has neither. Inputs that many jobs share are not used.
    """
    if job.summary.state == "succeeded":
        for file in job.outputs:
            if file["url"] and file.get("status") not in _NOT_THERE:
                return LineageLink("Lineage of what it made", lineage_of(file["url"]))
    own = [file for file in job.inputs if file["url"] and file.get("role") not in SHARED_ROLES]
    primary = [file for file in own if file.get("role") in _PRIMARY]
    for file in primary or own:
        url = f"{lineage_of(file['url'])}&direction=both&at=j{key}"
        return LineageLink("Lineage of what it read", url)
    return None


def _excerpts(
    connection: Connection, job: ReadJob, summary: JobSummary
) -> dict[str, Excerpt | str]:
    """Return the lines that matter, by log, or the sentence why they cannot be read."""
    store = get_service().store
    excerpts: dict[str, Excerpt | str] = {}
    for log in _telling_logs(job.reading.record.logs or [], summary.exit.failed_step):
        try:
            opened = read_log(connection, store, job, log.name)
            with opened.stream:
                excerpts[log.name] = excerpt(opened.stream, opened.size_bytes, summary.exit.message)
        except NotFoundError:
            continue  # the gaps say that it was never uploaded
        except tuple(STATUS) as problem:
            excerpts[log.name] = problem_of(problem).detail
    return excerpts


def _telling_logs(logs: Sequence[Log], failed_step: str | None) -> list[Log]:
    """Return the logs that may tell why a job failed: of the failed step, standard error first."""
    of_step = [log for log in logs if failed_step is not None and log.step == failed_step]
    chosen = of_step or list(logs)
    chosen.sort(key=lambda log: not log.name.endswith((".err", "stderr")))
    return chosen[:_EXCERPTS_AT_MOST]


def _later_success(job: JobAnswer) -> JobSummary | None:
    """Return the attempt at the same unit that succeeded, where this one did not."""
    if job.summary.state == "succeeded":
        return None
    successes = [attempt for attempt in job.attempts if attempt.state == "succeeded"]
    return successes[-1] if successes else None
