"""Which version of the service derived the rows of a job, and which one all have reached."""

import sqlalchemy as sa
from alembic import op

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision. Rows that are there are of version 0.

    The service derives them again, in the background.
    """
    op.create_table(
        'derivations',
        sa.Column('what', sa.String(length=40), nullable=False),
        sa.Column('version', sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint('what', name=op.f('pk_derivations')),
    )
    # added at the end, without writing the table anew: there may be millions of rows
    op.add_column('jobs', sa.Column('index_version', sa.SmallInteger(), server_default=sa.text('0'), nullable=False))


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_column('jobs', 'index_version')
    op.drop_table('derivations')
