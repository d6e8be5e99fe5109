"""Folded graphs are kept among the other answers; attempts of a node are found by what they know.

Graphs of campaigns are counted anew.
"""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    op.drop_table('folded_graphs')
    # Work that this version does not know
    op.execute("DELETE FROM work WHERE kind = 'fold'")
    op.drop_index('ix_node_attempts_node', 'node_attempts')
    columns = ['node', 'knows_unit', 'unit']
    op.create_index('ix_node_attempts_node', 'node_attempts', columns, unique=False)


def downgrade() -> None:
    """Go back to the one before."""
    op.drop_index('ix_node_attempts_node', 'node_attempts')
    op.create_index('ix_node_attempts_node', 'node_attempts', ['node'], unique=False)
    [key] = [
        column['type']
        for column in sa.inspect(op.get_bind()).get_columns('experiments')
        if column['name'] == 'id'
    ]
    # An operator of PostgreSQL may have widened the keys
    type_of_keys = sa.BigInteger() if isinstance(key, sa.BigInteger) else sa.Integer()
    op.create_table(
        'folded_graphs',
        sa.Column('experiment_id', type_of_keys, autoincrement=False, nullable=False),
        sa.Column(
            'campaign',
            sa.Text().with_variant(sa.Text(collation='C'), 'postgresql'),
            nullable=False,
        ),
        sa.Column('entry_id', type_of_keys, nullable=False),
        sa.Column(
            'counted_at', sa.DateTime(timezone=True).with_variant(sa.BigInteger(), 'sqlite'), nullable=False
        ),
        sa.Column('seconds', sa.Float(), nullable=False),
        sa.Column('document', sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ['experiment_id'], ['experiments.id'], name=op.f('fk_folded_graphs_experiment_id_experiments')
        ),
        sa.PrimaryKeyConstraint('experiment_id', 'campaign', name=op.f('pk_folded_graphs')),
        sqlite_with_rowid=False,
    )
