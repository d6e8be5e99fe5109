"""Files that a catalog retired, and which known ones are looked at again next."""

import sqlalchemy as sa
from alembic import op

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    # Not as a batch, which copies the table on SQLite: all rows get 0 without being written
    op.add_column('catalog_outputs', sa.Column('presence', sa.SmallInteger(), server_default=sa.text('0'), nullable=False))
    op.create_index(
        op.f('ix_catalog_outputs_gone'), 'catalog_outputs', ['task_id'], unique=False,
        sqlite_where=sa.text('presence = 2'), postgresql_where=sa.text('presence = 2'),
    )
    op.add_column('catalog_syncs', sa.Column('checked_unit', sa.Text().with_variant(sa.Text(collation='C'), 'postgresql'), nullable=True))
    op.add_column('catalog_syncs', sa.Column('checked_file', sa.BigInteger(), nullable=True))


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_column('catalog_syncs', 'checked_file')
    op.drop_column('catalog_syncs', 'checked_unit')
    # What was retired is no output to the version before
    op.execute('DELETE FROM catalog_outputs WHERE presence <> 0')
    op.drop_index(op.f('ix_catalog_outputs_gone'), table_name='catalog_outputs')
    op.drop_column('catalog_outputs', 'presence')
