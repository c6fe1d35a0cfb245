"""The journal, and triggers that refuse to change it."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_REFUSED = "an entry of the journal is never changed"
_SQLITE = """
CREATE TRIGGER entries_{what} BEFORE {what} ON entries
BEGIN SELECT RAISE(ABORT, '{why}'); END
"""
_FUNCTION = """
CREATE FUNCTION refuse_change() RETURNS trigger AS
$$ BEGIN RAISE EXCEPTION '{why}'; END $$ LANGUAGE plpgsql
"""
_POSTGRESQL = """
CREATE TRIGGER entries_{what} BEFORE {what} ON entries
FOR EACH ROW EXECUTE FUNCTION refuse_change()
"""


def upgrade() -> None:
    """Make the tables, with the head of an empty journal."""
    op.create_table(
        "entries",
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("time", sa.String(40), nullable=False),
        sa.Column("reader", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("study_uid", sa.String(64), nullable=False),
        sa.Column("lesion", sa.String(64)),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_entries"),
        sa.UniqueConstraint("hash", name="uq_entries_hash"),
    )
    op.create_index("ix_entries_reader", "entries", ["reader"])
    op.create_index("ix_entries_study_uid", "entries", ["study_uid"])
    head = op.create_table(
        "head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_head"),
    )
    op.bulk_insert(head, [{"id": 1, "count": 0, "hash": "0" * 64}])
    sqlite = op.get_bind().dialect.name == "sqlite"
    if not sqlite:
        op.execute(_FUNCTION.format(why=_REFUSED))
    for what in ("update", "delete"):
        op.execute((_SQLITE if sqlite else _POSTGRESQL).format(what=what, why=_REFUSED))
