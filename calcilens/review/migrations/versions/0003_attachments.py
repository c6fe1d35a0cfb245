"""What entries of the journal name by hash, kept as the journal is."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_REFUSED = "an attachment of the journal is never changed"
_SQLITE = """
CREATE TRIGGER attachments_{what} BEFORE {what} ON attachments
BEGIN SELECT RAISE(ABORT, '{why}'); END
"""
_POSTGRESQL = """
CREATE TRIGGER attachments_{what} BEFORE {what} ON attachments
FOR EACH ROW EXECUTE FUNCTION refuse_change()
"""


def upgrade() -> None:
    """Make the table, with triggers that refuse to change it."""
    op.create_table(
        "attachments",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_attachments"),
    )
    sqlite = op.get_bind().dialect.name == "sqlite"
    for what in ("update", "delete"):
        op.execute((_SQLITE if sqlite else _POSTGRESQL).format(what=what, why=_REFUSED))
