"""The `jobprov` command.

Each group of commands is a file in `app/commands`, imported only when it is called.

Exit codes: 0 fine; 1 the answer is no: something differs, failed, is missing or was refused; 2 the
question is wrong: its usage, or a name that nobody or that several have; 3 service or storage
unreachable. Errors are one sentence on standard error; a traceback is a bug of ours.
"""

import gc
import importlib.util
import shlex
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, cast

import click

from jobprov.app.commands.terminal.groups import Group, add_examples
from jobprov.app.commands.terminal.standard_output import name_standard_output
from jobprov.provenance.errors import (
    AmbiguousError,
    BadInputError,
    NotFoundError,
    ProvenanceError,
    UnreachableError,
)

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem
    from sqlalchemy.exc import OperationalError


class Listed(NamedTuple):
    """A command as `jobprov --help` lists it, which imports none of them.

    Attributes:
        module: below `app/commands`; its `COMMANDS` maps the command's name to it, its `EXAMPLES`
            the words of each command to what one may type.
        sentence: what it does: the first sentence of its own help.
        needs_server: whether it works only where the packages of the extra `server` are.
    """

    module: str
    sentence: str
    needs_server: bool = False


SECTIONS = {
    "Ask about files and jobs": {
        "find": Listed(
            "search",
            "Find names that hold each word of TEXT, in any case; exit code 1 where there are none",
        ),
        "files": Listed(
            "search",
            "List files whose name fits PATTERN, in order; exit code 1 where there are none",
        ),
        "lookup": Listed(
            "lookup.file", "Show what made FILE, from what, with which configuration and code"
        ),
        "lineage": Listed("histories.lineage", "Draw or export the history around FILE"),
        "roots": Listed(
            "histories.ends",
            "List the files that FILE goes back to and that were made from no others",
        ),
        "leaves": Listed(
            "histories.ends",
            "List the final products of FILE: made from it, and no other file was made from them",
        ),
        "cost": Listed(
            "histories.costs",
            "Show what it took to make FILE, including everything it was made from",
        ),
        "paths": Listed(
            "histories.relations",
            "Show how the younger of the files A and B was made from the older",
        ),
        "common-ancestors": Listed(
            "histories.relations", "List what the files A and B were both made from"
        ),
        "orphans": Listed(
            "histories.ends",
            "List the files that records or catalogs name and that no recorded job made",
        ),
        "impact": Listed(
            "histories.impact",
            "List the files that some jobs made, and all that was made from these",
        ),
        "rebuild-file": Listed(
            "histories.rebuilds", "List the jobs that make FILE again, in order"
        ),
        "job": Listed("lookup.job", "Show the job with this job id or batch id"),
        "jobs": Listed(
            "lookup.jobs",
            "List jobs, newest first or in another order; exit code 1 where there are none",
        ),
        "diff": Listed(
            "comparisons.jobs",
            "Compare the jobs A and B (job ids or batch ids), or two campaigns or releases",
        ),
        "diverge": Listed(
            "histories.divergence", "Show where the histories of FILE and OTHER part"
        ),
        "recipes": Listed(
            "comparisons.recipes",
            "List the recipes whose jobs have more than one result, or show what differs between the jobs of one",
        ),
        "fhicl": Listed(
            "configurations.fhicl", "Read FHiCL files, with FHICL_FILE_PATH or --search-path"
        ),
        "art": Listed(
            "configurations.art_files", "Show what FILE.root, written by art, stores of itself"
        ),
    },
    "Watch and steer a production": {
        "attention": Listed(
            "attention.needs", "Show what needs somebody now, since when, and how much of it"
        ),
        "declare": Listed("tasks.declarations", "Declare task ID: what is to be made"),
        "task": Listed("tasks.tasks", "Show how far task ID is, and what stands in its way"),
        "queue": Listed("tasks.queue", "Show what runs and waits: of TASK, of a campaign, or all"),
        "backlog": Listed(
            "tasks.backlogs",
            "Show what is left of TASK or a campaign, how it became less, and until when",
        ),
        "timeline": Listed(
            "tasks.timelines", "Show when TASK, or one of its units, waited and ran"
        ),
        "missing": Listed("tasks.tasks", "List the units of task ID that are still to be made"),
        "ready": Listed(
            "tasks.tasks", "List the files that jobs of task ID made and that no job has read yet"
        ),
        "waive": Listed("tasks.tasks", "Let task ID go on without these units"),
        "errors": Listed(
            "failures.errors",
            "Show why jobs failed, most frequent cause first, and which hosts and sites stand out",
        ),
        "rules": Listed("failures.rules", "Show and declare the rules that classify failures"),
        "throughput": Listed(
            "statistics.throughput",
            "Show what ended in each step of a time: jobs, files, events or CPU hours",
        ),
        "modules": Listed(
            "statistics.modules",
            "Show what art's modules took in jobs that succeeded, and what changed between two versions",
        ),
        "estimate": Listed(
            "estimates",
            "Show how long so many files or events would take, from the jobs that did it before",
        ),
        "samples": Listed(
            "tasks.samples",
            "List the samples of EXPERIMENT by data tier: files and events, done of expected",
        ),
        "report": Listed(
            "statistics.reports",
            "Report how far CAMPAIGN is: stages, waiting tasks, waivers, why jobs failed, what they took",
        ),
        "export-site": Listed(
            "statistics.site",
            "Write pages of campaigns, their tasks, jobs, files and lineage into FOLDER",
            needs_server=True,
        ),
        "retry": Listed(
            "orders.retries", "Retry JOBs, or what a task's policy offers", needs_server=True
        ),
        "retry-policy": Listed(
            "orders.retries",
            "Show what EXPERIMENT has retried without asking, or declare it with FILE",
            needs_server=True,
        ),
        "launch": Listed(
            "orders.launch",
            "Launch the workflow in FILE (TOML), and watch it until it is complete or stopped",
            needs_server=True,
        ),
        "agent": Listed(
            "orders.agent",
            "Submit the jobs that are ordered for an experiment, and report what became of them",
            needs_server=True,
        ),
        "catalog": Listed("catalogs.differences", "Compare tasks with SAM or MetaCat"),
        "arrivals": Listed(
            "catalogs.arrivals",
            "Count what jobs of tasks wrote and what of it arrived, and list what is late",
            needs_server=True,
        ),
        "gaps": Listed("lookup.jobs", "Count the gaps of jobs by code, with how to close them"),
    },
    "Run jobs again": {
        "bundle": Listed(
            "bundles.bundles", "Write the rerun bundle of the job with this id, or of many jobs"
        ),
        "rerun": Listed(
            "bundles.bundles", "Run a job again from its bundle, in an empty folder, and compare"
        ),
        "verify": Listed(
            "bundles.bundles",
            "Compare the rerun in FOLDER with the outputs that the bundle TAR lists, by its own verify.sh",
        ),
        "comparators": Listed(
            "bundles.comparators", "Declare and show how outputs of reruns are compared"
        ),
        "prove": Listed(
            "reruns.proofs",
            "Rerun recipes that are not proven, within hours of their first job",
            needs_server=True,
        ),
        "proofs": Listed(
            "reruns.proof_list",
            "List how campaigns stand, and the recipes that did not pass, with what would accept them",
        ),
        "drill": Listed(
            "reruns.drills",
            "Run jobs again from their bundles, compare, and record the verdicts",
            needs_server=True,
        ),
        "capsule": Listed(
            "reruns.capsules",
            "Keep the environments of releases, and register them, so that bundles name them",
            needs_server=True,
        ),
        "attest": Listed("bundles.attestations", "Attest that the bundle TAR is what was recorded"),
        "export": Listed(
            "bundles.bundles",
            "Print the job as PROV, OpenLineage or in-toto, as its bundle holds it",
        ),
    },
    "Record": {
        "register": Listed(
            "recording.tickets",
            "Register a task, and print the settings with which its jobs report",
        ),
        "record": Listed(
            "recording.jobs",
            "Send records, each a JSON file; or a spool folder of the hook, with its blobs",
        ),
        "witness": Listed(
            "orders.witness",
            "Report what the batch system saw of jobs, including killed and lost ones that never reported",
        ),
        "sidecar": Listed("catalogs.sidecars", "Look after the `<output>.json` beside each output"),
    },
    "Operate the service": {
        "serve": Listed(
            "service.serving",
            "Serve the pages and the HTTP interface until told to stop",
            needs_server=True,
        ),
        "demo": Listed(
            "service.demo",
            "Run a real small production under the hook, recorded by a service that runs on this machine",
            needs_server=True,
        ),
        "work": Listed(
            "service.work",
            "Do the background work that is due, then list what could not be done and why",
            needs_server=True,
        ),
        "token": Listed(
            "recording.tokens", "Make, list, replace and revoke write tokens", needs_server=True
        ),
        "experiment": Listed(
            "recording.experiments",
            "Make experiments private or open, and show who may read them",
            needs_server=True,
        ),
        "repository": Listed(
            "code.repositories",
            "Register, list and fetch the repositories that records may name",
            needs_server=True,
        ),
        "product": Listed(
            "code.products",
            "Map an installed product (UPS, Spack) to the repository that it is built from",
            needs_server=True,
        ),
        "archive": Listed(
            "upkeep.archive", "Check, count and seal what the archive holds", needs_server=True
        ),
        "backup": Listed(
            "upkeep.backups",
            "Copy database and archive into FOLDER while the service runs",
            needs_server=True,
        ),
        "tables": Listed(
            "analysis.tables",
            "Write tables for analysis as Parquet files, and ask them in SQL",
        ),
        "dead-letter": Listed(
            "recording.dead_letters",
            "List, show, replay and remove records that could not be decoded",
            needs_server=True,
        ),
        "erase": Listed(
            "upkeep.erasures",
            "Erase a record or a blob that should not have been sent",
            needs_server=True,
        ),
        "alerts": Listed(
            "alerts.alerts",
            "Check rules of alerts, send what is due, list alerts, and test receivers",
            needs_server=True,
        ),
        "trail": Listed(
            "upkeep.trail",
            "Show what was done in an experiment, newest first: by whom, through what and from where",
            needs_server=True,
        ),
        "migrate": Listed(
            "service.serving", "Bring the database's schema up to date", needs_server=True
        ),
        "rebuild-database": Listed(
            "upkeep.database_rebuild",
            "Fill an empty database from the archive: jobs, files, tasks and all else in the ledger",
            needs_server=True,
        ),
    },
    "Read the manual": {
        "man": Listed(
            "terminal.man",
            "Print the manual page of COMMAND, or write the pages of all commands into a folder",
        ),
    },
}
"""Commands by what they are for."""

