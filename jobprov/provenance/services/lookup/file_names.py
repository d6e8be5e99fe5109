"""Finds the file that filters of jobs name, by the rules of every other question."""

from sqlalchemy import Connection

from jobprov.provenance.db.queries.lookup.files.by_name import find_files
from jobprov.provenance.db.queries.lookup.lists.job_filters import JobFilters
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.lookup.file import find_file

_WITHOUT_FILE = "says of which file; name that too"


def name_file(connection: Connection, filters: JobFilters) -> JobFilters:
    """Return filters in which the files that they name are replaced by their keys.

    Without `file_experiment`, a file of the jobs' own experiment goes first.

    Raises:
        NotFoundError, AmbiguousError: see `find_file`.
        BadInputError: an experiment or namespace of a file, and no file.
    """
    if filters.file is None and filters.reads is None:
        _check_alone(filters)
        return filters
    return filters._replace(
        file=None,
        reads=None,
        file_experiment=None,
        namespace=None,
        file_key=_key_of(connection, filters, filters.file, "file"),
        reads_key=_key_of(connection, filters, filters.reads, "reads"),
    )


def _check_alone(filters: JobFilters) -> None:
    """Refuse the namespace or experiment of a file where no filter names the file."""
    of_file = {"file_experiment": filters.file_experiment, "namespace": filters.namespace}
    given = [name for name, value in of_file.items() if value is not None]
    if given:
        problems = {name: [_WITHOUT_FILE] for name in given}
        raise BadInputError(f"{given[0]}: {_WITHOUT_FILE}.", problems)


def _key_of(
    connection: Connection, filters: JobFilters, name: str | None, parameter: str
) -> int | None:
    """Return the key of the file that a parameter names; None where it names none."""
    if name is None:
        return None
    experiment, namespace = filters.file_experiment, filters.namespace
    if experiment is None and filters.experiment is not None:
        # jobs may read files of other experiments, but their own goes first
        own = find_files(connection, name, experiment=filters.experiment, namespace=namespace)
        experiment = filters.experiment if own else None
    file = find_file(connection, name, experiment=experiment, namespace=namespace, of=parameter)
    return file.id
