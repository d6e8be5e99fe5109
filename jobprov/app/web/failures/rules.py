"""The page of an experiment's rules of triage, with a form to change them.

It shows the rules, who changed them, and why.
"""

from typing import NamedTuple

import msgspec
from flask import Response, redirect, request
from werkzeug.exceptions import Unauthorized

from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted
from jobprov.app.web.frame.guard import form_grant, who_decides
from jobprov.app.web.frame.page import answer, asked, asked_number, filled_in, pages
from jobprov.app.wiring import get_service
from jobprov.provenance.answers.failures import ExperimentRules
from jobprov.provenance.errors import BadInputError, ConflictError
from jobprov.provenance.records.job_record import JsonObject
from jobprov.provenance.services.failures.rules import declare_rules, reclassify, show_rules
from jobprov.provenance.services.intake.logins import Role
from jobprov.provenance.services.intake.tokens import Scope
from jobprov.provenance.triage.rules import Rule
from jobprov.provenance.triage.rules_text import read_rules_text, rules_text

_MOST = 2**31 - 1
_CONDITIONS = ("state", "exit_code", "signal", "step", "program", "error_class", "pattern")


class RuleRow(NamedTuple):
    """A rule with its conditions in words: each field and the value it must have."""

    rule: Rule
    conditions: list[tuple[str, str]]


class FormFields(NamedTuple):
    """What the form has besides the rules; `after` is the version that they were made from."""

    who: str = ""
    why: str = ""
    after: str = ""


@pages.get("/rules", endpoint="rules")
def show_page() -> Response:
    """Show the rules of an experiment, the newest or an earlier version.

    With `edit=1`, show the form that changes them.
    """
    experiment = _experiment(asked("experiment"))
    version = asked_number("version", least=1, most=_MOST)
    with get_service().reading() as connection:
        shown = show_rules(connection, experiment, version=version)
    if asked("edit"):
        return _form(shown, rules_text(shown.rules), FormFields(after=str(shown.version)))
    return answer(
        "failures/rules.html",
        twin=address(f"/rules/{experiment}", {"version": str(version or "")}),
        shown=shown,
        first_line=first_line(shown),
        rules=cut_rows("rules", _rule_rows(shown.rules), 60),
        built_in=cut_rows("built-in", _rule_rows(shown.built_in), 80),
        versions=cut_rows("versions", shown.versions, 20),
        is_newest=version is None or version == shown.versions[0].version,
        edit=address("/rules", {"experiment": experiment, "edit": "1"}),
        queued=asked_number("queued", least=0, most=_MOST),
    )


@pages.post("/rules", endpoint="change_rules")
def change() -> Response:
    """Declare the rules in the form and redirect to them; if they are refused, show it again."""
    experiment = _experiment(request.form.get("experiment"))
    text, service = request.form.get("rules", ""), get_service()
    fields = FormFields(
        who=request.form.get("who", "").strip(),
        why=request.form.get("why", "").strip(),
        after=request.form.get("after", "").strip(),
    )
    try:
        grant = form_grant(experiment, Scope.DECLARE, Role.OPERATOR)
    except Unauthorized as problem:
        # A session may end while somebody types, and browsers forget what was typed then
        return _form_again(experiment, text, fields, str(problem.description), problem.code)
    fields = fields._replace(who=who_decides(grant))
    after = None
    if fields.after.isdecimal():
        after = int(fields.after)
    try:
        filled_in("who", fields.who)
        filled_in("why", fields.why)
        document = {"rules": read_rules_text(text), "who": fields.who, "why": fields.why}
        service.write(
            lambda writing: declare_rules(writing, experiment, document, after=after),
            submitter=grant.submitter,
        )
    except BadInputError as problem:
        return _form_again(experiment, text, fields, str(problem), 422)
    except ConflictError as problem:
        return _form_again(experiment, text, fields, str(problem), 409, is_overtaken=True)
    return redirect(  # type: ignore[return-value]
        address("/rules", {"experiment": experiment}), 303
    )


@pages.post("/rules/reclassify", endpoint="reclassify")
def read_again() -> Response:
    """Have the newest rules read again the failures recorded so far, and redirect to the rules."""
    experiment = _experiment(request.form.get("experiment"))
    grant = form_grant(experiment, Scope.DECLARE, Role.OPERATOR)
    reapplied = get_service().write(
        lambda writing: reclassify(writing, experiment), submitter=grant.submitter
    )
    where = address("/rules", {"experiment": experiment, "queued": str(reapplied.jobs)})
    return redirect(where, 303)  # type: ignore[return-value]


def first_line(shown: ExperimentRules) -> str:
    """Return how many rules there are and who changed them last."""
    if not shown.version:
        return f"{shown.experiment} has no rules of its own; the built-in ones apply."
    rules = counted(len(shown.rules), "rule")
    return f"{rules} of {shown.experiment}, version {shown.version}, by {shown.who}: {shown.why}."


def _form_again(
    experiment: str,
    text: str,
    fields: FormFields,
    problem: str,
    status: int,
    *,
    is_overtaken: bool = False,
) -> Response:
    """Return the form as it was sent, with the reason why nothing was changed.

    If somebody else declared rules meanwhile, it is about those from now on: who has seen them, and
    sends it again, replaces them.
    """
    with get_service().reading() as connection:
        shown = show_rules(connection, experiment)
    if is_overtaken:
        fields = fields._replace(after=str(shown.version))
    page = _form(shown, text, fields, problem=problem, is_overtaken=is_overtaken)
    page.status_code = status
    return page


def _form(
    shown: ExperimentRules,
    text: str,
    fields: FormFields,
    *,
    problem: str | None = None,
    is_overtaken: bool = False,
) -> Response:
    return answer(
        "failures/rules_form.html",
        shown=shown,
        text=text,
        problem=problem,
        is_overtaken=is_overtaken,
        fields=fields,
        back=address("/rules", {"experiment": shown.experiment, "edit": "1"}),
    )


def _experiment(word: str | None) -> str:
    if not word or not word.strip():
        raise BadInputError("experiment: say whose rules.", {"experiment": ["missing"]})
    return word.strip()


def _rule_rows(rules: list[JsonObject]) -> list[RuleRow]:
    rows = []
    for rule in msgspec.convert(rules, list[Rule]):
        conditions = []
        for name in _CONDITIONS:
            value = getattr(rule, name)
            if value is not None:
                conditions.append((name.replace("_", " "), _text(value)))
        rows.append(RuleRow(rule, conditions))
    return rows


def _text(value: str | list[str | int]) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else value
