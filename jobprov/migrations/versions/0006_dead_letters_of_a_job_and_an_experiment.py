"""Dead letters of a job, and of an experiment, by indexes."""

from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_index(op.f('ix_dead_letters_job_id'), 'dead_letters', ['job_id'], unique=False)
    op.create_index(
        op.f('ix_dead_letters_experiment_id_received_at'),
        'dead_letters',
        ['experiment_id', 'received_at'],
        unique=False,
    )


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_index(op.f('ix_dead_letters_experiment_id_received_at'), table_name='dead_letters')
    op.drop_index(op.f('ix_dead_letters_job_id'), table_name='dead_letters')
