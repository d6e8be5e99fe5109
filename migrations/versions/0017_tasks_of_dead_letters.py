"""The task of whose upload ticket a dead letter came with."""

import sqlalchemy as sa
from alembic import op

revision = '0017'
down_revision = '0016'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision. Of letters that are there it is not known whether they came with a ticket."""
    op.add_column('dead_letters', sa.Column('task_id', sa.Text(), nullable=True))


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_column('dead_letters', 'task_id')
