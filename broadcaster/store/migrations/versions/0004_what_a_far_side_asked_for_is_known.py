"""Whether a try waits because the far side asked for it: a correction behind it then waits, too."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Bring the schema forward."""
    op.add_column(
        "delivery", sa.Column("wished", sa.Boolean(), nullable=False, server_default=sa.false())
    )


def downgrade() -> None:
    """Refused: a store is brought back by restoring a backup, never by losing columns."""
    raise NotImplementedError
