"""When an update was out, by how many channels and ways, and what it took; NULL for what was accepted before."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.add_column("incident_update", sa.Column("out_channels", sa.Integer()))
    op.add_column("incident_update", sa.Column("out_ways", sa.Integer()))
    op.add_column("incident_update", sa.Column("quorum", sa.JSON()))
    op.create_index(
        "ix_incident_update_not_out",
        "incident_update",
        ["not_after"],
        sqlite_where=sa.text("quorum IS NOT NULL AND out_at IS NULL"),
        postgresql_where=sa.text("quorum IS NOT NULL AND out_at IS NULL"),
    )


def downgrade() -> None:
    """Refused: a store is brought back by restoring a backup, never by losing columns."""
    raise NotImplementedError
