"""Values of parameters, each once.

The index of parameters is derived: it is emptied, and every configuration that was evaluated is put
to the work that evaluates it again. Until that is done, searches by parameter find less; problems
and differences that were found stay.
"""

import sqlalchemy as sa
from alembic import op

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None

_AGAIN = {
    "sqlite": ("lower(hex(c.sha256))", "CAST(strftime('%s', 'now') AS INTEGER) * 1000000"),
    "postgresql": ("encode(c.sha256, 'hex')", "now()"),
}


def upgrade() -> None:
    """Go to this revision."""
    _empty()
    op.create_table('parameter_values',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('key_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('canonical', sa.Text(), nullable=False),
    sa.Column('number', sa.Float(), nullable=True),
    sa.ForeignKeyConstraint(['key_id'], ['parameter_keys.id'], name=op.f('fk_parameter_values_key_id_parameter_keys')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_parameter_values')),
    sa.UniqueConstraint('key_id', 'canonical', name=op.f('uq_parameter_values_key_id_canonical'))
    )
    op.create_table('parameter_set_tables',
    sa.Column('table_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('block', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('members', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['table_id'], ['parameter_tables.id'], name=op.f('fk_parameter_set_tables_table_id_parameter_tables')),
    sa.PrimaryKeyConstraint('table_id', 'block', name=op.f('pk_parameter_set_tables')),
    sqlite_with_rowid=False
    )
    op.create_table('parameters',
    sa.Column('value_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('table_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.ForeignKeyConstraint(['table_id'], ['parameter_tables.id'], name=op.f('fk_parameters_table_id_parameter_tables')),
    sa.ForeignKeyConstraint(['value_id'], ['parameter_values.id'], name=op.f('fk_parameters_value_id_parameter_values')),
    sa.PrimaryKeyConstraint('value_id', 'table_id', name=op.f('pk_parameters')),
    sqlite_with_rowid=False
    )


def downgrade() -> None:
    """Go back to the one before."""
    _empty()
    op.drop_table('parameter_values')
    op.create_table('parameter_set_tables',
    sa.Column('table_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('set_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.ForeignKeyConstraint(['set_id'], ['parameter_sets.id'], name=op.f('fk_parameter_set_tables_set_id_parameter_sets')),
    sa.ForeignKeyConstraint(['table_id'], ['parameter_tables.id'], name=op.f('fk_parameter_set_tables_table_id_parameter_tables')),
    sa.PrimaryKeyConstraint('table_id', 'set_id', name=op.f('pk_parameter_set_tables')),
    sqlite_with_rowid=False
    )
    op.create_table('parameters',
    sa.Column('key_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('table_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('number', sa.Float(), nullable=True),
    sa.Column('canonical', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['key_id'], ['parameter_keys.id'], name=op.f('fk_parameters_key_id_parameter_keys')),
    sa.ForeignKeyConstraint(['table_id'], ['parameter_tables.id'], name=op.f('fk_parameters_table_id_parameter_tables')),
    sa.PrimaryKeyConstraint('key_id', 'table_id', name=op.f('pk_parameters')),
    sqlite_with_rowid=False
    )


def _empty() -> None:
    """Drop what tells tables of sets and values of tables, empty the rest of the index, and have it made again."""
    sha256, now = _AGAIN[op.get_bind().dialect.name]
    op.execute(
        "INSERT INTO work (kind, key, due_at, attempts)"
        f" SELECT 'evaluate', CAST(e.experiment_id AS TEXT) || ':' || {sha256}, {now}, 0"
        " FROM evaluations e JOIN closures c ON c.id = e.closure_id WHERE e.set_id IS NOT NULL"
        " ON CONFLICT (kind, key) DO NOTHING"
    )
    op.execute("UPDATE evaluations SET set_id = NULL")
    op.drop_table('parameters')
    op.drop_table('parameter_set_tables')
    for table in ('parameter_values', 'parameter_tables', 'parameter_keys', 'parameter_sets'):
        if sa.inspect(op.get_bind()).has_table(table):
            op.execute(f"DELETE FROM {table}")
