"""Open work is found at any size of history: indexes alone."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_index("ix_attempt_step", "attempt", ["step_id"])
    op.create_index("ix_delivery_number", "delivery", ["incident_id", "number"])
    op.create_index(
        "ix_delivery_fallback",
        "delivery",
        ["not_after"],
        sqlite_where=sa.text("json_array_length(fallback) > 0"),
        postgresql_where=sa.text("json_array_length(fallback) > 0"),
    )
    op.create_index("ix_due_update", "due", ["update_id"])


def downgrade() -> None:
    """Refused: a store is brought back by restoring a backup, never by losing columns."""
    raise NotImplementedError