SERVER_PACKAGES = frozenset(
    {
        "ahocorasick_rs",
        "alembic",
        "flask",
        "flask_smorest",
        "git",
        "gunicorn",
        "jinja2",
        "markdown_it",
        "marshmallow",
        "prometheus_client",
        "sqlalchemy",
        "werkzeug",
        "zstandard",
    }
)
"""What the extra `server` installs, by import name.

Commands that only ask a service do without it.
"""

COMMANDS = {name: listed for commands in SECTIONS.values() for name, listed in commands.items()}
_NEEDS_SERVER = "Needs the server's packages: pip install 'jobprov[server]'"


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
            module = importlib.import_module(f"jobprov.app.commands.{COMMANDS[cmd_name].module}")
        except ModuleNotFoundError as problem:
            if problem.name in SERVER_PACKAGES:
                return _needs_server(cmd_name, problem.name)
            raise
        command: click.Command = module.COMMANDS[cmd_name]
        add_examples(command, cmd_name, getattr(module, "EXAMPLES", {}))
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Return what the command returns.

        Raises:
            UnreachableError: the command came without the server's packages so far, and needs
                one for what it was told to do, as `jobprov tables export` does.
        """
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as problem:
            if problem.name not in SERVER_PACKAGES:
                raise
            raise _without_package(ctx.invoked_subcommand, problem.name) from None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list["CompletionItem"]:
        """Return what a shell offers after `jobprov`; no command is imported for it."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415 - for this alone

        items = []
        for name, listed in COMMANDS.items():
            if name.startswith(incomplete) and _is_there(name):
                items.append(CompletionItem(name, help=listed.sentence))
        return items or super().shell_complete(ctx, incomplete)

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

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        formatter: click.HelpFormatter,
    ) -> None:
        """Write the commands by section, each with what it does; none of them is imported."""
        widest = max(map(len, COMMANDS))
        has_server = all(importlib.util.find_spec(package) for package in SERVER_PACKAGES)
        for title, commands in SECTIONS.items():
            rows = []
            for name, listed in commands.items():
                sentence = listed.sentence
                if listed.needs_server and not has_server:
                    sentence = _NEEDS_SERVER
                if _is_there(name):
                    rows.append((name.ljust(widest), sentence))
            with formatter.section(title):
                formatter.write_dl(rows)


