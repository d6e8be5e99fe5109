"""Environment variables are read from the record alone: nothing asked the tables for them."""

import sqlalchemy as sa
from alembic import op

revision = '0020'
down_revision = '0019'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f('fk_jobs_environment_base_id_environment_bases'), type_='foreignkey')
        batch_op.drop_column('environment_base_id')
        batch_op.drop_column('environment_difference')
    op.drop_table('environment_bases')


def downgrade() -> None:
    """Go back to the one before. What nobody asked for stays empty."""
    op.create_table(
        'environment_bases',
        sa.Column('id', sa.Integer(), nullable=False),
        sa.Column('stage_id', sa.Integer(), nullable=False),
        sa.Column('host_site', sa.Text(), nullable=False),
        sa.Column('variables', sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_environment_bases')),
        sa.UniqueConstraint('stage_id', 'host_site', name=op.f('uq_environment_bases_stage_id_host_site')),
    )
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.add_column(sa.Column('environment_base_id', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('environment_difference', sa.LargeBinary(), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f('fk_jobs_environment_base_id_environment_bases'), 'environment_bases', ['environment_base_id'], ['id']
        )
