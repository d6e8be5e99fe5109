"""Which file is meant by filters of jobs: they name one as every other question does."""

from sqlalchemy import Connection

from jobprov.provenance.db.queries.lookup.files import find_files
from jobprov.provenance.db.queries.lookup.jobs import JobFilters
from jobprov.provenance.errors import BadInputError
from jobprov.provenance.services.lookup.file import find_file

_ALONE = "says of which file; name that too"


def name_file(connection: Connection, filters: JobFilters) -> JobFilters:
    """Return filters in which the files that they name are replaced by their keys.

    Others as they are.

    It is the file of the jobs' experiment where that has one of this name, unless `file_experiment`
    says otherwise.

    Raises:
        NotFoundError, AmbiguousError: see `find_file`.
        BadInputError: an experiment or namespace of a file, and no file.
    """
    if filters.file is None and filters.reads is None:
        where = {"file_experiment": filters.file_experiment, "namespace": filters.namespace}
        if alone := [name for name, value in where.items() if value is not None]:
            raise BadInputError(f"{alone[0]}: {_ALONE}.", {name: [_ALONE] for name in alone})
        return filters
    return filters._replace(
        file=None,
        reads=None,
        file_experiment=None,
        namespace=None,
        file_key=_key_of(connection, filters, filters.file, "file"),
        reads_key=_key_of(connection, filters, filters.reads, "reads"),
    )


def _key_of(connection: Connection, filters: JobFilters, name: str | None, of: str) -> int | None:
    if name is None:
        return None
    experiment = filters.file_experiment
    if experiment is None and filters.experiment is not None:
        here = find_files(
            connection, name, experiment=filters.experiment, namespace=filters.namespace
        )
        experiment = filters.experiment if here else None
    return find_file(connection, name, experiment=experiment, namespace=filters.namespace, of=of).id
