"""Which campaign and stage the declaration of a task says, apart from what its jobs say."""

import sqlalchemy as sa
from alembic import op

revision = '0018'
down_revision = '0017'
branch_labels = None
depends_on = None

# what a declaration said itself is not in the database: a place that stands there is taken for it
_DECLARED = "UPDATE tasks SET declared_stage_id = stage_id WHERE entry_id IS NOT NULL"
# a declaration without campaign and stage kept its jobs from placing the task
_PLACED = """
UPDATE tasks SET stage_id = (
  SELECT s.id FROM jobs j JOIN stages s ON s.id = j.stage_id WHERE j.task_id = tasks.id ORDER BY s.campaign, s.name LIMIT 1
) WHERE entry_id IS NOT NULL AND stage_id IS NULL
"""


def upgrade() -> None:
    """Go to this revision."""
    with op.batch_alter_table('tasks', schema=None) as batch_op:
        batch_op.add_column(sa.Column('declared_stage_id', sa.Integer(), nullable=True))
        batch_op.create_foreign_key(batch_op.f('fk_tasks_declared_stage_id_stages'), 'stages', ['declared_stage_id'], ['id'])
    op.execute(_DECLARED)
    op.execute(_PLACED)


def downgrade() -> None:
    """Go back to the one before."""
    with op.batch_alter_table('tasks', schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f('fk_tasks_declared_stage_id_stages'), type_='foreignkey')
        batch_op.drop_column('declared_stage_id')
