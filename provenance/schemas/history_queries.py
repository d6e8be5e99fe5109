"""Questions to whole histories in addresses: their parameters, checked."""

from marshmallow import fields, validate

from provenance.schemas.queries import (
    _AS_OF,
    _LONGEST,
    ExperimentQuery,
    FileQuery,
    VersionQuery,
    _moment,
    _number,
    _text,
)

_PAGE = "How many at most; 100 by default."
_CURSOR = "`next` of the answer before."


def _name(words: str) -> fields.String:
    return fields.String(required=True, validate=validate.Length(min=1, max=_LONGEST), metadata={"description": words})


class CostQuery(VersionQuery):
    """Of which file, and when."""

    as_of = _moment(_AS_OF)


class EndsQuery(CostQuery):
    """Of which file, and how many ends."""

    limit = _number(1, 1000, _PAGE)
    cursor = _text(_CURSOR)


class OrphansQuery(FileQuery):
    """Whose files that nobody made."""

    isolated = fields.Boolean(
        load_default=False, metadata={"description": "Only those of which no file was made either."}
    )
    unread = fields.Boolean(load_default=False, metadata={"description": "Only those that no job read either."})
    limit = _number(1, 1000, _PAGE)
    cursor = _text(_CURSOR)


class PathsQuery(ExperimentQuery):
    """Between which files."""

    a = _name("A file; `namespace:name` where several namespaces know the name.")
    b = _name("Another file.")
    as_of = _moment(_AS_OF)
    limit = _number(1, 100, "How many paths at most; 10 by default.")


class CommonQuery(ExperimentQuery):
    """Of which files."""

    a = _name("A file; `namespace:name` where several namespaces know the name.")
    b = _name("Another file.")
    as_of = _moment(_AS_OF)
    hub = _number(1, 10**6, "A file that more jobs read is a hub; 100 by default.")
    limit = _number(1, 1000, _PAGE)
    cursor = _text(_CURSOR)
