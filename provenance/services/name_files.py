"""Which file is meant by filters of jobs: they name one as every other question does."""

from sqlalchemy import Connection

from provenance.db.queries.files import find_files
from provenance.db.queries.jobs import JobFilters
from provenance.errors import BadInputError
from provenance.services.show_file import find_file

_ALONE = "says of which file; name that too"


def name_file(connection: Connection, filters: JobFilters) -> JobFilters:
    """Return filters in which the file that they name is replaced by its key; others as they are.

    It is the file of the jobs' experiment where that has one of this name, unless `file_experiment` says otherwise.

    Raises:
        NotFoundError, AmbiguousError: see `find_file`.
        BadInputError: an experiment or namespace of a file, and no file.
    """
    if filters.file is None:
        where = {"file_experiment": filters.file_experiment, "namespace": filters.namespace}
        if alone := [name for name, value in where.items() if value is not None]:
            raise BadInputError(f"{alone[0]}: {_ALONE}.", {name: [_ALONE] for name in alone})
        return filters
    experiment = filters.file_experiment
    if experiment is None and filters.experiment is not None:
        here = find_files(connection, filters.file, experiment=filters.experiment, namespace=filters.namespace)
        experiment = filters.experiment if here else None
    file = find_file(connection, filters.file, experiment=experiment, namespace=filters.namespace, of="file")
    return filters._replace(file=None, file_experiment=None, namespace=None, file_key=file.id)
