"""The `jobprov` command.

Each group of commands is a file in `app/commands`, imported only when it is called.

Exit codes: 0 fine; 1 the answer is no: something differs, failed, is missing or was refused; 2 the
question is wrong: its usage, or a name that nobody or that several have; 3 service or storage
unreachable. Errors are one sentence on standard error; a traceback is a bug of ours.
"""

import importlib.util
import shlex
import sys
from collections.abc import Mapping

import click

from jobprov.app.commands.terminal.groups import Group, summary
from jobprov.provenance.errors import (
    AmbiguousError,
    BadInputError,
    NotFoundError,
    ProvenanceError,
    UnreachableError,
)

SECTIONS = {
    "Ask about files and jobs": {
        "find": "lookup.search",
        "files": "lookup.search",
        "lookup": "lookup.file",
        "lineage": "histories.lineage",
        "roots": "histories.ends",
        "leaves": "histories.ends",
        "cost": "histories.costs",
        "paths": "histories.relations",
        "common-ancestors": "histories.relations",
        "orphans": "histories.ends",
        "impact": "histories.impact",
        "rebuild-file": "histories.rebuilds",
        "job": "lookup.job",
        "jobs": "lookup.jobs",
        "diff": "comparisons.jobs",
        "diverge": "histories.divergence",
        "recipes": "comparisons.recipes",
        "fhicl": "configurations.fhicl",
        "art": "configurations.art_files",
    },
    "Watch and steer a production": {
        "declare": "tasks.declarations",
        "task": "tasks.tasks",
        "queue": "tasks.queue",
        "missing": "tasks.tasks",
        "ready": "tasks.tasks",
        "waive": "tasks.tasks",
        "errors": "failures.errors",
        "rules": "failures.rules",
        "throughput": "statistics.throughput",
        "modules": "statistics.modules",
        "estimate": "statistics.estimates",
        "samples": "tasks.samples",
        "report": "statistics.reports",
        "export-site": "statistics.site",
        "retry": "orders.retries",
        "retry-policy": "orders.retries",
        "launch": "orders.launch",
        "agent": "orders.agent",
        "catalog": "catalogs.differences",
        "arrivals": "catalogs.arrivals",
        "gaps": "lookup.jobs",
    },
    "Run jobs again": {
        "bundle": "bundles.bundles",
        "rerun": "bundles.bundles",
        "verify": "bundles.bundles",
        "comparators": "bundles.comparators",
        "prove": "reruns.proofs",
        "proofs": "reruns.proof_list",
        "drill": "reruns.drills",
        "capsule": "reruns.capsules",
        "attest": "bundles.attestations",
        "export": "bundles.bundles",
    },
    "Record": {
        "register": "recording.tickets",
        "record": "recording.jobs",
        "witness": "orders.witness",
        "sidecar": "catalogs.sidecars",
    },
    "Operate the service": {
        "serve": "service.serving",
        "demo": "service.demo",
        "work": "service.work",
        "token": "recording.tokens",
        "repository": "code.repositories",
        "product": "code.products",
        "archive": "upkeep.archive",
        "backup": "upkeep.archive",
        "dead-letter": "recording.dead_letters",
        "erase": "upkeep.erasures",
        "trail": "upkeep.trail",
        "migrate": "service.serving",
        "rebuild-database": "upkeep.database_rebuild",
    },
}
"""Commands by what they are for, each with its module below `app/commands`.

The module's `COMMANDS` maps its name to it.
"""

SERVER_PACKAGES = frozenset(
    {
        "ahocorasick_rs",
        "alembic",
        "flask",
        "flask_smorest",
        "git",
        "gunicorn",
        "jinja2",
        "marshmallow",
        "sqlalchemy",
        "werkzeug",
        "zstandard",
    }
)
"""What the extra `server` installs, by import name.

Commands that only ask a service do without it.
"""

COMMANDS = {name: module for commands in SECTIONS.values() for name, module in commands.items()}


