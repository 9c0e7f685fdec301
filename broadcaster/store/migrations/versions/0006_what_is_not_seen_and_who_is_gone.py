"""What was accepted lately is found, how many letters came back is counted, and which addresses are known to be no more."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_index(
        "ix_delivery_accepted",
        "delivery",
        ["channel", "accepted_at"],
        sqlite_where=sa.text("accepted_at IS NOT NULL"),
        postgresql_where=sa.text("accepted_at IS NOT NULL"),
    )
    op.add_column(
        "delivery", sa.Column("bounced", sa.Integer(), nullable=False, server_default=sa.text("0"))
    )
    op.add_column("subscriber", sa.Column("gone_at", sa.BigInteger()))
    op.create_index(
        "ix_subscriber_gone",
        "subscriber",
        ["channel"],
        sqlite_where=sa.text("gone_at IS NOT NULL"),
        postgresql_where=sa.text("gone_at IS NOT NULL"),
    )
    op.add_column("channel_state", sa.Column("resumed_at", sa.BigInteger()))


def downgrade() -> None:
    """Refused: a store is brought back by restoring a backup, never by losing columns."""
    raise NotImplementedError
