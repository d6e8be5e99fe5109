"""The page of an experiment's rules of triage.

What they are, who changed them and why, and a form that changes them.
"""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, redirect, request

from jobprov.app.web.frame.cuts import address, cut_rows
from jobprov.app.web.frame.formats import counted
from jobprov.app.web.frame.page import answer, asked, asked_number
from jobprov.app.web.frame.writing import TOKEN_FIELD, form_grant, needs_token
from jobprov.app.wiring import get_service
from jobprov.provenance.errors import BadInputError, ConflictError
from jobprov.provenance.services.failures.rules import declare_rules, reclassify, show_rules
from jobprov.provenance.triage.rules_text import read_rules_text, rules_text

_CONDITIONS = ("state", "exit_code", "signal", "step", "program", "error_class", "pattern")


def add_routes(blueprint: Blueprint) -> None:
    """Put the page on the blueprint."""
    blueprint.add_url_rule("/rules", view_func=show_page, endpoint="rules")
    blueprint.add_url_rule("/rules", view_func=change, endpoint="change_rules", methods=["POST"])
    blueprint.add_url_rule(
        "/rules/reclassify", view_func=read_again, endpoint="reclassify", methods=["POST"]
    )


def show_page() -> Response:
    """Show the rules of an experiment, the newest or an earlier version.

    With `edit=1` the form that changes them.
    """
    experiment, version = (
        _experiment(asked("experiment")),
        asked_number("version", least=1, most=2**31 - 1),
    )
    with get_service().reading() as connection:
        shown = show_rules(connection, experiment, version=version)
    if asked("edit"):
        return _form(shown, rules_text(shown["rules"]))
    return answer(
        "failures/rules.html",
        twin=address(f"/rules/{experiment}", {"version": str(version or "")}),
        shown=shown,
        first_line=first_line(shown),
        rules=cut_rows("rules", _rows(shown["rules"]), 60),
        built_in=cut_rows("built-in", _rows(shown["built_in"]), 80),
        versions=cut_rows("versions", shown["versions"], 20),
        is_newest=version in (None, shown["versions"][0]["version"] if shown["versions"] else None),
        edit=address("/rules", {"experiment": experiment, "edit": "1"}),
        queued=asked("queued"),
        token_field=TOKEN_FIELD if needs_token() else None,
    )


def change() -> Response:
    """Declare the rules in the form, and lead to them.

    The form again, with what is wrong, where they cannot be.
    """
    experiment = _experiment(request.form.get("experiment"))
    grant = form_grant(experiment)
    text, service, now = request.form.get("rules", ""), get_service(), datetime.now(UTC)
    said = {name: request.form.get(name, "").strip() for name in ("who", "why", "after")}
    try:
        document = {"rules": read_rules_text(text), "who": said["who"], "why": said["why"]}
        after = int(said["after"]) if said["after"].isdecimal() else None
        service.write(
            lambda writing: declare_rules(writing, experiment, document, after=after),
            received_at=now,
            submitter=grant.submitter,
        )
    except (BadInputError, ConflictError) as problem:
        with service.reading() as connection:
            shown = show_rules(connection, experiment)
        page = _form(shown, text, problem=str(problem), said=said)
        page.status_code = 409 if isinstance(problem, ConflictError) else 422
        return page
    return redirect(address("/rules", {"experiment": experiment}), 303)  # type: ignore[return-value]


def read_again() -> Response:
    """Have the failures that are recorded already read by the rules of now, and lead back."""
    experiment = _experiment(request.form.get("experiment"))
    grant = form_grant(experiment)
    now = datetime.now(UTC)
    done = get_service().write(
        lambda writing: reclassify(writing, experiment), received_at=now, submitter=grant.submitter
    )
    where = address("/rules", {"experiment": experiment, "queued": str(done["jobs"])})
    return redirect(where, 303)  # type: ignore[return-value]


def first_line(shown: dict[str, Any]) -> str:
    """Return how many rules there are and who changed them last."""
    if not shown["version"]:
        return f"{shown['experiment']} has no rules of its own; the built-in ones tell what failures mean."
    newest = next(row for row in shown["versions"] if row["version"] == shown["version"])
    rules = counted(len(shown["rules"]), "rule")
    return f"{rules} of {shown['experiment']}, version {shown['version']}, by {newest['who']}: {newest['why']}."


def _form(
    shown: dict[str, Any],
    text: str,
    *,
    problem: str | None = None,
    said: dict[str, str] | None = None,
) -> Response:
    return answer(
        "failures/rules_form.html",
        shown=shown,
        text=text,
        problem=problem,
        said=said or {"who": "", "why": "", "after": str(shown["version"])},
        token_field=TOKEN_FIELD if needs_token() else None,
    )


def _experiment(word: str | None) -> str:
    if not word or not word.strip():
        raise BadInputError("experiment: say whose rules.", {"experiment": ["missing"]})
    return word.strip()


def _rows(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            **rule,
            "conditions": [
                (name.replace("_", " "), _word(rule[name])) for name in _CONDITIONS if name in rule
            ],
        }
        for rule in rules
    ]


def _word(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
