"""Orders and retries over HTTP: what is to be submitted, and what became of it."""

from flask import Response

from jobprov.app.api.wire.answers import TEXT, json_answer, public_url, text_answer
from jobprov.app.api.wire.asking import asked, checked_name
from jobprov.app.api.wire.documenting import Section
from jobprov.app.api.wire.guard import check_experiment, writing_grant
from jobprov.app.api.wire.secrets import sent_document
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.orders.orders import (
    OrdersInFlight,
    OrdersReported,
    OutsideInputs,
    RecordedSubmissions,
    RetryChoice,
    RetryPolicies,
    TakenOrders,
)
from jobprov.provenance.launchers.resubmitting import Destination, FileCommands
from jobprov.provenance.records.reading.documents import read_document
from jobprov.provenance.schemas.production_queries import (
    OrdersQuery,
    OutsideInputsQuery,
    RetriesQuery,
)
from jobprov.provenance.services.intake.tokens import Scope
from jobprov.provenance.services.orders.orders import (
    ReportBody,
    TakeBody,
    list_orders_in_flight,
    report_orders,
    take_orders,
)
from jobprov.provenance.services.orders.outside_inputs import locate, read_outside_inputs
from jobprov.provenance.services.orders.resubmission import repeats_of, resubmission
from jobprov.provenance.services.orders.retries import (
    RetryBody,
    choose_retries,
    order_retries,
    read_retry,
)
from jobprov.provenance.services.orders.retry_choice import show_choice
from jobprov.provenance.services.orders.retry_policies import (
    PoliciesBody,
    declare_policies,
    show_policies,
)
from jobprov.provenance.services.orders.submissions import read_submissions

section = Section("orders", "Jobs that are to be submitted, each once.")
_BODY_BYTES = 4 * 1024 * 1024


@section.post("/orders/take", TakenOrders, body=TakeBody, errors=(404,))
def post_take() -> Response:
    """Return orders that are to be submitted, leased to the holder for ten minutes."""
    grant = writing_grant(Scope.RUN)
    body = read_document(sent_document(_BODY_BYTES), TakeBody, "The question")
    check_experiment(grant, body.experiment)
    orders = get_service().write(
        lambda writing: take_orders(writing, body), submitter=grant.submitter
    )
    return json_answer(TakenOrders(orders))


@section.post("/orders/report", OrdersReported, body=ReportBody, errors=(404,))
def post_report() -> Response:
    """Note which orders were placed, under which batch id, and which are over.

    Repeating a report changes nothing.
    """
    grant = writing_grant(Scope.RUN)
    document = sent_document(_BODY_BYTES)
    body = read_document(document, ReportBody, "The report")
    check_experiment(grant, body.experiment)
    reported = get_service().write(
        lambda writing: report_orders(writing, body), submitter=grant.submitter
    )
    return json_answer(reported)


@section.get("/orders", OrdersInFlight, query=OrdersQuery, errors=(404,))
def get_orders() -> Response:
    """Return the orders that were placed and are not over."""
    query = asked(OrdersQuery)
    with get_service().reading() as connection:
        return json_answer(list_orders_in_flight(connection, query["experiment"]))


@section.get("/retries", RetryChoice, query=RetriesQuery, errors=(404,), other_types=(TEXT,))
def get_retries() -> Response:
    """Return which jobs would be tried again, and why others would not.

    `format` may ask for the exact resubmission, as text.
    """
    query = asked(RetriesQuery)
    form, output_dir = query.pop("format"), query.pop("output_dir", None)
    jobs = _words(query.pop("jobs", ""))
    body = read_retry({**query, "jobs": jobs})
    service = get_service()
    with service.reading() as connection:
        choice = choose_retries(connection, service.store, body)
        if form == "json":
            return json_answer(show_choice(choice))
        repeats = repeats_of(connection, service.store, choice, body.experiment)
    commands = FileCommands(service.settings.fetch_command, service.settings.store_command)
    destination = Destination(body.experiment, public_url(), output_dir, commands)
    text = resubmission(repeats, form, destination, with_ticket=service.needs_token())
    return text_answer(text.splitlines())


@section.get("/retries/inputs", OutsideInputs, query=OutsideInputsQuery, errors=(404,))
def get_outside_inputs() -> Response:
    """Return the inputs that the bundles of jobs lack, and where they may be.

    The places are those of the records, and those that the experiment's catalog knows.
    """
    body, service = _asked_jobs(), get_service()
    with service.reading() as connection:
        by_job = read_outside_inputs(connection, service.store, body.experiment, body.jobs)
    inputs = [file for files in by_job.values() for file in files]
    return json_answer(locate(inputs, service.catalogs(), body.experiment))


@section.get("/retries/submissions", RecordedSubmissions, query=OutsideInputsQuery, errors=(404,))
def get_submissions() -> Response:
    """Return how jobs were submitted, as far as the records and their tasks hold it."""
    body, service = _asked_jobs(), get_service()
    with service.reading() as connection:
        submissions = read_submissions(connection, service.store, body.experiment, body.jobs)
    return json_answer(RecordedSubmissions(submissions))


def _asked_jobs() -> RetryBody:
    """Return the experiment and the jobs that the address names."""
    query = asked(OutsideInputsQuery)
    jobs = _words(query.get("jobs", ""))
    return read_retry({"experiment": query["experiment"], "jobs": jobs})


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


@section.post("/retries", {201: RetryChoice}, body=RetryBody, errors=(404,))
def post_retries() -> Response:
    """Order that jobs are tried again.

    `jobprov agent` under the production account submits them.
    """
    grant = writing_grant(Scope.RUN)
    document = sent_document(_BODY_BYTES)
    check_experiment(grant, read_retry(document).experiment)
    answer = get_service().write(
        lambda writing: order_retries(writing, document), submitter=grant.submitter
    )
    return json_answer(answer, 201)


@section.put("/retry-policies/<experiment>", RetryPolicies, body=PoliciesBody)
def put_policies(experiment: str) -> Response:
    """Declare what an experiment has tried again without asking, by stage.

    The policy of the stage `*` is for all stages not named.
    """
    grant = writing_grant(Scope.RUN)
    check_experiment(grant, checked_name(experiment, "experiment"))
    document = sent_document(_BODY_BYTES)
    get_service().write(
        lambda writing: declare_policies(writing, experiment, document),
        submitter=grant.submitter,
    )
    return get_policies(experiment)


@section.get("/retry-policies/<experiment>", RetryPolicies, errors=(404, 422))
def get_policies(experiment: str) -> Response:
    """Return what an experiment has tried again without asking."""
    with get_service().reading() as connection:
        return json_answer(show_policies(connection, checked_name(experiment, "experiment")))
