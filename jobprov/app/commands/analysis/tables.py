"""`jobprov tables export|query`: Parquet files for analysis, and DuckDB on them."""

import csv
import importlib.util
import sys
from itertools import islice
from typing import TYPE_CHECKING

import click

from jobprov.app.commands.terminal.groups import Group
from jobprov.app.commands.terminal.opening import (
    data_option,
    emit,
    json_option,
    opened_service,
    option_with_default,
    settings_with,
)
from jobprov.app.commands.terminal.tables import cell_table
from jobprov.provenance.errors import UnreachableError
from jobprov.provenance.lineage.words import counted, number, size

if TYPE_CHECKING:
    from jobprov.provenance.services.analysis.export import Report

_MEGABYTE = 1_000_000


@click.group(cls=Group)
def tables() -> None:
    """Write tables for analysis as Parquet files, and ask them in SQL."""


@tables.command()
@click.option(
    "--to",
    "address",
    required=True,
    metavar="FOLDER|s3://BUCKET/PREFIX",
    help="Where the tables are, or will be.",
)
@click.option(
    "--experiment",
    "experiments",
    multiple=True,
    help="Only this experiment, even if private; may be repeated. By default all but private ones.",
)
@click.option(
    "--parameter",
    "parameters",
    multiple=True,
    metavar="NAME",
    help="A FHiCL parameter for the table of parameters, * for any characters; may be repeated.",
)
@data_option
@json_option
def export(
    *,
    address: str,
    experiments: tuple[str, ...],
    parameters: tuple[str, ...],
    data: str | None,
    as_json: bool,
) -> None:
    """Make a folder or bucket hold what is recorded, as tables for analysis.

    The first export writes everything, later ones the months in which something changed. Files get
    their names when all are written. What was erased, or is no longer selected, goes. Exit code 1
    where the folder is another's, or another export is at work.
    """
    _need("pyarrow")
    # pyarrow, an extra
    from jobprov.provenance.services.analysis.export import (  # noqa: PLC0415
        Selection,
        export_tables,
    )
    from jobprov.provenance.services.analysis.folders import open_folder  # noqa: PLC0415

    folder = open_folder(address)
    with opened_service(settings_with(data=data)) as service:
        selection = Selection(experiments, service.private_experiments(), parameters)
        report = export_tables(service.database.reading, service.store, folder, selection)
    emit(report._asdict(), _export_text(report, folder.where), as_json=as_json)


def _export_text(report: "Report", where: str) -> str:
    months = counted(len(report.written), "part")
    text = (
        f"{months} written, {number(report.unchanged)} unchanged, {len(report.removed)} removed. "
        f"{where} has {counted(report.rows['jobs'], 'job')}, "
        f"{counted(report.rows['files'], 'file')} and {counted(report.rows['edges'], 'edge')} in "
        f"{size(report.size_bytes)}."
    )
    if report.left_out:
        text += (
            f"\nLeft out, since they are private: {', '.join(report.left_out)}. "
            "To export one, name it by --experiment."
        )
    return text


@tables.command()
@click.argument("sql")
@click.option(
    "--from",
    "address",
    required=True,
    metavar="FOLDER|s3://BUCKET/PREFIX",
    help="Where `jobprov tables export` wrote them.",
)
@option_with_default("--limit", click.IntRange(1), 1000, "How many rows at most.")
@option_with_default(
    "--memory", click.IntRange(64), 1000, "How many MB DuckDB may take.", to="memory_mb"
)
@click.option("--csv", "as_csv", is_flag=True, help="Print the rows as CSV.")
@json_option
def query(
    *, sql: str, address: str, limit: int, memory_mb: int, as_csv: bool, as_json: bool
) -> None:
    """Answer SQL by DuckDB: one SELECT over jobs, steps, files, edges, configurations, modules,
    failures and parameters.

    The columns are described in docs/reference/tables.md.
    """  # noqa: D205 - the first sentence names the tables
    _need("duckdb", "pyarrow")
    from jobprov.provenance.services.analysis.questions import ask_tables  # noqa: PLC0415

    answer = ask_tables(address, sql, memory_bytes=memory_mb * _MEGABYTE)
    rows = list(islice(answer.rows, limit))
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows(rows)
    else:
        documents = [dict(zip(answer.columns, row, strict=True)) for row in rows]
        emit({"rows": documents}, cell_table(answer.columns, rows), as_json=as_json)
    if next(answer.rows, None) is not None:
        click.echo(f"There are more than {number(limit)} rows; take more by --limit.", err=True)


def _need(*packages: str) -> None:
    """Check that packages of the extra `tables` are installed.

    Raises:
        UnreachableError: one is not.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise UnreachableError(
                f"Tables need the package {package}, which is not installed: "
                "pip install 'jobprov[tables]'."
            )


COMMANDS = {"tables": tables}
EXAMPLES = {
    "tables export": (
        "jobprov tables export --to /data/tables",
        "jobprov tables export --to s3://analysis/tables --parameter 'physics.producers.*'",
    ),
    "tables query": (
        "jobprov tables query --from /data/tables 'SELECT state, count(*) FROM jobs GROUP BY ALL'",
    ),
}