def _needs_server(name: str, package: str) -> click.Command:
    """Return a command in place of one whose packages are not installed."""

    def refuse() -> None:
        raise _without_package(name, package)

    # The words that the real command takes are not known here
    context = {"ignore_unknown_options": True, "allow_extra_args": True}
    return click.Command(name, callback=refuse, help=f"{_NEEDS_SERVER}.", context_settings=context)


def _without_package(name: str | None, package: str) -> UnreachableError:
    """Return the error of a command that one of the server's packages is missing for."""
    return UnreachableError(
        f"`jobprov {name}` works on a service's own database and archive, and the package "
        f"{package} is not installed. Type:  pip install 'jobprov[server]'"
    )


def _is_there(name: str) -> bool:
    return (
        name in COMMANDS
        and importlib.util.find_spec(f"jobprov.app.commands.{COMMANDS[name].module}") is not None
    )


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="jobprov")
def jobprov() -> None:
    """Keep the provenance of batch jobs, and rerun any of them."""


def main() -> None:
    """Run the command line; never returns."""
    # What a start loads stays: to look for garbage among it is a quarter of the time of a start
    gc.set_threshold(50_000, 20, 50)
    name_standard_output()
    try:
        code = jobprov.main(standalone_mode=False)
        sys.stdout.flush()
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as problem:
        problem.show()
        sys.exit(problem.exit_code)
    except Exception as problem:
        code = exit_code(problem)
        if code is None:
            raise
        click.echo(sentence(problem), err=True)
    sys.exit(code if isinstance(code, int) else 0)


