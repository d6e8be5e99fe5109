"""Names that files got later, by an index."""

import sqlalchemy as sa
from alembic import op

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_index(
        'ix_claims_alias_of',
        'claims',
        ['alias_of'],
        unique=False,
        sqlite_where=sa.text('alias_of IS NOT NULL'),
        postgresql_where=sa.text('alias_of IS NOT NULL'),
    )


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_index('ix_claims_alias_of', table_name='claims')
