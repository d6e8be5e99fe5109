"""How a drafted migration spells column types.

In SQLAlchemy's own, so that it means the same when our types have changed.
"""

from typing import Any

from sqlalchemy import BigInteger, Text

from jobprov.provenance.db.base import DigestBytes, UtcInstant, UuidBytes


def render_item(kind: str, item: Any, _context: Any) -> str | bool:
    """Return the text for a type of ours, or False for Alembic to write it."""
    if kind != "type":
        return False
    if isinstance(item, UtcInstant):
        return 'sa.DateTime(timezone=True).with_variant(sa.BigInteger(), "sqlite")'
    if isinstance(item, DigestBytes | UuidBytes):
        return f"sa.LargeBinary({item.impl_instance.length})"
    # No public way to ask
    if type(item) is BigInteger and "sqlite" in item._variant_mapping:  # noqa: SLF001
        return 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")'
    if type(item) is Text and "postgresql" in item._variant_mapping:  # noqa: SLF001
        return 'sa.Text().with_variant(sa.Text(collation="C"), "postgresql")'
    return False
