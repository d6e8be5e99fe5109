"""How a drafted migration spells column types.

In SQLAlchemy's own, so that it means the same when our types have changed.
"""

from typing import Any

from sqlalchemy import BigInteger, Text

from jobprov.provenance.db.tables.base import ChecksumBytes, DigestBytes, Key, UtcInstant, UuidBytes

_SPELLED = {
    UtcInstant: 'sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")',
    Key: "sa.Integer()",
    ChecksumBytes: "sa.LargeBinary()",
    DigestBytes: "sa.LargeBinary(32)",
    UuidBytes: "sa.LargeBinary(16)",
}


def render_item(kind: str, item: Any, _context: Any) -> str | bool:
    """Return the text for a type of ours, or False for Alembic to write it."""
    if kind != "type":
        return False
    if type(item) in _SPELLED:
        return _SPELLED[type(item)]
    # No public way to ask
    if type(item) is BigInteger and "sqlite" in item._variant_mapping:  # noqa: SLF001
        return 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")'
    if type(item) is Text and "postgresql" in item._variant_mapping:  # noqa: SLF001
        return 'sa.Text().with_variant(sa.Text(collation="C"), "postgresql")'
    return False
