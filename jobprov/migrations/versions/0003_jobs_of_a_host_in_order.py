"""Jobs of a host in the order of their keys: the newest are read without a look at the others."""

from alembic import op

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    # Made first: PostgreSQL lets others read meanwhile, and does not while an index is dropped
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_jobs_host_id_id_experiment_id_state'), ['host_id', 'id', 'experiment_id', 'state'], unique=False)
        batch_op.drop_index(batch_op.f('ix_jobs_host_id_experiment_id_state'))


def downgrade() -> None:
    """Go back to the one before."""
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_jobs_host_id_experiment_id_state'), ['host_id', 'experiment_id', 'state'], unique=False)
        batch_op.drop_index(batch_op.f('ix_jobs_host_id_id_experiment_id_state'))
