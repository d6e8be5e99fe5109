"""Statements that are compiled once for all databases that a process of tests opens.

SQLAlchemy keeps what it compiled with each engine. A service has its engines for weeks; a test has
new ones, and spent a third of its time on compiling what the test before had compiled.
"""

from typing import Any

from sqlalchemy import Engine, create_engine
from sqlalchemy.util import LRUCache

from jobprov.provenance.db.connections import engines, narrowed, postgresql

_MOST_STATEMENTS = 2000


class CompiledStatements:
    """What was compiled for one kind of database, whichever engine asked for it.

    SQLAlchemy's keys begin with the dialect, which each engine has one of.
    """

    def __init__(self) -> None:
        self._kept: LRUCache[Any, Any] = LRUCache(_MOST_STATEMENTS)

    def get(self, key: tuple[Any, ...]) -> Any:
        """Return a compiled statement, None for one that was not asked for before."""
        return self._kept.get(key[1:])

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        """Keep a compiled statement."""
        self._kept[key[1:]] = compiled


_BY_DIALECT = {"sqlite": CompiledStatements(), "postgresql": CompiledStatements()}


def share_compiled_statements() -> None:
    """Have all engines that are made from now on keep their statements in one place."""
    for module in (engines, narrowed, postgresql):
        module.create_engine = _create_engine  # type: ignore[attr-defined]


def _create_engine(url: Any, **settings: Any) -> Engine:
    engine = create_engine(url, **settings)
    engine.update_execution_options(compiled_cache=_BY_DIALECT[engine.dialect.name])
    return engine
