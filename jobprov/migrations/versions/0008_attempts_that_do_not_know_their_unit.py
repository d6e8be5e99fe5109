"""Attempts of DAG nodes and batch jobs, which have one unit."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table(
        'node_attempts',
        sa.Column('node', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
        sa.Column('job_id', _type_of_keys(), autoincrement=False, nullable=False),
        sa.Column('knows_unit', sa.Boolean(), nullable=False),
        sa.Column('unit', sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_node_attempts_job_id_jobs')),
        sa.PrimaryKeyConstraint('job_id', name=op.f('pk_node_attempts')),
        sqlite_with_rowid=False,
    )
    op.create_index('ix_node_attempts_node', 'node_attempts', ['node'], unique=False)


def _type_of_keys() -> TypeEngine[int]:
    """Return the type of keys, which an operator of PostgreSQL may have widened."""
    columns = sa.inspect(op.get_bind()).get_columns('experiments')
    [own_type] = [column['type'] for column in columns if column['name'] == 'id']
    return sa.BigInteger() if isinstance(own_type, sa.BigInteger) else sa.Integer()


def downgrade() -> None:
    """Go back to the one before."""
    # To the version before, each job has the unit that its own record names
    op.execute(
        'UPDATE jobs SET unit = (SELECT a.unit FROM node_attempts a WHERE a.job_id = jobs.id) '
        'WHERE id IN (SELECT job_id FROM node_attempts WHERE NOT knows_unit)'
    )
    # And has to be derived again, should somebody come back to this one
    op.execute('UPDATE jobs SET index_version = 1 WHERE id IN (SELECT job_id FROM node_attempts)')
    op.execute("UPDATE derivations SET version = 1 WHERE what = 'jobs' AND version > 1")
    op.drop_table('node_attempts')