def exit_code(problem: Exception) -> int | None:
    """Return the exit code that an error means; None for a mistake of ours."""
    if isinstance(problem, UnreachableError | OSError) or type(problem).__name__ in (
        "DatabaseError",
        "OperationalError",
        "ArchiveUnreachableError",
    ):
        return 3
    if isinstance(problem, UnicodeEncodeError):
        return 2
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
    if type(problem).__name__ == "DatabaseError":
        # As of a file that is no database; SQLAlchemy's text has statements and links as well
        reason = getattr(problem, "orig", problem)
        text = f"jobprov: The database cannot be read: {reason}. Is this the service's folder?"
    if type(problem).__name__ == "OperationalError":
        # Only where it was raised is its package there
        from jobprov.provenance.db.connections.engines import unanswered  # noqa: PLC0415

        text = f"jobprov: {unanswered(cast('OperationalError', problem))}"
    if isinstance(problem, UnicodeEncodeError):
        # What is written in UTF-8 came from the command line, where Linux takes any bytes
        word = ascii(problem.object[max(0, problem.start - 20) : problem.end + 20])
        text = f"jobprov: What was typed is not UTF-8 near {word}; type it anew."
    if isinstance(problem, OSError) and problem.filename and problem.strerror:
        text = f"jobprov: {problem.filename}: {problem.strerror}."
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
