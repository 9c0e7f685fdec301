"""What residents asked for themselves."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.BigInteger()  # microseconds since 1970 UTC


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "consent",
        sa.Column("id", ID, nullable=False),
        sa.Column("channel", sa.String(length=80), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("given_at", TIME, nullable=False),
        sa.Column("given_by", sa.String(length=16), nullable=False),
        sa.Column("words", sa.String(length=64), nullable=False),
        sa.Column("ended_at", TIME),
        sa.Column("ended_by", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_consent_address", "consent", ["channel", "digest"])

    op.create_table(
        "opt_in",
        sa.Column("id", ID, nullable=False),
        sa.Column("channel", sa.String(length=80), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("choices", sa.JSON(), nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.Column("used_at", TIME),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_opt_in")),
        sa.UniqueConstraint("token", name=op.f("uq_opt_in_token")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_opt_in_address", "opt_in", ["channel", "digest", "asked_at"])
    op.create_index("ix_opt_in_expires", "opt_in", ["expires_at"])

    op.create_table(
        "personal_letter",
        sa.Column("id", ID, nullable=False),
        sa.Column("channel", sa.String(length=80), nullable=False),
        sa.Column("what", sa.String(length=12), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("not_after", TIME, nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_token", sa.String(length=16)),
        sa.Column("lease_until", TIME),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_personal_letter")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_personal_letter_address", "personal_letter", ["channel", "digest"])
    op.create_index(
        "ix_personal_letter_open",
        "personal_letter",
        ["channel", "what", "due_at"],
        sqlite_where=sa.text("state IN ('waiting', 'sending')"),
        postgresql_where=sa.text("state IN ('waiting', 'sending')"),
    )

    op.create_table(
        "spent",
        sa.Column("what", sa.String(length=120), nullable=False),
        sa.Column("span", sa.String(length=20), nullable=False),
        sa.Column("amount", ID, nullable=False),
        sa.Column("money", ID, nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.PrimaryKeyConstraint("what", "span", name=op.f("pk_spent")),
    )
    op.create_index("ix_spent_until", "spent", ["until"])

    op.add_column(
        "subscriber", sa.Column("least", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    op.add_column("subscriber", sa.Column("quiet_from", sa.Integer()))
    op.add_column("subscriber", sa.Column("quiet_to", sa.Integer()))
    op.add_column("subscriber", sa.Column("summary_at", sa.Integer()))
    op.create_index(
        "ix_subscriber_chooses",
        "subscriber",
        ["channel", "id"],
        sqlite_where=sa.text("least > 0 OR quiet_from IS NOT NULL OR summary_at IS NOT NULL"),
        postgresql_where=sa.text("least > 0 OR quiet_from IS NOT NULL OR summary_at IS NOT NULL"),
    )

    op.create_table(
        "left_out",
        sa.Column("subscriber_id", ID, nullable=False),
        sa.Column("update_id", ID, nullable=False),
        sa.Column("due_at", TIME),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscriber.id"],
            name=op.f("fk_left_out_subscriber_id_subscriber"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["update_id"],
            ["incident_update.id"],
            name=op.f("fk_left_out_update_id_incident_update"),
        ),
        sa.PrimaryKeyConstraint("subscriber_id", "update_id", name=op.f("pk_left_out")),
    )
    op.create_index("ix_left_out_due", "left_out", ["due_at", "subscriber_id"])
    op.create_index("ix_left_out_update", "left_out", ["update_id", "due_at"])


def downgrade() -> None:
    """Refused: a store is brought back by restoring a backup, never by losing columns."""
    raise NotImplementedError
