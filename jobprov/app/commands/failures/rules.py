"""`jobprov rules`: what failures of an experiment mean."""

import sys
from pathlib import Path
from typing import Any

import click

from jobprov.app.commands.terminal.asking import asks_service
from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.names import refuse_unknown_names
from jobprov.app.commands.terminal.opening import emit, json_option, read_toml_or_json
from jobprov.app.commands.terminal.tables import cell_table
from jobprov.provenance.client import Client
from jobprov.provenance.lineage.words import counted

_TRANSIENT = {True: "try again", False: "stays", None: ""}


@click.group(cls=Group)
def rules() -> None:
    """Show and declare the rules that classify failures."""


@rules.command()
@click.argument("experiment")
@click.option(
    "--version", type=click.IntRange(1), help="An earlier version; the newest by default."
)
@click.option(
    "--built-in", is_flag=True, help="Also the built-in rules, which are tried after them."
)
@asks_service
def show(
    *, experiment: str, version: int | None, built_in: bool, client: Client, as_json: bool
) -> None:
    """Show the rules of EXPERIMENT, in the order in which they are tried."""
    answer = client.rules(experiment, version=version)
    if not answer.version:
        refuse_unknown_names(client, {"experiment": experiment})
    if answer.version:
        lines = [
            f"version {answer.version} of {len(answer.versions)}",
            f"by {answer.who}: {answer.why}",
        ]
    else:
        lines = [f"{experiment} has no rules of its own; --built-in shows those of jobprov."]
    rules_shown = answer.rules + answer.built_in if built_in else answer.rules
    rows = []
    for rule in rules_shown:
        again = _TRANSIENT[rule.get("transient")]
        rows.append((rule.get("name"), rule.get("class"), again, rule.get("words")))
    if rows:
        lines.append(cell_table(("RULE", "CLASS", "TRY AGAIN", "WHAT"), rows))
    emit(answer, "\n".join(lines), as_json=as_json)


@rules.command("set")
@click.argument("experiment")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--who", help="The person who changes them; else the file's `who`.")
@click.option("--why", help="The reason; else the file's `why`.")
@click.option(
    "--after", type=click.IntRange(0), help="Refuse if another version is the newest by now."
)
@asks_service
def set_(
    *, experiment: str, file: Path, after: int | None, client: Client, as_json: bool, **fields: Any
) -> None:
    """Declare the rules of EXPERIMENT from a TOML or JSON file, as a whole.

    Failures recorded from then on are read by them.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    document = {**read_toml_or_json(file), **given}
    answer = client.declare_rules(experiment, document, after=after)
    change = "declared" if answer.is_new else "had been declared before"
    text = f"Version {answer.version} of the rules of {experiment} {change}."
    emit(answer, text, as_json=as_json)


@rules.command()
@click.argument("experiment")
@click.option("--task", "task_id", help="Only failures of this task.")
@asks_service
def rerun(*, experiment: str, task_id: str | None, client: Client, as_json: bool) -> None:
    """Classify recorded failures of EXPERIMENT again by the present rules, with their stored logs."""
    answer = client.reclassify(experiment, task_id=task_id)
    failures = counted(answer.jobs, "failure")
    text = f"{failures} will be read by version {answer.version}, in the background."
    emit(answer, text, as_json=as_json)


@rules.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def check(*, file: Path, as_json: bool) -> None:
    """Check whether a file of rules can be declared. Exit code 2 where it cannot."""
    from jobprov.provenance.triage.rules import read_rules  # noqa: PLC0415

    rule_table = read_rules({"who": "nobody", "why": "a check", **read_toml_or_json(file)})
    count = len(rule_table.rules)
    emit({"rules": count}, f"{counted(count, 'rule')}, all fine.", as_json=as_json)
    sys.exit(0)


COMMANDS = {"rules": rules}
EXAMPLES = {
    "rules show": (
        "jobprov rules show toyexp",
        "jobprov rules show toyexp --built-in",
    ),
    "rules set": ("jobprov rules set toyexp rules.toml --who Ada --why 'a new error of dCache'",),
    "rules rerun": ("jobprov rules rerun toyexp --task toyexp-demo-reco-0001",),
    "rules check": ("jobprov rules check rules.toml",),
}
