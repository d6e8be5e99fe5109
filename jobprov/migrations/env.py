"""Run by Alembic for each command.

`provenance/db/upkeep/migrating.py` gives it an open connection in a transaction.

There is no ini file and no offline mode: the address of the database comes from the settings, and
its passwords are not written.
"""

from alembic import context

from jobprov.migrations.rendering import render_item
from jobprov.provenance.db.tables import Base
from jobprov.provenance.db.tables.name_index import is_of_name_index

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=connection.dialect.name == "sqlite",  # SQLite alters a table by writing it anew
    render_item=render_item,
    include_name=lambda name, _kind, _parents: not is_of_name_index(name),
    transaction_per_migration=False,  # all or nothing: the caller commits
)
context.run_migrations()
