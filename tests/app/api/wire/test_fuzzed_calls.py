"""Every call, with what the OpenAPI document allows and with what it forbids, made up at random."""

from collections.abc import Iterator

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation

pytestmark = pytest.mark.slow
EXAMPLES = 3
# Made anew for each process: slow, and the same whoever asks
BUILT = ("/api/v1/hook/job-end-hook.pyz", "/api/v1/reproduction")
# What is well formed may still make no sense: a cursor of another list, a name of control characters
REFUSES_NONSENSE = "positive_data_acceptance"


@pytest.fixture(scope="module", params=[GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def cases(request: pytest.FixtureRequest, bare_app: Flask) -> list[Case]:
    """Return made-up requests to each call, for both databases: to make them up takes the most."""
    made_up: list[Case] = []
    for operation in operations(bare_app):
        try:
            made_up += make_up(operation, request.param)
        except Unsatisfiable:
            continue  # nothing that it could be sent is forbidden
    return made_up


def test_every_answer_is_one_that_the_document_describes(app: Flask, cases: list[Case]) -> None:
    """No server error, and no status, content type, header or body that is not described."""
    load_all_checks()
    nonsense = CHECKS.get_one(REFUSES_NONSENSE)
    problems: list[str] = []
    for case in cases:
        try:
            case.call_and_validate(excluded_checks=[nonsense], app=app)
        except FailureGroup as found:
            problems += [f"{case.operation.label}: {problem}" for problem in found.exceptions]

    assert len(cases) > 200
    assert problems == []


def operations(app: Flask) -> Iterator[APIOperation]:
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path not in BUILT:
            yield operation


def make_up(operation: APIOperation, mode: GenerationMode) -> list[Case]:
    """Return made-up requests to one call."""
    made_up: list[Case] = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def keep(case: Case) -> None:
        made_up.append(case)

    keep()
    return made_up
