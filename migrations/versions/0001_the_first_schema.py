"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go to this revision."""

    op.create_table('closures',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('sha256', sa.LargeBinary(32), nullable=False),
    sa.Column('document', sa.LargeBinary(), nullable=False),
    sa.Column('parameter_set_id', sa.String(length=64), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_closures')),
    sa.UniqueConstraint('sha256', name=op.f('uq_closures_sha256'))
    )
    op.create_table('environment_bases',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('stage_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('host_site', sa.Text(), nullable=False),
    sa.Column('variables', sa.LargeBinary(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_environment_bases')),
    sa.UniqueConstraint('stage_id', 'host_site', name=op.f('uq_environment_bases_stage_id_host_site'))
    )
    op.create_table('experiments',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('name', sa.String(length=64), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_experiments')),
    sa.UniqueConstraint('name', name=op.f('uq_experiments_name'))
    )
    op.create_table('gap_sets',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('sha256', sa.LargeBinary(32), nullable=False),
    sa.Column('document', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_gap_sets')),
    sa.UniqueConstraint('sha256', name=op.f('uq_gap_sets_sha256'))
    )
    op.create_table('hosts',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('hostname', sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
    sa.Column('site', sa.Text(), nullable=False),
    sa.Column('facility', sa.Text(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_hosts')),
    sa.UniqueConstraint('hostname', 'site', 'facility', name=op.f('uq_hosts_hostname_site_facility'))
    )
    with op.batch_alter_table('hosts', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_hosts_site'), ['site'], unique=False)

    op.create_table('repositories',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('url', sa.Text(), nullable=False),
    sa.Column('match_key', sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
    sa.Column('is_local', sa.Boolean(), nullable=False),
    sa.Column('fetched_at', sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite"), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_repositories')),
    sa.UniqueConstraint('match_key', name=op.f('uq_repositories_match_key')),
    sa.UniqueConstraint('name', name=op.f('uq_repositories_name'))
    )
    op.create_table('software_sets',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('sha256', sa.LargeBinary(32), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_software_sets')),
    sa.UniqueConstraint('sha256', name=op.f('uq_software_sets_sha256'))
    )
    op.create_table('work',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('kind', sa.String(length=40), nullable=False),
    sa.Column('key', sa.String(length=200), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite"), nullable=False),
    sa.Column('leased_until', sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite"), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('last_error', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_work')),
    sa.UniqueConstraint('kind', 'key', name=op.f('uq_work_kind_key'))
    )
    with op.batch_alter_table('work', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_work_due_at'), ['due_at'], unique=False)

    op.create_table('chain_heads',
    sa.Column('experiment_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('segment', sa.Integer(), nullable=False),
    sa.Column('head_sha256', sa.LargeBinary(32), nullable=False),
    sa.ForeignKeyConstraint(['experiment_id'], ['experiments.id'], name=op.f('fk_chain_heads_experiment_id_experiments')),
    sa.PrimaryKeyConstraint('experiment_id', name=op.f('pk_chain_heads'))
    )
    op.create_table('closure_files',
    sa.Column('closure_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('position', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('sha256', sa.LargeBinary(32), nullable=True),
    sa.Column('name', sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
    sa.ForeignKeyConstraint(['closure_id'], ['closures.id'], name=op.f('fk_closure_files_closure_id_closures')),
    sa.PrimaryKeyConstraint('closure_id', 'position', name=op.f('pk_closure_files')),
    sqlite_with_rowid=False
    )
    with op.batch_alter_table('closure_files', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_closure_files_sha256'), ['sha256'], unique=False)

    op.create_table('dead_letters',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('experiment_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.Column('received_at', sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite"), nullable=False),
    sa.Column('job_id', sa.String(length=200), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['experiment_id'], ['experiments.id'], name=op.f('fk_dead_letters_experiment_id_experiments')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_dead_letters'))
    )
    op.create_table('files',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('experiment_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('namespace', sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
    sa.Column('name', sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
    sa.Column('is_crowded', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['experiment_id'], ['experiments.id'], name=op.f('fk_files_experiment_id_experiments')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_files')),
    sa.UniqueConstraint('name', 'namespace', 'experiment_id', name=op.f('uq_files_name_namespace_experiment_id'))
    )
    op.create_table('ledger_entries',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('experiment_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('kind', sa.String(length=20), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite"), nullable=False),
    sa.Column('submitter', sa.String(length=200), nullable=True),
    sa.Column('salt', sa.LargeBinary(length=16), nullable=True),
    sa.Column('body', sa.LargeBinary(), nullable=True),
    sa.Column('segment', sa.Integer(), nullable=True),
    sa.Column('position', sa.Integer(), nullable=True),
    sa.ForeignKeyConstraint(['experiment_id'], ['experiments.id'], name=op.f('fk_ledger_entries_experiment_id_experiments')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ledger_entries'))
    )
    with op.batch_alter_table('ledger_entries', schema=None) as batch_op:
        batch_op.create_index('ix_ledger_entries_place', ['experiment_id', 'segment', 'position'], unique=False)
        batch_op.create_index('ix_ledger_entries_unsealed', ['experiment_id', 'id'], unique=False, sqlite_where=sa.text('segment IS NULL'), postgresql_where=sa.text('segment IS NULL'))

    op.create_table('possessions',
    sa.Column('experiment_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('sha256', sa.LargeBinary(32), nullable=False),
    sa.Column('is_entered', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['experiment_id'], ['experiments.id'], name=op.f('fk_possessions_experiment_id_experiments')),
    sa.PrimaryKeyConstraint('experiment_id', 'sha256', name=op.f('pk_possessions')),
    sqlite_with_rowid=False
    )
    with op.batch_alter_table('possessions', schema=None) as batch_op:
        batch_op.create_index('ix_possessions_not_entered', ['experiment_id'], unique=False, sqlite_where=sa.text('NOT is_entered'), postgresql_where=sa.text('NOT is_entered'))

    op.create_table('stages',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('experiment_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('campaign', sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
    sa.Column('name', sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
    sa.ForeignKeyConstraint(['experiment_id'], ['experiments.id'], name=op.f('fk_stages_experiment_id_experiments')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_stages')),
    sa.UniqueConstraint('experiment_id', 'campaign', 'name', name=op.f('uq_stages_experiment_id_campaign_name'))
    )
    op.create_table('write_tokens',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('experiment_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('sha256', sa.LargeBinary(32), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite"), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite"), nullable=True),
    sa.Column('revoked_at', sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite"), nullable=True),
    sa.ForeignKeyConstraint(['experiment_id'], ['experiments.id'], name=op.f('fk_write_tokens_experiment_id_experiments')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_write_tokens')),
    sa.UniqueConstraint('sha256', name=op.f('uq_write_tokens_sha256'))
    )
    op.create_table('identities',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('file_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('key', sa.LargeBinary(length=12), nullable=False),
    sa.Column('size_bytes', sa.BigInteger(), nullable=True),
    sa.Column('checksums', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['file_id'], ['files.id'], name=op.f('fk_identities_file_id_files')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_identities')),
    sa.UniqueConstraint('key', name=op.f('uq_identities_key'))
    )
    with op.batch_alter_table('identities', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_identities_file_id'), ['file_id'], unique=False)

    op.create_table('ref_observations',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('match_key', sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
    sa.Column('ref', sa.Text(), nullable=False),
    sa.Column('oid', sa.String(length=64), nullable=False),
    sa.Column('first_seen_at', sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite"), nullable=False),
    sa.Column('entry_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.ForeignKeyConstraint(['entry_id'], ['ledger_entries.id'], name=op.f('fk_ref_observations_entry_id_ledger_entries')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_ref_observations')),
    sa.UniqueConstraint('match_key', 'ref', 'oid', name=op.f('uq_ref_observations_match_key_ref_oid'))
    )
    op.create_table('resolutions',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('sha256', sa.LargeBinary(32), nullable=False),
    sa.Column('match_key', sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
    sa.Column('asked', sa.Text(), nullable=False),
    sa.Column('commit', sa.String(length=64), nullable=False),
    sa.Column('pack_sha256', sa.LargeBinary(32), nullable=True),
    sa.Column('document', sa.Text(), nullable=False),
    sa.Column('entry_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.ForeignKeyConstraint(['entry_id'], ['ledger_entries.id'], name=op.f('fk_resolutions_entry_id_ledger_entries')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_resolutions')),
    sa.UniqueConstraint('sha256', name=op.f('uq_resolutions_sha256'))
    )
    with op.batch_alter_table('resolutions', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_resolutions_commit'), ['commit'], unique=False)

    op.create_table('tasks',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('experiment_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('task_id', sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
    sa.Column('stage_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.Column('entry_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.ForeignKeyConstraint(['entry_id'], ['ledger_entries.id'], name=op.f('fk_tasks_entry_id_ledger_entries')),
    sa.ForeignKeyConstraint(['experiment_id'], ['experiments.id'], name=op.f('fk_tasks_experiment_id_experiments')),
    sa.ForeignKeyConstraint(['stage_id'], ['stages.id'], name=op.f('fk_tasks_stage_id_stages')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_tasks')),
    sa.UniqueConstraint('experiment_id', 'task_id', name=op.f('uq_tasks_experiment_id_task_id'))
    )
    with op.batch_alter_table('tasks', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_tasks_stage_id'), ['stage_id'], unique=False)

    op.create_table('unread_records',
    sa.Column('entry_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('job_uuid', sa.String(length=36), nullable=False),
    sa.Column('sha256', sa.LargeBinary(32), nullable=False),
    sa.ForeignKeyConstraint(['entry_id'], ['ledger_entries.id'], name=op.f('fk_unread_records_entry_id_ledger_entries')),
    sa.PrimaryKeyConstraint('entry_id', name=op.f('pk_unread_records'))
    )
    with op.batch_alter_table('unread_records', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_unread_records_job_uuid'), ['job_uuid'], unique=False)

    op.create_table('jobs',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('experiment_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('uuid', sa.LargeBinary(16), nullable=False),
    sa.Column('state', sa.SmallInteger(), nullable=False),
    sa.Column('task_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.Column('unit', sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True),
    sa.Column('batch_id', sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True),
    sa.Column('host_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.Column('software_set_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.Column('environment_base_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.Column('environment_difference', sa.LargeBinary(), nullable=True),
    sa.Column('retry_of', sa.LargeBinary(16), nullable=True),
    sa.Column('rerun_of', sa.LargeBinary(16), nullable=True),
    sa.Column('received_at', sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite"), nullable=False),
    sa.Column('started_at', sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite"), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite"), nullable=True),
    sa.Column('exit_code', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.Column('exit_signal', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.Column('failed_step', sa.Text(), nullable=True),
    sa.Column('error_class', sa.Text(), nullable=True),
    sa.Column('message', sa.Text(), nullable=True),
    sa.Column('wall_seconds', sa.Float(), nullable=True),
    sa.Column('cpu_seconds', sa.Float(), nullable=True),
    sa.Column('max_rss_bytes', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.Column('level', sa.SmallInteger(), nullable=False),
    sa.Column('gap_set_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.ForeignKeyConstraint(['environment_base_id'], ['environment_bases.id'], name=op.f('fk_jobs_environment_base_id_environment_bases')),
    sa.ForeignKeyConstraint(['experiment_id'], ['experiments.id'], name=op.f('fk_jobs_experiment_id_experiments')),
    sa.ForeignKeyConstraint(['gap_set_id'], ['gap_sets.id'], name=op.f('fk_jobs_gap_set_id_gap_sets')),
    sa.ForeignKeyConstraint(['host_id'], ['hosts.id'], name=op.f('fk_jobs_host_id_hosts')),
    sa.ForeignKeyConstraint(['software_set_id'], ['software_sets.id'], name=op.f('fk_jobs_software_set_id_software_sets')),
    sa.ForeignKeyConstraint(['task_id'], ['tasks.id'], name=op.f('fk_jobs_task_id_tasks')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_jobs')),
    sa.UniqueConstraint('uuid', 'experiment_id', name=op.f('uq_jobs_uuid_experiment_id'))
    )
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.create_index('ix_jobs_batch_id', ['batch_id'], unique=False)
        batch_op.create_index('ix_jobs_host_id', ['host_id'], unique=False)
        batch_op.create_index('ix_jobs_software_set_id', ['software_set_id'], unique=False)
        batch_op.create_index('ix_jobs_task_id_state', ['task_id', 'state'], unique=False)

    op.create_table('sightings',
    sa.Column('entry_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('file_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('identity_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('task_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.Column('job_uuid', sa.String(length=36), nullable=True),
    sa.Column('output', sa.Text(), nullable=True),
    sa.Column('document', sa.Text(), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite"), nullable=False),
    sa.ForeignKeyConstraint(['entry_id'], ['ledger_entries.id'], name=op.f('fk_sightings_entry_id_ledger_entries')),
    sa.ForeignKeyConstraint(['file_id'], ['files.id'], name=op.f('fk_sightings_file_id_files')),
    sa.ForeignKeyConstraint(['identity_id'], ['identities.id'], name=op.f('fk_sightings_identity_id_identities')),
    sa.ForeignKeyConstraint(['task_id'], ['tasks.id'], name=op.f('fk_sightings_task_id_tasks')),
    sa.PrimaryKeyConstraint('entry_id', name=op.f('pk_sightings'))
    )
    with op.batch_alter_table('sightings', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_sightings_file_id'), ['file_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_sightings_job_uuid'), ['job_uuid'], unique=False)
        batch_op.create_index(batch_op.f('ix_sightings_task_id'), ['task_id'], unique=False)

    op.create_table('software',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('sha256', sa.LargeBinary(32), nullable=False),
    sa.Column('name', sa.Text(), nullable=True),
    sa.Column('match_key', sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True),
    sa.Column('requested_ref', sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True),
    sa.Column('revision', sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=True),
    sa.Column('document', sa.LargeBinary(), nullable=False),
    sa.Column('resolution_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.ForeignKeyConstraint(['resolution_id'], ['resolutions.id'], name=op.f('fk_software_resolution_id_resolutions')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_software')),
    sa.UniqueConstraint('sha256', name=op.f('uq_software_sha256'))
    )
    with op.batch_alter_table('software', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_software_match_key'), ['match_key'], unique=False)
        batch_op.create_index(batch_op.f('ix_software_revision'), ['revision'], unique=False)

    op.create_table('awaited_blobs',
    sa.Column('sha256', sa.LargeBinary(32), nullable=False),
    sa.Column('job_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_awaited_blobs_job_id_jobs')),
    sa.PrimaryKeyConstraint('sha256', 'job_id', name=op.f('pk_awaited_blobs')),
    sqlite_with_rowid=False
    )
    with op.batch_alter_table('awaited_blobs', schema=None) as batch_op:
        batch_op.create_index('ix_awaited_blobs_job_id', ['job_id'], unique=False)

    op.create_table('bundle_plans',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('job_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('number', sa.Integer(), nullable=False),
    sa.Column('level', sa.Integer(), nullable=False),
    sa.Column('ingredients_sha256', sa.LargeBinary(32), nullable=False),
    sa.Column('plan_sha256', sa.LargeBinary(32), nullable=False),
    sa.Column('tar_sha256', sa.LargeBinary(32), nullable=True),
    sa.Column('tar_bytes', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.Column('entry_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.ForeignKeyConstraint(['entry_id'], ['ledger_entries.id'], name=op.f('fk_bundle_plans_entry_id_ledger_entries')),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_bundle_plans_job_id_jobs')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_bundle_plans'))
    )
    with op.batch_alter_table('bundle_plans', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_bundle_plans_job_id'), ['job_id'], unique=False)

    op.create_table('claims',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('file_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('job_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('identity_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('position', sa.SmallInteger(), nullable=False),
    sa.Column('alias_of', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.Column('status', sa.Text(), nullable=True),
    sa.Column('data_tier', sa.Text(), nullable=True),
    sa.Column('event_count', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
    sa.ForeignKeyConstraint(['file_id'], ['files.id'], name=op.f('fk_claims_file_id_files')),
    sa.ForeignKeyConstraint(['identity_id'], ['identities.id'], name=op.f('fk_claims_identity_id_identities')),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_claims_job_id_jobs')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_claims'))
    )
    with op.batch_alter_table('claims', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_claims_file_id'), ['file_id'], unique=False)
        batch_op.create_index(batch_op.f('ix_claims_job_id'), ['job_id'], unique=False)

    op.create_table('conflicts',
    sa.Column('entry_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('job_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('witness', sa.String(length=1000), nullable=False),
    sa.Column('sha256', sa.LargeBinary(32), nullable=False),
    sa.ForeignKeyConstraint(['entry_id'], ['ledger_entries.id'], name=op.f('fk_conflicts_entry_id_ledger_entries')),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_conflicts_job_id_jobs')),
    sa.PrimaryKeyConstraint('entry_id', name=op.f('pk_conflicts'))
    )
    with op.batch_alter_table('conflicts', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_conflicts_job_id'), ['job_id'], unique=False)

    op.create_table('job_closures',
    sa.Column('job_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('position', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('closure_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.ForeignKeyConstraint(['closure_id'], ['closures.id'], name=op.f('fk_job_closures_closure_id_closures')),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_job_closures_job_id_jobs')),
    sa.PrimaryKeyConstraint('job_id', 'position', name=op.f('pk_job_closures')),
    sqlite_with_rowid=False
    )
    with op.batch_alter_table('job_closures', schema=None) as batch_op:
        batch_op.create_index('ix_job_closures_closure_id', ['closure_id', 'job_id'], unique=False)

    op.create_table('mentions',
    sa.Column('job_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('position', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('identity_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('role', sa.Text(), nullable=True),
    sa.Column('status', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['identity_id'], ['identities.id'], name=op.f('fk_mentions_identity_id_identities')),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_mentions_job_id_jobs')),
    sa.PrimaryKeyConstraint('job_id', 'position', name=op.f('pk_mentions')),
    sqlite_with_rowid=False
    )
    with op.batch_alter_table('mentions', schema=None) as batch_op:
        batch_op.create_index('ix_mentions_identity_id', ['identity_id', 'job_id'], unique=False)

    op.create_table('provisional_records',
    sa.Column('job_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('witness', sa.String(length=1000), nullable=False),
    sa.Column('received_at', sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite"), nullable=False),
    sa.Column('body', sa.LargeBinary(), nullable=False),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_provisional_records_job_id_jobs')),
    sa.PrimaryKeyConstraint('job_id', 'witness', name=op.f('pk_provisional_records'))
    )
    op.create_table('software_set_members',
    sa.Column('software_set_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('position', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('software_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.ForeignKeyConstraint(['software_id'], ['software.id'], name=op.f('fk_software_set_members_software_id_software')),
    sa.ForeignKeyConstraint(['software_set_id'], ['software_sets.id'], name=op.f('fk_software_set_members_software_set_id_software_sets')),
    sa.PrimaryKeyConstraint('software_set_id', 'position', name=op.f('pk_software_set_members')),
    sqlite_with_rowid=False
    )
    with op.batch_alter_table('software_set_members', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_software_set_members_software_id'), ['software_id'], unique=False)

    op.create_table('verdicts',
    sa.Column('entry_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('job_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.Column('level', sa.String(length=8), nullable=False),
    sa.Column('document', sa.Text(), nullable=False),
    sa.Column('posted_at', sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite"), nullable=False),
    sa.ForeignKeyConstraint(['entry_id'], ['ledger_entries.id'], name=op.f('fk_verdicts_entry_id_ledger_entries')),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_verdicts_job_id_jobs')),
    sa.PrimaryKeyConstraint('entry_id', name=op.f('pk_verdicts'))
    )
    with op.batch_alter_table('verdicts', schema=None) as batch_op:
        batch_op.create_index(batch_op.f('ix_verdicts_job_id'), ['job_id'], unique=False)

    op.create_table('witness_records',
    sa.Column('job_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('witness', sa.String(length=1000), nullable=False),
    sa.Column('revision', sa.SmallInteger(), autoincrement=False, nullable=False),
    sa.Column('entry_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
    sa.ForeignKeyConstraint(['entry_id'], ['ledger_entries.id'], name=op.f('fk_witness_records_entry_id_ledger_entries')),
    sa.ForeignKeyConstraint(['job_id'], ['jobs.id'], name=op.f('fk_witness_records_job_id_jobs')),
    sa.PrimaryKeyConstraint('job_id', 'witness', 'revision', name=op.f('pk_witness_records')),
    sqlite_with_rowid=False
    )
    with op.batch_alter_table('witness_records', schema=None) as batch_op:
        batch_op.create_index('ix_witness_records_entry_id', ['entry_id'], unique=False)

    op.create_table('parents',
    sa.Column('claim_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('identity_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.ForeignKeyConstraint(['claim_id'], ['claims.id'], name=op.f('fk_parents_claim_id_claims')),
    sa.ForeignKeyConstraint(['identity_id'], ['identities.id'], name=op.f('fk_parents_identity_id_identities')),
    sa.PrimaryKeyConstraint('claim_id', 'identity_id', name=op.f('pk_parents')),
    sqlite_with_rowid=False
    )
    with op.batch_alter_table('parents', schema=None) as batch_op:
        batch_op.create_index('ix_parents_identity_id', ['identity_id', 'claim_id'], unique=False)

    op.create_table('producers',
    sa.Column('identity_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('claim_id', sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
    sa.Column('is_sure', sa.Boolean(), nullable=False),
    sa.ForeignKeyConstraint(['claim_id'], ['claims.id'], name=op.f('fk_producers_claim_id_claims')),
    sa.ForeignKeyConstraint(['identity_id'], ['identities.id'], name=op.f('fk_producers_identity_id_identities')),
    sa.PrimaryKeyConstraint('identity_id', 'claim_id', name=op.f('pk_producers')),
    sqlite_with_rowid=False
    )
    with op.batch_alter_table('producers', schema=None) as batch_op:
        batch_op.create_index('ix_producers_claim_id', ['claim_id', 'identity_id'], unique=False)




def downgrade() -> None:
    """Go back to the one before."""

    with op.batch_alter_table('producers', schema=None) as batch_op:
        batch_op.drop_index('ix_producers_claim_id')

    op.drop_table('producers')
    with op.batch_alter_table('parents', schema=None) as batch_op:
        batch_op.drop_index('ix_parents_identity_id')

    op.drop_table('parents')
    with op.batch_alter_table('witness_records', schema=None) as batch_op:
        batch_op.drop_index('ix_witness_records_entry_id')

    op.drop_table('witness_records')
    with op.batch_alter_table('verdicts', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_verdicts_job_id'))

    op.drop_table('verdicts')
    with op.batch_alter_table('software_set_members', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_software_set_members_software_id'))

    op.drop_table('software_set_members')
    op.drop_table('provisional_records')
    with op.batch_alter_table('mentions', schema=None) as batch_op:
        batch_op.drop_index('ix_mentions_identity_id')

    op.drop_table('mentions')
    with op.batch_alter_table('job_closures', schema=None) as batch_op:
        batch_op.drop_index('ix_job_closures_closure_id')

    op.drop_table('job_closures')
    with op.batch_alter_table('conflicts', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_conflicts_job_id'))

    op.drop_table('conflicts')
    with op.batch_alter_table('claims', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_claims_job_id'))
        batch_op.drop_index(batch_op.f('ix_claims_file_id'))

    op.drop_table('claims')
    with op.batch_alter_table('bundle_plans', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_bundle_plans_job_id'))

    op.drop_table('bundle_plans')
    with op.batch_alter_table('awaited_blobs', schema=None) as batch_op:
        batch_op.drop_index('ix_awaited_blobs_job_id')

    op.drop_table('awaited_blobs')
    with op.batch_alter_table('software', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_software_revision'))
        batch_op.drop_index(batch_op.f('ix_software_match_key'))

    op.drop_table('software')
    with op.batch_alter_table('sightings', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_sightings_task_id'))
        batch_op.drop_index(batch_op.f('ix_sightings_job_uuid'))
        batch_op.drop_index(batch_op.f('ix_sightings_file_id'))

    op.drop_table('sightings')
    with op.batch_alter_table('jobs', schema=None) as batch_op:
        batch_op.drop_index('ix_jobs_task_id_state')
        batch_op.drop_index('ix_jobs_software_set_id')
        batch_op.drop_index('ix_jobs_host_id')
        batch_op.drop_index('ix_jobs_batch_id')

    op.drop_table('jobs')
    with op.batch_alter_table('unread_records', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_unread_records_job_uuid'))

    op.drop_table('unread_records')
    with op.batch_alter_table('tasks', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_tasks_stage_id'))

    op.drop_table('tasks')
    with op.batch_alter_table('resolutions', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_resolutions_commit'))

    op.drop_table('resolutions')
    op.drop_table('ref_observations')
    with op.batch_alter_table('identities', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_identities_file_id'))

    op.drop_table('identities')
    op.drop_table('write_tokens')
    op.drop_table('stages')
    with op.batch_alter_table('possessions', schema=None) as batch_op:
        batch_op.drop_index('ix_possessions_not_entered', sqlite_where=sa.text('NOT is_entered'), postgresql_where=sa.text('NOT is_entered'))

    op.drop_table('possessions')
    with op.batch_alter_table('ledger_entries', schema=None) as batch_op:
        batch_op.drop_index('ix_ledger_entries_unsealed', sqlite_where=sa.text('segment IS NULL'), postgresql_where=sa.text('segment IS NULL'))
        batch_op.drop_index('ix_ledger_entries_place')

    op.drop_table('ledger_entries')
    op.drop_table('files')
    op.drop_table('dead_letters')
    with op.batch_alter_table('closure_files', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_closure_files_sha256'))

    op.drop_table('closure_files')
    op.drop_table('chain_heads')
    with op.batch_alter_table('work', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_work_due_at'))

    op.drop_table('work')
    op.drop_table('software_sets')
    op.drop_table('repositories')
    with op.batch_alter_table('hosts', schema=None) as batch_op:
        batch_op.drop_index(batch_op.f('ix_hosts_site'))

    op.drop_table('hosts')
    op.drop_table('gap_sets')
    op.drop_table('experiments')
    op.drop_table('environment_bases')
    op.drop_table('closures')

