"""Whose records the entries of the ledger are, beside the entries themselves.

A table of its own took 124 bytes a job.
"""

import sqlalchemy as sa
from alembic import op

revision = '0022'
down_revision = '0021'
branch_labels = None
depends_on = None

_OF_JOB = sa.text('job_id IS NOT NULL')
_FOLD = """
UPDATE ledger_entries SET job_id = w.job_id, witness = w.witness, revision = w.revision
FROM witness_records AS w WHERE w.entry_id = ledger_entries.id
"""
_UNFOLD = """
INSERT INTO witness_records (job_id, witness, revision, entry_id)
SELECT job_id, witness, revision, id FROM ledger_entries WHERE job_id IS NOT NULL ORDER BY job_id, witness, revision
"""


def upgrade() -> None:
    """Go to this revision. On PostgreSQL the rows of entries are written anew, once.

    Their room serves the entries that come.
    """
    # added at the end, without writing the table anew: there may be millions of rows
    op.add_column('ledger_entries', sa.Column('job_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
    op.add_column('ledger_entries', sa.Column('revision', sa.SmallInteger(), nullable=True))
    op.add_column('ledger_entries', sa.Column('witness', sa.String(length=1000), nullable=True))
    # before: it would be written anew, too
    op.drop_index('ix_ledger_entries_place', table_name='ledger_entries')
    op.execute(_FOLD)
    op.create_index('ix_ledger_entries_experiment_id_segment', 'ledger_entries', ['experiment_id', 'segment'], unique=False)
    op.create_index(
        'ix_ledger_entries_job_id', 'ledger_entries', ['job_id'], unique=False, sqlite_where=_OF_JOB, postgresql_where=_OF_JOB
    )
    op.drop_index('ix_witness_records_entry_id', table_name='witness_records')
    op.drop_table('witness_records')


def downgrade() -> None:
    """Go back to the one before."""
    op.create_table(
        'witness_records',
        sa.Column('job_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column('witness', sa.String(length=1000), nullable=False),
        sa.Column('revision', sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column('entry_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(['entry_id'], ['ledger_entries.id'], name=op.f('fk_witness_records_entry_id_ledger_entries')),
        sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_witness_records_job_id_jobs')),
        sa.PrimaryKeyConstraint('job_id', 'witness', 'revision', name=op.f('pk_witness_records')),
        sqlite_with_rowid=False,
    )
    op.execute(_UNFOLD)
    op.create_index('ix_witness_records_entry_id', 'witness_records', ['entry_id'], unique=False)
    op.drop_index('ix_ledger_entries_job_id', table_name='ledger_entries', sqlite_where=_OF_JOB, postgresql_where=_OF_JOB)
    op.drop_index('ix_ledger_entries_experiment_id_segment', table_name='ledger_entries')
    op.create_index('ix_ledger_entries_place', 'ledger_entries', ['experiment_id', 'segment', 'position'], unique=False)
    op.drop_column('ledger_entries', 'witness')
    op.drop_column('ledger_entries', 'revision')
    op.drop_column('ledger_entries', 'job_id')