class LazyGroup(Group):
    """Commands by name, each imported when it is called: `jobprov lookup` needs no database."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return [name for name in COMMANDS if _is_there(name)]

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Return a command, importing its module."""
        if not _is_there(cmd_name):
            return None
        try:
            module = importlib.import_module(f"jobprov.app.commands.{COMMANDS[cmd_name]}")
        except ModuleNotFoundError as problem:
            if problem.name in SERVER_PACKAGES:
                return _needs_server(cmd_name, problem.name)
            raise
        return module.COMMANDS[cmd_name]  # type: ignore[no-any-return]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the words begin with.

        Raises:
            NoSuchCommand: there is none; it names those that are written much alike, for which
                click would look in an empty list.
        """
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as problem:
            raise click.exceptions.NoSuchCommand(
                problem.command_name, possibilities=COMMANDS, ctx=ctx
            ) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands by section, each with what it does."""
        widest = max(map(len, COMMANDS))
        for title, names in SECTIONS.items():
            commands = {name: self.get_command(ctx, name) for name in names}
            rows = []
            for name, command in commands.items():
                if command:
                    rows.append((name.ljust(widest), summary(command)))
            with formatter.section(title):
                formatter.write_dl(rows)


def _needs_server(name: str, package: str) -> click.Command:
    """Return a command in place of one whose packages are not installed."""

    def refuse() -> None:
        raise UnreachableError(
            f"`jobprov {name}` works on a service's own database and archive, and the package "
            f"{package} is not installed. Type:  pip install 'jobprov[server]'"
        )

    # The words that the real command takes are not known here
    context = {"ignore_unknown_options": True, "allow_extra_args": True}
    help_text = "Needs the server's packages: pip install 'jobprov[server]'."
    return click.Command(name, callback=refuse, help=help_text, context_settings=context)


def _is_there(name: str) -> bool:
    return (
        name in COMMANDS
        and importlib.util.find_spec(f"jobprov.app.commands.{COMMANDS[name]}") is not None
    )


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="jobprov")
def jobprov() -> None:
    """Keep the provenance of batch jobs, and rebuild any of them."""


def main() -> None:
    """Run the command line; never returns."""
    try:
        code = jobprov.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except BrokenPipeError:
        sys.exit(0)  # whoever read the other end had enough
    except Exception as problem:
        code = exit_code(problem)
        if code is None:
            raise
        click.echo(sentence(problem), err=True)
    sys.exit(code if isinstance(code, int) else 0)


def exit_code(problem: Exception) -> int | None:
    """Return the exit code that an error means; None for a mistake of ours."""
    if isinstance(problem, UnreachableError | OSError) or type(problem).__name__ in (
        "OperationalError",
        "ArchiveUnreachableError",
    ):
        return 3
    is_misnamed = isinstance(problem, NotFoundError | AmbiguousError)
    if is_misnamed or isinstance(problem, BadInputError) or type(problem).__name__ == "BadUrlError":
        return 2
    return (
        1
        if isinstance(problem, ProvenanceError)
        or type(problem).__module__ == "jobprov.archive.errors"
        else None
    )


def sentence(problem: Exception) -> str:
    """Return what a person is told of an error: what failed, and what to try."""
    text = f"jobprov: {problem}"
    if isinstance(problem, NotFoundError) and problem.nearest:
        text += "\nDid you mean: " + ", ".join(problem.nearest[:5])
    if isinstance(problem, AmbiguousError):
        text += "".join(f"\n  {_words_of(question)}" for question in problem.questions)
    return text


def _words_of(question: Mapping[str, str]) -> str:
    """Return what to type for one of several: options, or the full name where a file's name was."""
    named = {name: shlex.quote(value) for name, value in question.items()}
    return " ".join(
        word if name in ("a", "b") else f"--{name.replace('_', '-')} {word}"
        for name, word in named.items()
    )
