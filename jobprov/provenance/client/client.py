"""The client: one method a call."""

import gzip
import json
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

from msgspec import Struct

from jobprov.provenance.answers.alerts import Alert, AlertList
from jobprov.provenance.answers.attention import Attention
from jobprov.provenance.answers.bundles import ComparatorsDeclared, ExperimentComparators
from jobprov.provenance.answers.catalogs.arrivals import Arrivals
from jobprov.provenance.answers.catalogs.differences import CatalogComparison, DrainingUnits
from jobprov.provenance.answers.catalogs.replicas import LocatedFiles
from jobprov.provenance.answers.catalogs.sightings import SightingAnswer
from jobprov.provenance.answers.comparisons.jobs import JobComparison
from jobprov.provenance.answers.comparisons.recipes import (
    DivergentRecipe,
    DivergentRecipes,
    RecipeAnswer,
)
from jobprov.provenance.answers.comparisons.stages import ProductionComparison
from jobprov.provenance.answers.configurations import EvaluatedConfiguration
from jobprov.provenance.answers.estimates import Estimate
from jobprov.provenance.answers.failures import (
    ErrorCounts,
    ExperimentRules,
    RulesDeclared,
    RulesReapplied,
)
from jobprov.provenance.answers.lookup.files import FileAnswer, FileList, ListedFile
from jobprov.provenance.answers.lookup.job_facets import JobFacets
from jobprov.provenance.answers.lookup.jobs import (
    GapCounts,
    JobAnswer,
    JobList,
    JobSummary,
)
from jobprov.provenance.answers.notebooks import Listed
from jobprov.provenance.answers.orders.orders import (
    OrderInFlight,
    OrdersInFlight,
    OrdersReported,
    OutsideInputs,
    RecordedSubmission,
    RecordedSubmissions,
    RetryChoice,
    RetryPolicies,
    TakenOrder,
    TakenOrders,
)
from jobprov.provenance.answers.orders.workflows import (
    WorkflowDeclared,
    WorkflowList,
    WorkflowStanding,
    WorkflowSummary,
)
from jobprov.provenance.answers.recording import (
    BatchAnswer,
    BatchResult,
    BlobAnswer,
    MissingAnswer,
    PartAnswer,
    RecordAnswer,
    TicketAnswer,
)
from jobprov.provenance.answers.reruns.proofs import JobsToProve, JobToProve, ProofList
from jobprov.provenance.answers.reruns.reproduction import Reproduction
from jobprov.provenance.answers.reruns.verdicts import VerdictPosted
from jobprov.provenance.answers.search import Hit, Hits, RecordedNames
from jobprov.provenance.answers.statistics.campaigns import CampaignProgress, CampaignReport
from jobprov.provenance.answers.statistics.modules import ModuleSums
from jobprov.provenance.answers.statistics.throughput import Throughput
from jobprov.provenance.answers.tasks.queue import Queue, QueueTaken
from jobprov.provenance.answers.tasks.samples import Samples
from jobprov.provenance.answers.tasks.tasks import (
    MissingUnits,
    ReadyFile,
    ReadyFiles,
    TaskDeclared,
    TaskProgress,
    UnitsWaived,
)
from jobprov.provenance.answers.tasks.timelines import Timeline
from jobprov.provenance.answers.trail import Act, Trail
from jobprov.provenance.client.answers import GatewayError
from jobprov.provenance.client.histories import Histories
from jobprov.provenance.client.transport import (
    SMALLEST_PART,
    campaign_place,
    is_too_large,
    part,
    put_in_parts,
    task_place,
)
from jobprov.provenance.errors import BadInputError, ProvenanceError

_JSON = {"Content-Type": "application/json"}


class _Readiness(Struct):
    """Whether a service can work."""

    status: str


