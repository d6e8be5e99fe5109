"""Keys of four bytes, identities found beside those of their file, and checksums in their own bytes. See docs/decisions/0018-narrow-rows.md.

On PostgreSQL every table that has such a key is written anew: with a million jobs the whole takes
two minutes. Those of jobs and of the ledger get their columns in an order that needs no padding.
"""

import hashlib

import sqlalchemy as sa
from alembic import op

from jobprov.provenance.records.checksums import pack_checksums, unpack_checksums

revision = '0023'
down_revision = '0022'
branch_labels = None
depends_on = None

_KEYS = {
    'awaited_blobs': ('job_id',),
    'bundle_plans': ('id', 'job_id', 'entry_id'),
    'capsule_uses': ('entry_id',),
    'capsules': ('entry_id',),
    'catalog_files': ('id',),
    'catalog_outputs': ('file_id',),
    'claims': ('id', 'file_id', 'job_id', 'identity_id', 'alias_of'),
    'comparator_sets': ('entry_id',),
    'conflicts': ('entry_id', 'job_id'),
    'dead_letters': ('id',),
    'entry_bodies': ('entry_id',),
    'erased_bytes': ('erasure_id',),
    'erased_entries': ('entry_id', 'erasure_id'),
    'evaluations': ('set_id',),
    'expired_logs': ('entry_id',),
    'failure_classes': ('job_id',),
    'files': ('id',),
    'folded_graphs': ('entry_id',),
    'identities': ('id', 'file_id'),
    'jobs': ('id',),
    'kept_answers': ('entry_id',),
    'ledger_entries': ('id', 'job_id'),
    'log_expiries': ('job_id',),
    'log_tails': ('job_id',),
    'mentions': ('job_id', 'identity_id'),
    'module_costs': ('job_id',),
    'order_inputs': ('order_id',),
    'order_leases': ('order_id',),
    'orders': ('id', 'entry_id', 'workflow_id'),
    'parameter_keys': ('id',),
    'parameter_set_tables': ('table_id',),
    'parameter_sets': ('id',),
    'parameter_tables': ('id',),
    'parameter_values': ('id', 'key_id'),
    'parameters': ('value_id', 'table_id'),
    'parents': ('claim_id', 'identity_id'),
    'producers': ('identity_id', 'claim_id'),
    'product_maps': ('id', 'repository_id'),
    'provisional_records': ('job_id',),
    'reclassifications': ('entry_id',),
    'ref_observations': ('id', 'entry_id'),
    'repositories': ('id',),
    'resolutions': ('id', 'entry_id'),
    'retry_policies': ('entry_id',),
    'rule_tables': ('entry_id',),
    'sightings': ('entry_id', 'file_id', 'identity_id'),
    'software': ('id', 'resolution_id'),
    'software_set_members': ('software_id',),
    'tasks': ('entry_id',),
    'unread_records': ('entry_id',),
    'verdicts': ('entry_id', 'job_id'),
    'waived_units': ('entry_id',),
    'work': ('id',),
    'workflows': ('id', 'entry_id', 'state_entry_id'),
    'write_tokens': ('id',),
}
# as `pack_checksums` and `unpack_checksums` do it
_PACK = """
CREATE FUNCTION pg_temp.packed(words text) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
SELECT coalesce(string_agg(CASE
  WHEN word ~ '^adler32:[0-9a-f]{8}$' THEN '\\x01'::bytea || decode(substr(word, 9), 'hex')
  WHEN word ~ '^crc32:[0-9a-f]{8}$' THEN '\\x02'::bytea || decode(substr(word, 7), 'hex')
  WHEN word ~ '^crc32c:[0-9a-f]{8}$' THEN '\\x03'::bytea || decode(substr(word, 8), 'hex')
  WHEN word ~ '^md5:[0-9a-f]{32}$' THEN '\\x04'::bytea || decode(substr(word, 5), 'hex')
  WHEN word ~ '^sha1:[0-9a-f]{40}$' THEN '\\x05'::bytea || decode(substr(word, 6), 'hex')
  WHEN word ~ '^sha256:[0-9a-f]{64}$' THEN '\\x06'::bytea || decode(substr(word, 8), 'hex')
  WHEN word ~ '^sha512:[0-9a-f]{128}$' THEN '\\x07'::bytea || decode(substr(word, 8), 'hex')
  ELSE '\\x00'::bytea || int4send(octet_length(word)) || convert_to(word, 'UTF8')
END, ''::bytea ORDER BY place), ''::bytea)
FROM unnest(string_to_array(words, ' ')) WITH ORDINALITY AS listed(word, place) WHERE word <> ''
$$
"""
_UNPACK = """
CREATE FUNCTION pg_temp.unpacked(packed bytea) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  algorithms text[] := '{adler32,crc32,crc32c,md5,sha1,sha256,sha512}';
  sizes int[] := '{4,4,4,16,20,32,64}';
  words text[] := '{}';
  place int := 1;
  code int;
  size int;
BEGIN
  WHILE place <= length(packed) LOOP
    code := get_byte(packed, place - 1);
    place := place + 1;
    IF code = 0 THEN
      size := ('x' || encode(substr(packed, place, 4), 'hex'))::bit(32)::int;
      words := words || convert_from(substr(packed, place + 4, size), 'UTF8');
      place := place + 4 + size;
    ELSE
      words := words || (algorithms[code] || ':' || encode(substr(packed, place, sizes[code]), 'hex'));
      place := place + sizes[code];
    END IF;
  END LOOP;
  RETURN array_to_string(words, ' ');
END
$$
"""
_LONG_KEY = """
UPDATE identities SET key = substr(sha256(
  convert_to(f.experiment_id::text, 'UTF8') || '\\x00' || convert_to(f.namespace, 'UTF8') || '\\x00' || convert_to(f.name, 'UTF8')
  || '\\x00' || convert_to(coalesce(size_bytes::text, 'None'), 'UTF8') || '\\x00' || convert_to(checksums, 'UTF8')
), 1, 12) FROM files f WHERE f.id = file_id
"""
_LONG_KEY_SQLITE = """
UPDATE identities SET checksums = unpacked(checksums), key = (
  SELECT long_key(f.experiment_id, f.namespace, f.name, identities.size_bytes, identities.checksums) FROM files f WHERE f.id = identities.file_id
)
"""


