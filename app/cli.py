"""The `jobprov` command. Each group of commands is a file in `app/commands`, imported only when it is called.

Exit codes: 0 fine, 1 the answer is no (not found, differs), 2 usage, 3 service or storage unreachable.
Errors are one sentence on standard error; a traceback is a bug of ours.
"""

import importlib.util
import sys

import click

from provenance.errors import AmbiguousError, BadInputError, NotFoundError, ProvenanceError, UnreachableError

COMMANDS = {
    "agent": "agent",
    "archive": "archive",
    "art": "art",
    "attest": "attest",
    "backup": "archive",
    "bundle": "bundles",
    "capsule": "capsule",
    "catalog": "catalog",
    "common-ancestors": "histories",
    "comparators": "comparators",
    "cost": "histories",
    "dead-letter": "letters",
    "declare": "catalog",
    "demo": "demo",
    "diff": "comparing",
    "diverge": "comparing",
    "drill": "drill",
    "errors": "errors",
    "estimate": "estimate",
    "export": "attest",
    "export-site": "export_site",
    "fhicl": "fhicl",
    "gaps": "gaps",
    "impact": "impact",
    "job": "asking",
    "jobs": "listing",
    "launch": "agent",
    "leaves": "histories",
    "lineage": "asking",
    "lookup": "asking",
    "migrate": "serving",
    "missing": "tasks",
    "modules": "modules",
    "orphans": "histories",
    "paths": "histories",
    "ready": "tasks",
    "rebuild-database": "rebuild",
    "rebuild-file": "impact",
    "recipes": "recipes",
    "record": "recording",
    "register": "register",
    "report": "report",
    "repository": "repository",
    "rerun": "bundles",
    "retry": "retry",
    "retry-policy": "retry",
    "roots": "histories",
    "rules": "rules",
    "samples": "samples",
    "serve": "serving",
    "sidecar": "sidecar",
    "task": "tasks",
    "token": "tokens",
    "verify": "bundles",
    "witness": "witness",
    "waive": "tasks",
    "work": "work",
}
"""In which module of `app/commands` a command is; the module's `COMMANDS` maps its name to it."""


class LazyGroup(click.Group):
    """Commands by name, each imported when it is called: `jobprov lookup` needs no database."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names of all commands."""
        return sorted(name for name in COMMANDS if _is_there(name))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command, importing its module."""
        if not _is_there(cmd_name):
            return None
        module = importlib.import_module(f"app.commands.{COMMANDS[cmd_name]}")
        return module.COMMANDS[cmd_name]  # type: ignore[no-any-return]


def _is_there(name: str) -> bool:
    return name in COMMANDS and importlib.util.find_spec(f"app.commands.{COMMANDS[name]}") is not None


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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
    if isinstance(problem, BadInputError) or type(problem).__name__ == "BadUrlError":
        return 2
    return 1 if isinstance(problem, ProvenanceError) or type(problem).__module__ == "archive.errors" else None


def sentence(problem: Exception) -> str:
    """Return what a person is told of an error: what failed, and what to try."""
    text = f"jobprov: {problem}"
    if isinstance(problem, NotFoundError) and problem.nearest:
        text += "\nDid you mean: " + ", ".join(problem.nearest[:5])
    if isinstance(problem, AmbiguousError):
        text += "\n" + "\n".join(f"  --experiment {e}" + (f" --namespace {n}" if n else "") for e, n in problem.choices)
    return text