class Client(Histories):
    """A jobprov service.

    Args:
        url: its root, such as `https://jobprov.example.org`; JOBPROV_URL by default.
        token: a write token; needed for writing, and for reading where the operator says so. Without
            a `url`, JOBPROV_TOKEN by default.
        token_file: a file with the token instead, read again for each call, as of a token that is
            renewed. Without a `url` and a token, JOBPROV_TOKEN_FILE by default.
        timeout: seconds that a call may be silent.

    Every method raises a `ProvenanceError` of the class that the service's answer stands for:
    `NotFoundError`, `AmbiguousError`, `BadInputError`, `ConflictError`, `ForbiddenError`,
    `LimitError`, or `UnreachableError` where nothing answers, or a gateway in its place.
    """

    def file(
        self,
        name: str,
        *,
        experiment: str | None = None,
        namespace: str | None = None,
        version: int | None = None,
    ) -> FileAnswer:
        """Return what made a file, the newest version by default, and what was made from it."""
        path, query = f"/files/{part(name)}", {"experiment": experiment, "namespace": namespace}
        return self._ask(FileAnswer, path, **query, version=version)

    def replicas(
        self, name: str, *, experiment: str | None = None, namespace: str | None = None
    ) -> LocatedFiles:
        """Return where a file is now, as its experiment's Rucio or SAM says."""
        path, query = f"/files/{part(name)}/replicas", {"experiment": experiment}
        return self._ask(LocatedFiles, path, **query, namespace=namespace)

    def job(
        self, job_id: str, *, experiment: str | None = None, witness: str | None = None
    ) -> JobAnswer:
        """Return everything recorded of a job, and what the service found out about it."""
        path = f"/jobs/{part(job_id)}"
        return self._ask(JobAnswer, path, experiment=experiment, witness=witness)

    def jobs(self, **filters: Any) -> Listed[JobSummary]:
        """Yield jobs in short, newest first or by `sort`, page by page.

        The filters are those of `GET /jobs`.
        """
        jobs = (job for page in self.job_pages(**filters) for job in page.jobs)
        return Listed(jobs, JobSummary, "jobs")

    def job_facets(self, **query: Any) -> JobFacets:
        """Return how many jobs there are, by state, site and so on.

        The query is that of `GET /jobs/facets`.
        """
        return self._ask(JobFacets, "/jobs/facets", **query)

    def job_pages(self, **filters: Any) -> Iterator[JobList]:
        """Yield the same page by page, with the parameters that a question matched."""
        yield from self._pages(JobList, "/jobs", **filters)

    def export(self, job_id: str, form: str, *, experiment: str | None = None) -> str:
        """Return a job as `prov-json`, `prov-n`, `openlineage` or `in-toto`."""
        path = f"/jobs/{part(job_id)}/exports/{part(form)}"
        return self._text(path, experiment=experiment)

    def gaps(self, **filters: Any) -> GapCounts:
        """Return what would stop reruns, counted by code; filters are those of `GET /gaps`."""
        return self._ask(GapCounts, "/gaps", **filters)

    def reproduction(self) -> Reproduction:
        """Return which share of recipes was reproduced when last run again."""
        return self._ask(Reproduction, "/reproduction")

    def proofs(self, *, experiment: str | None = None) -> ProofList:
        """Return how the recipes of campaigns stand, and those that did not pass."""
        return self._ask(ProofList, "/proofs", experiment=experiment)

    def next_to_prove(self, experiment: str, *, limit: int = 20) -> list[JobToProve]:
        """Return the jobs whose recipes are to be rerun next, in order."""
        query = {"experiment": experiment, "limit": limit}
        return self._ask(JobsToProve, "/proofs/next", **query).jobs

    def comparators(self, experiment: str, *, version: int | None = None) -> ExperimentComparators:
        """Return how an experiment has outputs compared."""
        path = f"/comparators/{part(experiment)}"
        return self._ask(ExperimentComparators, path, version=version)

    def declare_comparators(self, experiment: str, rules: Mapping[str, Any]) -> ComparatorsDeclared:
        """Declare how outputs of an experiment are compared."""
        path = f"/comparators/{part(experiment)}"
        return self._send(ComparatorsDeclared, "PUT", path, json=rules)

    def rules(self, experiment: str, *, version: int | None = None) -> ExperimentRules:
        """Return what failures of an experiment mean."""
        return self._ask(ExperimentRules, f"/rules/{part(experiment)}", version=version)

    def declare_rules(
        self, experiment: str, rules: Mapping[str, Any], *, after: int | None = None
    ) -> RulesDeclared:
        """Declare what failures of an experiment mean.

        `after` is the version that they were made from.
        """
        params = {} if after is None else {"after": after}
        path = f"/rules/{part(experiment)}"
        return self._send(RulesDeclared, "PUT", path, json=rules, params=params)

    def reclassify(self, experiment: str, *, task_id: str | None = None) -> RulesReapplied:
        """Have failures of an experiment, or of one task, read again by the newest rules."""
        path = f"/rules/{part(experiment)}/reclassifications"
        return self._send(RulesReapplied, "POST", path, json={"task_id": task_id})

    def task_catalog(
        self, task_id: str, *, experiment: str | None = None, late_after_hours: int | None = None
    ) -> CatalogComparison:
        """Return where a task's jobs and its catalog differ.

        Outputs that are not there `late_after_hours` after their job ended never arrived.
        """
        place, named = task_place(task_id)
        query = {**named, "experiment": experiment, "late_after_hours": late_after_hours}
        return self._ask(CatalogComparison, f"/tasks/{place}/catalog", **query)

    def arrivals(self, experiment: str, **query: Any) -> Arrivals:
        """Return what was written and arrived, a day each; `query` is that of `GET /arrivals`."""
        return self._ask(Arrivals, "/arrivals", experiment=experiment, **query)

    def draining_units(self, task_id: str, *, experiment: str | None = None) -> DrainingUnits:
        """Return the inputs without an output in the catalog."""
        place, named = task_place(task_id)
        path = f"/tasks/{place}/draining"
        return self._ask(DrainingUnits, path, experiment=experiment, **named)

    def draining_text(self, task_id: str, form: str, *, experiment: str | None = None) -> str:
        """Return the same inputs as text.

        `plain` and `did` are one a line; `mql` is a query of MetaCat, `sam` a dimension of SAM.
        """
        place, named = task_place(task_id)
        path = f"/tasks/{place}/draining"
        return self._text(path, **named, experiment=experiment, format=form)

    def recipes(self, *, experiment: str | None = None) -> Iterator[DivergentRecipe]:
        """Yield the recipes whose jobs have more than one result, page by page."""
        for page in self._pages(DivergentRecipes, "/recipes", experiment=experiment):
            yield from page.recipes

    def recipe(self, recipe_id: str) -> RecipeAnswer:
        """Return the results of a recipe, and in what the jobs that had them differ."""
        return self._ask(RecipeAnswer, f"/recipes/{part(recipe_id)}")

    def diff(self, before: str, after: str, *, experiment: str | None = None) -> JobComparison:
        """Return what differs from one job to another, by facet."""
        path = f"/jobs/{part(before)}/diff/{part(after)}"
        return self._ask(JobComparison, path, experiment=experiment)

    def diff_productions(
        self, by: str, before: str, after: str, *, experiment: str | None = None
    ) -> ProductionComparison:
        """Return what differs from one campaign or release to another, stage by stage."""
        query = {"by": by, "a": before, "b": after, "experiment": experiment}
        return self._ask(ProductionComparison, "/diff", **query)

    def task(self, task_id: str, *, experiment: str | None = None) -> TaskProgress:
        """Return how far a task is."""
        place, named = task_place(task_id)
        return self._ask(TaskProgress, f"/tasks/{place}", experiment=experiment, **named)

    def errors(self, **query: Any) -> ErrorCounts:
        """Return why jobs did not succeed; the query is that of `GET /statistics/errors`."""
        return self._ask(ErrorCounts, "/statistics/errors", **query)

    def modules(self, **query: Any) -> ModuleSums:
        """Return what art's modules took; the query is that of `GET /statistics/modules`."""
        return self._ask(ModuleSums, "/statistics/modules", **query)

    def attention(self, *, since: str = "24h") -> Attention:
        """Return what needs somebody now, with causes of failures that are new within `since`."""
        return self._ask(Attention, "/attention", since=since)

    def throughput(self, **query: Any) -> Throughput:
        """Return what ended over time; the query is that of `GET /statistics/throughput`."""
        return self._ask(Throughput, "/statistics/throughput", **query)

    def estimate(self, **query: Any) -> Estimate:
        """Return what it would take to do so many files or events again.

        The query is that of `GET /estimate`.
        """
        return self._ask(Estimate, "/estimate", **query)

    def campaign(self, name: str, *, experiment: str) -> CampaignProgress:
        """Return how far a campaign is."""
        place, named = campaign_place(name)
        path = f"/campaigns/{place}"
        return self._ask(CampaignProgress, path, experiment=experiment, **named)

    def report(self, name: str, *, experiment: str) -> CampaignReport:
        """Return a campaign in one document."""
        place, named = campaign_place(name)
        path = f"/campaigns/{place}/report"
        return self._ask(CampaignReport, path, experiment=experiment, **named)

    def samples(self, experiment: str) -> Samples:
        """Return the declared tasks of an experiment as samples by data tier."""
        return self._ask(Samples, "/samples", experiment=experiment)

    def missing_units(self, task_id: str, *, experiment: str | None = None) -> MissingUnits:
        """Return the units that are still to be made."""
        place, named = task_place(task_id)
        return self._ask(MissingUnits, f"/tasks/{place}/missing", experiment=experiment, **named)

    def missing_text(self, task_id: str, form: str, *, experiment: str | None = None) -> str:
        """Return the same units as text: `plain`, one a line, or `sam`, a dimension of SAM."""
        place, named = task_place(task_id)
        path = f"/tasks/{place}/missing"
        return self._text(path, **named, experiment=experiment, format=form)

    def ready_files(self, task_id: str, *, experiment: str | None = None) -> Iterator[ReadyFile]:
        """Yield the files that a task's jobs made and no job has read yet, the oldest first."""
        place, named = task_place(task_id)
        query = {**named, "experiment": experiment, "limit": 1000}
        for page in self._pages(ReadyFiles, f"/tasks/{place}/ready", **query):
            yield from page.files

    def waive_units(
        self, task_id: str, waiver: Mapping[str, Any], *, experiment: str | None = None
    ) -> UnitsWaived:
        """Let a task go on without some units, `{units, who, why}`; `withdrawn` takes that back."""
        place, named = task_place(task_id)
        query = {**named, "experiment": experiment}
        return self._send(UnitsWaived, "POST", f"/tasks/{place}/waivers", json=waiver, params=query)

    def task_queue(self, task_id: str, **query: Any) -> Queue:
        """Return what runs and waits of a task; query as of `GET /tasks/{task_id}/queue`."""
        place, named = task_place(task_id)
        return self._ask(Queue, f"/tasks/{place}/queue", **query, **named)

    def timeline(self, task_id: str, **query: Any) -> Timeline:
        """Return when a task or a unit of it ran; query as of `GET /tasks/{task_id}/timeline`."""
        place, named = task_place(task_id)
        return self._ask(Timeline, f"/tasks/{place}/timeline", **query, **named)

    def queue(self, **query: Any) -> Queue:
        """Return what runs and waits; the query is that of `GET /queue`."""
        return self._ask(Queue, "/queue", **query)

    def report_queue(self, schedd: str, report: Mapping[str, Any]) -> QueueTaken:
        """Replace what the service knows of a queue, `{experiment, age_seconds, jobs}`."""
        data = gzip.compress(json.dumps(report).encode(), compresslevel=1)
        headers = {**_JSON, "Content-Encoding": "gzip"}
        path = f"/queue/{part(schedd)}"
        return self._send(QueueTaken, "PUT", path, data=data, headers=headers)

    def declare_task(self, task_id: str, declaration: Mapping[str, Any]) -> TaskDeclared:
        """Declare a task."""
        place, named = task_place(task_id)
        return self._send(TaskDeclared, "PUT", f"/tasks/{place}", json=declaration, params=named)

    def issue_ticket(
        self, task_id: str, experiment: str, *, days: int | None = None
    ) -> TicketAnswer:
        """Return an upload ticket of a task."""
        request: dict[str, object] = {"experiment": experiment}
        if days is not None:
            request["days"] = days
        place, named = task_place(task_id)
        path = f"/tasks/{place}/tickets"
        return self._send(TicketAnswer, "POST", path, json=request, params=named)

    def configuration(
        self, job_id: str, step: str, *, experiment: str | None = None
    ) -> EvaluatedConfiguration:
        """Return the evaluated configuration of a step."""
        path = f"/jobs/{part(job_id)}/configurations/{part(step)}"
        return self._ask(EvaluatedConfiguration, path, experiment=experiment)

    def configuration_text(
        self, job_id: str, step: str, form: str, *, experiment: str | None = None
    ) -> str:
        """Return the configuration of a step as text: `ran`, `expanded`, `annotated` and so on."""
        path = f"/jobs/{part(job_id)}/configurations/{part(step)}"
        return self._text(path, form=form, experiment=experiment)

    def log(
        self, job_id: str, name: str, *, experiment: str | None = None, tail: int | None = None
    ) -> str:
        """Return a log, or its last lines."""
        path = f"/jobs/{part(job_id)}/logs/{part(name)}"
        return self._text(path, experiment=experiment, tail=tail)

    def save_log(
        self,
        job_id: str,
        name: str,
        target: Path | str,
        *,
        experiment: str | None = None,
        tail: int | None = None,
    ) -> None:
        """Write a log, or its last lines, to a file, however large it is; or nothing."""
        query = {"experiment": experiment, "tail": tail}
        self._save(f"/jobs/{part(job_id)}/logs/{part(name)}", query, target)

    def save_bundle(
        self,
        job_id: str,
        target: Path | str,
        *,
        experiment: str | None = None,
        plan: int | None = None,
        level: str | None = None,
        is_holey: bool = False,
        is_located: bool = False,
    ) -> str:
        """Write the rerun bundle of a job to a file, or nothing.

        Return its ETag, which names plan and level.
        """
        query = {
            "experiment": experiment,
            "plan": plan,
            "level": level,
            "holey": "true" if is_holey else None,
            "locate": "true" if is_located else None,
        }
        return self._save(f"/jobs/{part(job_id)}/bundle", query, target)

    def save_task_bundle(self, task_id: str, target: Path | str, **which: Any) -> str:
        """Write the bundle of a task's jobs to a file, as `save_bundle`.

        `experiment`, `stage` and `level` select jobs.
        """
        place, named = task_place(task_id)
        return self._save(f"/tasks/{place}/bundle", {**which, **named}, target)

    def save_campaign_bundle(self, campaign: str, target: Path | str, **which: Any) -> str:
        """Write a campaign's bundle to a file, as `save_bundle` does.

        `experiment`, `stage` and `level` select jobs.
        """
        place, named = campaign_place(campaign)
        return self._save(f"/campaigns/{place}/bundle", {**which, **named}, target)

    def record(self, body: bytes | Mapping[str, Any]) -> RecordAnswer:
        """Record a job; bytes are kept exactly as they are. Sending it again is harmless."""
        data = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        record = json.loads(data)
        if not isinstance(record, dict):
            raise BadInputError("A record is one JSON object.")
        # The address names the job, so that without an id there is none
        if not record.get("job_id"):
            raise BadInputError("A record has a job_id, a UUID.", {"job_id": ["missing"]})
        path = f"/jobs/{part(str(record['job_id']))}"
        answer = self._send(RecordAnswer, "PUT", path, data=data, headers=_JSON)
        if answer.job_id.lower() != str(record["job_id"]).lower():
            raise self._stranger(f": it names job {answer.job_id[:64]}")
        return answer

    def record_batch(self, bodies: Sequence[bytes]) -> list[BatchResult]:
        """Record up to 1000 jobs; return what became of each, in order.

        A batch that a gateway finds too large goes in two halves.
        """
        data = b'{"jobs":[' + b",".join(bodies) + b"]}"
        try:
            answer = self._send(BatchAnswer, "POST", "/jobs/batch", data=data, headers=_JSON)
        except GatewayError as refusal:
            if not is_too_large(refusal) or len(bodies) == 1:
                raise
            middle = len(bodies) // 2
            return [*self.record_batch(bodies[:middle]), *self.record_batch(bodies[middle:])]
        if len(answer.results) != len(bodies):
            raise self._stranger(f": {len(answer.results)} results for {len(bodies)} records")
        return answer.results

    def revise(self, job_id: str, record: Mapping[str, Any], reason: str) -> RecordAnswer:
        """Keep a corrected record beside the first."""
        path = f"/jobs/{part(job_id)}/revisions"
        revision = {"record": record, "reason": reason}
        return self._send(RecordAnswer, "POST", path, json=revision)

    def post_verdict(
        self, job_id: str, verdict: Mapping[str, Any], *, experiment: str | None = None
    ) -> VerdictPosted:
        """Append the outcome of a rerun to a job."""
        path, query = f"/jobs/{part(job_id)}/verdicts", {"experiment": experiment}
        return self._send(VerdictPosted, "POST", path, json=verdict, params=query)

    def missing_blobs(self, digests: Sequence[str]) -> list[str]:
        """Return those of the digests that the experiment has not sent yet."""
        request = {"sha256": list(digests)}
        try:
            return self._send(MissingAnswer, "POST", "/blobs/missing", json=request).missing
        except GatewayError as refusal:
            if not is_too_large(refusal) or len(digests) == 1:
                raise
        middle = len(digests) // 2
        return [*self.missing_blobs(digests[:middle]), *self.missing_blobs(digests[middle:])]

    def put_blob(self, sha256: str, data: bytes) -> BlobAnswer:
        """Send a blob; in parts where a gateway finds it too large."""
        path = f"/blobs/{part(sha256)}"

        def put_part(content: bytes, content_range: str) -> BlobAnswer | PartAnswer:
            headers = {"Content-Range": content_range}
            answer = self._call("PUT", path, data=content, headers=headers)
            if answer.status_code == HTTPStatus.PERMANENT_REDIRECT:
                return self._decoded(PartAnswer, answer)
            return self._decoded(BlobAnswer, answer)

        try:
            answer = self._send(BlobAnswer, "PUT", path, data=data)
        except GatewayError as refusal:
            if not is_too_large(refusal) or len(data) <= SMALLEST_PART:
                raise
            answer = put_in_parts(put_part, data)
        if answer.sha256 != sha256:
            raise self._stranger(f": it names blob {answer.sha256[:64]}")
        return answer

    def get_blob(self, sha256: str) -> bytes:
        """Return a blob's bytes."""
        return self._marked("GET", f"/blobs/{part(sha256)}").content

    def sight_file(self, sighting: Mapping[str, Any]) -> SightingAnswer:
        """Send a file as a catalog or transfer service saw it; return the job it was joined to."""
        return self._send(SightingAnswer, "POST", "/files", json=sighting)

    def declare_workflow(self, name: str, document: Mapping[str, Any]) -> WorkflowDeclared:
        """Declare a workflow, `{text, files}`; return its version, and whether that is new."""
        return self._send(WorkflowDeclared, "PUT", f"/workflows/{part(name)}", json=document)

    def workflows(self, *, experiment: str | None = None) -> list[WorkflowSummary]:
        """Return the newest version of each workflow, and its state."""
        return self._ask(WorkflowList, "/workflows", experiment=experiment).workflows

    def workflow(
        self, name: str, *, experiment: str | None = None, version: int | None = None
    ) -> WorkflowStanding:
        """Return how a workflow stands."""
        path = f"/workflows/{part(name)}"
        return self._ask(WorkflowStanding, path, experiment=experiment, version=version)

    def advance_workflow(
        self,
        name: str,
        *,
        experiment: str | None = None,
        version: int | None = None,
        follow: bool = False,
    ) -> WorkflowStanding:
        """Have what is ready in a workflow ordered; return how it stands then. Harmless to repeat.

        With `follow` the service asks the catalog first what appeared in the sources that stages
        follow.
        """
        params: dict[str, object] = {"experiment": experiment, "version": version}
        if follow:
            params["follow"] = "true"
        path = f"/workflows/{part(name)}/advance"
        return self._send(WorkflowStanding, "POST", path, params=params)

    def set_workflow_state(
        self,
        name: str,
        state: Mapping[str, Any],
        *,
        experiment: str | None = None,
        version: int | None = None,
    ) -> WorkflowStanding:
        """Let a workflow run or stop it, `{state, who, why}`; return how it stands then."""
        params = {"experiment": experiment, "version": version}
        path = f"/workflows/{part(name)}/state"
        return self._send(WorkflowStanding, "POST", path, json=state, params=params)

    def take_orders(self, request: Mapping[str, Any]) -> list[TakenOrder]:
        """Return orders to submit, leased to `holder`.

        The request is `{experiment, holder, limit, workflow}`.
        """
        return self._send(TakenOrders, "POST", "/orders/take", json=request).orders

    def report_orders(self, report: Mapping[str, Any]) -> OrdersReported:
        """Report which orders were placed and which are over: `{experiment, placed, ended}`.

        It is harmless to repeat this.
        """
        return self._send(OrdersReported, "POST", "/orders/report", json=report)

    def placed_orders(self, experiment: str) -> list[OrderInFlight]:
        """Return the orders of an experiment that were placed and are not over."""
        return self._ask(OrdersInFlight, "/orders", experiment=experiment).orders

    def retries(self, **query: Any) -> RetryChoice:
        """Return which jobs would be tried again; the query is that of `GET /retries`."""
        return self._ask(RetryChoice, "/retries", **query)

    def retries_text(self, form: str, **query: Any) -> str:
        """Return the exact resubmission of those jobs: `condor`, `jobsub` or `sam`."""
        return self._text("/retries", **query, format=form)

    def outside_inputs(self, experiment: str, jobs: Sequence[str]) -> OutsideInputs:
        """Return the inputs that the bundles of jobs lack, and where they may be."""
        return self._ask(
            OutsideInputs, "/retries/inputs", experiment=experiment, jobs=",".join(jobs)
        )

    def submissions(self, experiment: str, jobs: Sequence[str]) -> list[RecordedSubmission]:
        """Return how jobs were submitted, as far as that is recorded."""
        answer = self._ask(
            RecordedSubmissions, "/retries/submissions", experiment=experiment, jobs=",".join(jobs)
        )
        return answer.submissions

    def order_retries(self, request: Mapping[str, Any]) -> RetryChoice:
        """Order that jobs are tried again; the request is that of `POST /retries`."""
        return self._send(RetryChoice, "POST", "/retries", json=request)

    def retry_policies(self, experiment: str) -> RetryPolicies:
        """Return what an experiment has tried again without asking, by stage."""
        return self._ask(RetryPolicies, f"/retry-policies/{part(experiment)}")

    def declare_retry_policies(self, experiment: str, document: Mapping[str, Any]) -> RetryPolicies:
        """Declare what an experiment has tried again without asking.

        The declaration is `{stages: {stage: policy}}`.
        """
        path = f"/retry-policies/{part(experiment)}"
        return self._send(RetryPolicies, "PUT", path, json=document)

    def trail(self, experiment: str, **query: Any) -> Iterator[Act]:
        """Yield what was done in an experiment, page by page; the query is that of `GET /trail`."""
        for page in self._pages(Trail, "/trail", experiment=experiment, **query):
            yield from page.acts

    def alerts(self, **query: Any) -> Iterator[Alert]:
        """Yield alerts, page by page; the query is that of `GET /alerts`."""
        for page in self._pages(AlertList, "/alerts", **query):
            yield from page.alerts

    def files(self, **filters: Any) -> Listed[ListedFile]:
        """Return files by name, asked for page by page; filters are those of `GET /files`."""
        pages = self._pages(FileList, "/files", **filters)
        return Listed((file for page in pages for file in page.files), ListedFile, "files")

    def names(self, kind: str, **query: Any) -> Iterator[str]:
        """Yield the names of a kind, page by page; the query is that of `GET /names/{kind}`."""
        for page in self._pages(RecordedNames, f"/names/{part(kind)}", **query):
            yield from page.names

    def experiments(self) -> list[str]:
        """Return the names of all experiments."""
        return list(self.names("experiments"))

    def campaigns(self, *, experiment: str | None = None) -> list[str]:
        """Return the names of all campaigns, or of an experiment's."""
        return list(self.names("campaigns", experiment=experiment))

    def stages(self, *, experiment: str | None = None, campaign: str | None = None) -> list[str]:
        """Return the names of stages, of one experiment or campaign if that is given."""
        return list(self.names("stages", experiment=experiment, campaign=campaign))

    def tasks(self, *, experiment: str | None = None, campaign: str | None = None) -> Iterator[str]:
        """Yield the ids of tasks, of one experiment or campaign if that is given."""
        yield from self.names("tasks", experiment=experiment, campaign=campaign)

    def sites(self, *, experiment: str | None = None, campaign: str | None = None) -> list[str]:
        """Return the sites where jobs ran, of one experiment or campaign if that is given."""
        return list(self.names("sites", experiment=experiment, campaign=campaign))

    def search(self, text: str, **query: Any) -> list[Hit]:
        """Return names that hold a text; the query is that of `GET /search`."""
        return self.find(text, **query).hits

    def find(self, text: str, **query: Any) -> Hits:
        """Return the same by kind and with counts."""
        return self._ask(Hits, "/search", q=text, **query)

    def is_ready(self) -> bool:
        """Return whether the service is there and can work."""
        try:
            return self._ask(_Readiness, "/ready").status == "ready"
        except ProvenanceError:
            return False
