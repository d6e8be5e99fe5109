"""Files that never arrived in a catalog, and the jobs of a unit by an index."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.types import TypeEngine

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    key = _type_of_keys()
    op.create_table(
        'unarrived_files',
        sa.Column('task_id', key, autoincrement=False, nullable=False),
        sa.Column('job_id', key, autoincrement=False, nullable=False),
        sa.Column('file_id', key, autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(['task_id'], ['tasks.id'], name=op.f('fk_unarrived_files_task_id_tasks')),
        sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_unarrived_files_job_id_jobs')),
        sa.ForeignKeyConstraint(['file_id'], ['files.id'], name=op.f('fk_unarrived_files_file_id_files')),
        sa.PrimaryKeyConstraint('task_id', 'job_id', 'file_id', name=op.f('pk_unarrived_files')),
        sqlite_with_rowid=False,
    )
    op.create_index(op.f('ix_jobs_task_id_unit'), 'jobs', ['task_id', 'unit'], unique=False)


def _type_of_keys() -> TypeEngine[int]:
    """Return the type of keys, which an operator of PostgreSQL may have widened; see `key_widths.py`."""
    columns = sa.inspect(op.get_bind()).get_columns('experiments')
    [own_type] = [column['type'] for column in columns if column['name'] == 'id']
    return sa.BigInteger() if isinstance(own_type, sa.BigInteger) else sa.Integer()


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_index(op.f('ix_jobs_task_id_unit'), table_name='jobs')
    # To the version before, what a record names counts
    op.execute(
        'UPDATE jobs SET output_count = output_count + (SELECT COUNT(*) FROM unarrived_files u '
        'WHERE u.job_id = jobs.id AND u.task_id = jobs.task_id) '
        'WHERE id IN (SELECT job_id FROM unarrived_files)'
    )
    op.drop_table('unarrived_files')
