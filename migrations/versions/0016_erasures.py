"""Erasures: entries and bytes that were erased on purpose."""

import sqlalchemy as sa
from alembic import op

revision = '0016'
down_revision = '0015'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.create_table('erased_entries',
    sa.Column('entry_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('erasure_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.ForeignKeyConstraint(['entry_id'], ['ledger_entries.id'], name=op.f('fk_erased_entries_entry_id_ledger_entries')),
    sa.ForeignKeyConstraint(['erasure_id'], ['ledger_entries.id'], name=op.f('fk_erased_entries_erasure_id_ledger_entries')),
    sa.PrimaryKeyConstraint('entry_id', name=op.f('pk_erased_entries'))
    )
    op.create_table('erased_bytes',
    sa.Column('experiment_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('sha256', sa.LargeBinary(32), nullable=False),
    sa.Column('erasure_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.ForeignKeyConstraint(['erasure_id'], ['ledger_entries.id'], name=op.f('fk_erased_bytes_erasure_id_ledger_entries')),
    sa.ForeignKeyConstraint(['experiment_id'], ['experiments.id'], name=op.f('fk_erased_bytes_experiment_id_experiments')),
    sa.PrimaryKeyConstraint('experiment_id', 'sha256', name=op.f('pk_erased_bytes')),
    sqlite_with_rowid=False
    )
    with op.batch_alter_table('entry_bodies', schema=None) as batch_op:
        batch_op.add_column(sa.Column('leaf', sa.LargeBinary(32), nullable=True))


def downgrade() -> None:
    """Go back to the one before."""
    with op.batch_alter_table('entry_bodies', schema=None) as batch_op:
        batch_op.drop_column('leaf')
    op.drop_table('erased_bytes')
    op.drop_table('erased_entries')