def upgrade() -> None:
    """Go to this revision."""
    connection = op.get_bind()
    if connection.dialect.name == 'sqlite':
        driver = connection.connection.driver_connection
        driver.create_function('packed', 1, lambda words: pack_checksums(bytes(words).decode()), deterministic=True)
        with op.batch_alter_table('identities', schema=None) as batch_op:
            batch_op.drop_constraint(batch_op.f('uq_identities_key'), type_='unique')
            batch_op.drop_index(batch_op.f('ix_identities_file_id'))
            batch_op.alter_column('key', existing_type=sa.LargeBinary(12), type_=sa.LargeBinary(11), existing_nullable=False)
            batch_op.alter_column('checksums', existing_type=sa.Text(), type_=sa.LargeBinary(), existing_nullable=False)
        op.execute("UPDATE identities SET key = substr(key, 1, 11), checksums = packed(checksums)")
        with op.batch_alter_table('identities', schema=None) as batch_op:
            batch_op.create_unique_constraint(batch_op.f('uq_identities_file_id_key'), ['file_id', 'key'])
        return
    op.drop_constraint('uq_identities_key', 'identities', type_='unique')
    op.drop_index('ix_identities_file_id', 'identities')
    op.execute(_PACK)
    _retype('integer', {'identities': ["key TYPE bytea USING substr(key, 1, 11)", "checksums TYPE bytea USING pg_temp.packed(checksums)"]})
    op.create_unique_constraint('uq_identities_file_id_key', 'identities', ['file_id', 'key'])
    for table in ('jobs', 'ledger_entries'):
        _order_columns(table)
    op.execute('ANALYZE')  # what was known of the columns went with their types


