"""Closures of jobs as sets: what the steps of many jobs ran is a row that they share."""

import hashlib
from itertools import groupby
from operator import itemgetter

import sqlalchemy as sa
from alembic import op

revision = '0021'
down_revision = '0020'
branch_labels = None
depends_on = None

_IN_ORDER = {
    "sqlite": "group_concat(closure_id, ' ')",  # in the order of the rows inside
    "postgresql": "string_agg(closure_id::text, ' ' ORDER BY position)",
}
# a sequence is named by the first job that ran it, so that what follows joins by integers
_ALIKE = """
CREATE TEMPORARY TABLE jobs_alike AS
SELECT job_id, min(job_id) OVER (PARTITION BY sequence) AS first_job FROM (
  SELECT job_id, {in_order} AS sequence
  FROM (SELECT job_id, position, closure_id FROM job_closures ORDER BY job_id, position) AS ordered GROUP BY job_id
) AS sequences
"""
_SEQUENCES = """
SELECT j.job_id, c.sha256 FROM job_closures j JOIN closures c ON c.id = j.closure_id
WHERE j.job_id IN (SELECT first_job FROM jobs_alike) ORDER BY j.job_id, j.position
"""
_SETS = "INSERT INTO closure_sets (sha256) SELECT sha256 FROM first_jobs ORDER BY job_id"
_MEMBERS = """
INSERT INTO closure_set_members (closure_set_id, position, closure_id)
SELECT s.id, c.position, c.closure_id
FROM first_jobs f JOIN closure_sets s ON s.sha256 = f.sha256 JOIN job_closures c ON c.job_id = f.job_id
ORDER BY s.id, c.position
"""
_SETS_OF_JOBS = """
CREATE TEMPORARY TABLE sets_of_jobs AS SELECT a.job_id, s.id AS closure_set_id
FROM jobs_alike a JOIN first_jobs f ON f.job_id = a.first_job JOIN closure_sets s ON s.sha256 = f.sha256
"""
_TOLD = {
    "sqlite": (
        "UPDATE jobs SET closure_set_id = s.closure_set_id FROM sets_of_jobs s WHERE s.job_id = jobs.id",
    ),
    # an update would leave each row and its index entries twice; to change the type writes the
    # table anew
    "postgresql": (
        "CREATE UNIQUE INDEX sets_of_jobs_job_id ON sets_of_jobs (job_id)",
        "ANALYZE sets_of_jobs",
        "CREATE FUNCTION pg_temp.set_of_job(bigint) RETURNS integer LANGUAGE sql STABLE"
        " AS 'SELECT closure_set_id FROM pg_temp.sets_of_jobs WHERE job_id = $1'",
        "ALTER TABLE jobs ALTER COLUMN closure_set_id TYPE integer USING pg_temp.set_of_job(id)",
        "DROP FUNCTION pg_temp.set_of_job(bigint)",
    ),
}
_BACK = """
INSERT INTO job_closures (job_id, position, closure_id)
SELECT j.id, m.position, m.closure_id FROM jobs j JOIN closure_set_members m ON m.closure_set_id = j.closure_set_id
ORDER BY j.id, m.position
"""


def upgrade() -> None:
    """Go to this revision."""
    op.create_table('closure_sets',
    sa.Column('id', sa.Integer(), nullable=False),
    sa.Column('sha256', sa.LargeBinary(32), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_closure_sets')),
    sa.UniqueConstraint('sha256', name=op.f('uq_closure_sets_sha256'))
    )
    op.create_table('closure_set_members',
    sa.Column('closure_set_id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('position', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('closure_id', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['closure_id'], ['closures.id'], name=op.f('fk_closure_set_members_closure_id_closures')),
    sa.ForeignKeyConstraint(['closure_set_id'], ['closure_sets.id'], name=op.f('fk_closure_set_members_closure_set_id_closure_sets')),
    sa.PrimaryKeyConstraint('closure_set_id', 'position', name=op.f('pk_closure_set_members')),
    sqlite_with_rowid=False
    )
    with op.batch_alter_table('closure_set_members', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_closure_set_members_closure_id'), ['closure_id'], unique=False)

    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.add_column(sa.Column('closure_set_id', sa.Integer(), nullable=True))
    _make_sets()
    # after the rows: checked at once and built at once; SQLite, which writes the table anew, puts
    # the column before what is long
    with op.batch_alter_table('jobs', schema=None, partial_reordering=[('software_set_id', 'closure_set_id')]) as batch_op:
        batch_op.create_foreign_key(batch_op.f('fk_jobs_closure_set_id_closure_sets'), 'closure_sets', ['closure_set_id'], ['id'])
        batch_op.create_index('ix_jobs_closure_set_id', ['closure_set_id'], unique=False)
    op.drop_table('job_closures')


def downgrade() -> None:
    """Go back to the one before."""
    op.create_table('job_closures',
    sa.Column('job_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('position', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('closure_id', sa.Integer(), nullable=False),
    sa.ForeignKeyConstraint(['closure_id'], ['closures.id'], name=op.f('fk_job_closures_closure_id_closures')),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_job_closures_job_id_jobs')),
    sa.PrimaryKeyConstraint('job_id', 'position', name=op.f('pk_job_closures')),
    sqlite_with_rowid=False
    )
    op.execute(_BACK)
    with op.batch_alter_table('job_closures', schema=None) as batch_op:
        batch_op.create_index('ix_job_closures_closure_id', ['closure_id'], unique=False)

    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.drop_index('ix_jobs_closure_set_id')
        batch_op.drop_constraint(batch_op.f('fk_jobs_closure_set_id_closure_sets'), type_='foreignkey')
        batch_op.drop_column('closure_set_id')
    with op.batch_alter_table('closure_set_members', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_closure_set_members_closure_id'))

    op.drop_table('closure_set_members')
    op.drop_table('closure_sets')


def _make_sets() -> None:
    """Make a set of each sequence of closures, and tell the jobs that ran it.

    Only the sequences are read, of one job each.
    """
    connection = op.get_bind()
    op.execute(_ALIKE.format(in_order=_IN_ORDER[connection.dialect.name]))
    first_jobs = op.create_table('first_jobs',
    sa.Column('job_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, primary_key=True),
    sa.Column('sha256', sa.LargeBinary(32), nullable=False),
    prefixes=['TEMPORARY']
    )
    rows = groupby(connection.execute(sa.text(_SEQUENCES)), key=itemgetter(0))
    op.bulk_insert(first_jobs, [{"job_id": job, "sha256": _digest([sha256 for _, sha256 in its])} for job, its in rows])
    for statement in (_SETS, _MEMBERS, _SETS_OF_JOBS, *_TOLD[connection.dialect.name]):
        op.execute(statement)
    for table in ('sets_of_jobs', 'first_jobs', 'jobs_alike'):
        op.drop_table(table)


def _digest(closures: list[bytes]) -> bytes:
    """Return what `recording/closure_rows.py` names a set by."""
    return hashlib.sha256(" ".join(bytes(sha256).hex() for sha256 in closures).encode()).digest()