def downgrade() -> None:
    """Go back to the one before."""
    connection = op.get_bind()
    if connection.dialect.name == 'sqlite':
        driver = connection.connection.driver_connection
        driver.create_function('unpacked', 1, unpack_checksums, deterministic=True)
        driver.create_function('long_key', 5, _long_key, deterministic=True)
        with op.batch_alter_table('identities', schema=None) as batch_op:
            batch_op.drop_constraint(batch_op.f('uq_identities_file_id_key'), type_='unique')
            batch_op.alter_column('key', existing_type=sa.LargeBinary(11), type_=sa.LargeBinary(12), existing_nullable=False)
        op.execute(_LONG_KEY_SQLITE)
        with op.batch_alter_table('identities', schema=None) as batch_op:
            batch_op.alter_column('checksums', existing_type=sa.LargeBinary(), type_=sa.Text(), existing_nullable=False)
            batch_op.create_unique_constraint(batch_op.f('uq_identities_key'), ['key'])
            batch_op.create_index(batch_op.f('ix_identities_file_id'), ['file_id'], unique=False)
        return
    op.drop_constraint('uq_identities_file_id_key', 'identities', type_='unique')
    op.execute(_UNPACK)
    _retype('bigint', {'identities': ["checksums TYPE text USING pg_temp.unpacked(checksums)"]})
    op.execute(_LONG_KEY)
    op.create_unique_constraint('uq_identities_key', 'identities', ['key'])
    op.create_index(op.f('ix_identities_file_id'), 'identities', ['file_id'], unique=False)


def _retype(kind: str, more: dict[str, list[str]]) -> None:
    """Give keys another type; each table is written once, with `more` of it changed on the way."""
    for table, columns in _KEYS.items():
        changes = [*(f'{column} TYPE {kind}' for column in columns), *more.get(table, ())]
        op.execute(f"ALTER TABLE {table} {', '.join(f'ALTER {change}' for change in changes)}")
        if 'id' in columns:
            op.execute(f'ALTER SEQUENCE {table}_id_seq AS {kind}')


def _long_key(experiment: int, namespace: str, name: str, size_bytes: int | None, packed: bytes) -> bytes:
    text = f'{experiment}\0{namespace}\0{name}\0{size_bytes}\0{unpack_checksums(packed)}'
    return hashlib.sha256(text.encode(errors='surrogatepass')).digest()[:12]


def _order_columns(table: str) -> None:
    """Write a table of PostgreSQL anew: columns of eight bytes first, then of four, of two, and what varies in length."""
    connection = op.get_bind()

    def rows(query: str) -> list[sa.Row]:
        return connection.exec_driver_sql(query).all()

    columns = rows(f"""
        SELECT attname, attnotnull, pg_get_expr(adbin, adrelid) FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped
        ORDER BY CASE WHEN attlen > 0 THEN -attlen ELSE 0 END, attnum
    """)
    constraints = rows(f"""
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE contype IN ('p', 'u', 'f') AND '{table}'::regclass IN (conrelid, confrelid) ORDER BY contype <> 'p', oid
    """)
    grants = rows(f"""
        SELECT DISTINCT privilege_type, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END
        FROM pg_class, aclexplode(relacl) WHERE oid = '{table}'::regclass AND grantee <> relowner
    """)
    indexes = rows(f"SELECT indexname, indexdef FROM pg_indexes WHERE tablename = '{table}' AND schemaname = current_schema()")
    for owner, name, _ in reversed(constraints):
        op.execute(f'ALTER TABLE {owner} DROP CONSTRAINT {name}')
    op.execute(f'ALTER SEQUENCE {table}_id_seq OWNED BY NONE')
    op.execute(f"CREATE TABLE ordered AS SELECT {', '.join(name for name, _, _ in columns)} FROM {table} ORDER BY id")
    op.execute(f'DROP TABLE {table}')
    op.execute(f'ALTER TABLE ordered RENAME TO {table}')
    for name, is_required, default in columns:
        if is_required:
            op.execute(f'ALTER TABLE {table} ALTER {name} SET NOT NULL')
        if default is not None:
            op.execute(f'ALTER TABLE {table} ALTER {name} SET DEFAULT {default}')
    op.execute(f'ALTER SEQUENCE {table}_id_seq OWNED BY {table}.id')
    for privilege, whom in grants:
        op.execute(f'GRANT {privilege} ON {table} TO {whom}')
    for owner, name, definition in constraints:
        op.execute(f'ALTER TABLE {owner} ADD CONSTRAINT {name} {definition}')
    for name, definition in indexes:
        if name not in {constraint for _, constraint, _ in constraints}:
            op.execute(definition)
