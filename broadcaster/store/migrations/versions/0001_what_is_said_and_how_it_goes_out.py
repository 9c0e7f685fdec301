"""What is said and how it goes out."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.BigInteger()  # microseconds since 1970 UTC


def upgrade() -> None:
    """Bring the schema forward."""
    op.create_table(
        "incident",
        sa.Column("id", ID, nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("staff", sa.Boolean(), nullable=False),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("closed_at", TIME),
        sa.Column("last_number", sa.Integer(), nullable=False),
        sa.Column("rev_epoch", sa.Integer()),
        sa.Column("rev_n", sa.BigInteger()),
        sa.Column("public_order", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
    )
    op.create_index(
        "ix_incident_closed",
        "incident",
        ["closed_at"],
        sqlite_where=sa.text("closed_at IS NOT NULL"),
        postgresql_where=sa.text("closed_at IS NOT NULL"),
    )
    op.create_index(
        "ix_incident_open",
        "incident",
        ["id"],
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )
    op.create_index("ix_incident_public_order", "incident", ["public_order"], unique=True)
    op.create_index("ix_incident_revision", "incident", ["rev_epoch", "rev_n"])
    op.create_table(
        "letter",
        sa.Column("job_id", ID, autoincrement=False, nullable=False),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("subscriber_id", ID, nullable=False),
        sa.Column("outcome", sa.String(length=10), nullable=False),
        sa.Column("reported", sa.String(length=10)),
        sa.Column("supplier", sa.String(length=80), nullable=False),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("job_id", "position", name=op.f("pk_letter")),
    )
    op.create_index("ix_letter_delivery", "letter", ["delivery_id", "subscriber_id"])
    op.create_index(
        "ix_letter_handle",
        "letter",
        ["handle"],
        sqlite_where=sa.text("handle <> ''"),
        postgresql_where=sa.text("handle <> ''"),
    )
    op.create_table(
        "meta",
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_meta")),
    )
    op.create_table(
        "incident_update",
        sa.Column("id", ID, nullable=False),
        sa.Column("incident_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=12), nullable=False),
        sa.Column("audience", sa.String(length=8), nullable=False),
        sa.Column("severity", sa.String(length=10), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("areas", sa.JSON(), nullable=False),
        sa.Column("ended", sa.JSON(), nullable=False),
        sa.Column("texts", sa.JSON(), nullable=False),
        sa.Column("headline", sa.Text(), nullable=False),
        sa.Column("since", TIME),
        sa.Column("etr", TIME),
        sa.Column("promise", TIME),
        sa.Column("planned_start", TIME),
        sa.Column("planned_end", TIME),
        sa.Column("affected", sa.Integer()),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("instruction", sa.Text(), nullable=False),
        sa.Column("corrects", sa.Integer()),
        sa.Column("corrects_all", sa.Boolean(), nullable=False),
        sa.Column("quiet", sa.Boolean(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("accepted_at", TIME, nullable=False),
        sa.Column("hold", sa.String(length=12)),
        sa.Column("release_at", TIME),
        sa.Column("released_at", TIME),
        sa.Column("cancelled_at", TIME),
        sa.Column("not_after", TIME, nullable=False),
        sa.Column("rev_epoch", sa.Integer()),
        sa.Column("rev_n", sa.BigInteger()),
        sa.Column("out_at", TIME),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["incident_id"], ["incident.id"], name=op.f("fk_incident_update_incident_id_incident")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident_update")),
        sa.UniqueConstraint(
            "incident_id", "number", name=op.f("uq_incident_update_incident_id_number")
        ),
    )
    op.create_index("ix_incident_update_digest", "incident_update", ["digest", "accepted_at"])
    op.create_index(
        "ix_incident_update_hold",
        "incident_update",
        ["release_at"],
        sqlite_where=sa.text("hold IS NOT NULL"),
        postgresql_where=sa.text("hold IS NOT NULL"),
    )
    op.create_index("ix_incident_update_revision", "incident_update", ["rev_epoch", "rev_n"])
    op.create_table(
        "delivery",
        sa.Column("id", ID, nullable=False),
        sa.Column("update_id", ID, nullable=False),
        sa.Column("incident_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=80), nullable=False),
        sa.Column("shape", sa.String(length=8), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("life_safety", sa.Boolean(), nullable=False),
        sa.Column("released", sa.Boolean(), nullable=False),
        sa.Column("stopped", sa.Boolean(), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("not_after", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("fallback_for", ID),
        sa.Column("fallback", sa.JSON(), nullable=False),
        sa.Column("expanded", sa.Boolean(), nullable=False),
        sa.Column("lease_node", sa.String(length=80)),
        sa.Column("lease_token", sa.String(length=32)),
        sa.Column("lease_until", TIME),
        sa.Column("started_at", TIME),
        sa.Column("accepted_at", TIME),
        sa.Column("ended_at", TIME),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("accepted", sa.Integer(), nullable=False),
        sa.Column("confirmed", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("uncertain", sa.Integer(), nullable=False),
        sa.Column("skipped", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["update_id"],
            ["incident_update.id"],
            name=op.f("fk_delivery_update_id_incident_update"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
    )
    op.create_index("ix_delivery_incident", "delivery", ["channel", "incident_id", "number"])
    op.create_index(
        "ix_delivery_open",
        "delivery",
        ["channel", "due_at"],
        sqlite_where=sa.text("state IN ('waiting','sending','uncertain')"),
        postgresql_where=sa.text("state IN ('waiting','sending','uncertain')"),
    )
    op.create_index("ix_delivery_update", "delivery", ["update_id"])
    op.create_table(
        "message",
        sa.Column("id", ID, nullable=False),
        sa.Column("update_id", ID, nullable=False),
        sa.Column("channel", sa.String(length=80), nullable=False),
        sa.Column("language", sa.String(length=20), nullable=False),
        sa.Column("variant", sa.String(length=12), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("payload", sa.Text(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["update_id"], ["incident_update.id"], name=op.f("fk_message_update_id_incident_update")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint(
            "update_id",
            "channel",
            "language",
            "variant",
            "position",
            name=op.f("uq_message_update_id_channel_language_variant_position"),
        ),
    )
    op.create_table(
        "update_area",
        sa.Column("area", sa.String(length=80), nullable=False),
        sa.Column("rev_epoch", sa.Integer(), nullable=False),
        sa.Column("rev_n", sa.BigInteger(), nullable=False),
        sa.Column("update_id", ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["update_id"],
            ["incident_update.id"],
            name=op.f("fk_update_area_update_id_incident_update"),
        ),
        sa.PrimaryKeyConstraint("area", "rev_epoch", "rev_n", name=op.f("pk_update_area")),
    )
    op.create_table(
        "attempt",
        sa.Column("id", ID, nullable=False),
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("step_id", ID),
        sa.Column("job_id", ID),
        sa.Column("node", sa.String(length=80), nullable=False),
        sa.Column("supplier", sa.String(length=80), nullable=False),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("ended_at", TIME),
        sa.Column("outcome", sa.String(length=10)),
        sa.Column("scope", sa.String(length=8)),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_attempt_delivery_id_delivery")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attempt")),
    )
    op.create_index("ix_attempt_delivery", "attempt", ["delivery_id"])
    op.create_table(
        "audience",
        sa.Column("id", ID, nullable=False),
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("variant", sa.String(length=12), nullable=False),
        sa.Column("areas", sa.JSON(), nullable=False),
        sa.Column("upto", sa.BigInteger(), nullable=False),
        sa.Column("had", sa.JSON(), nullable=False),
        sa.Column("had_not", sa.JSON(), nullable=False),
        sa.Column("members_of", sa.String(length=80), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_audience_delivery_id_delivery")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audience")),
    )
    op.create_index("ix_audience_delivery", "audience", ["delivery_id"])
    op.create_table(
        "job",
        sa.Column("id", ID, nullable=False),
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("variant", sa.String(length=12), nullable=False),
        sa.Column("subscribers", sa.JSON(), nullable=False),
        sa.Column("watermark", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("supplier", sa.String(length=80), nullable=False),
        sa.Column("lease_node", sa.String(length=80)),
        sa.Column("lease_token", sa.String(length=32)),
        sa.Column("lease_until", TIME),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_job_delivery_id_delivery")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job")),
    )
    op.create_index("ix_job_delivery", "job", ["delivery_id"])
    op.create_index(
        "ix_job_open",
        "job",
        ["delivery_id", "id"],
        sqlite_where=sa.text("state <> 'done'"),
        postgresql_where=sa.text("state <> 'done'"),
    )
    op.create_table(
        "step",
        sa.Column("id", ID, nullable=False),
        sa.Column("delivery_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("message_id", ID),
        sa.Column("target_step", ID),
        sa.Column("outcome", sa.String(length=10)),
        sa.Column("handle", sa.Text(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("first_tried_at", TIME),
        sa.Column("reply_to", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_step_delivery_id_delivery")
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["message.id"], name=op.f("fk_step_message_id_message")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_step")),
        sa.UniqueConstraint("delivery_id", "position", name=op.f("uq_step_delivery_id_position")),
    )
    op.create_index("ix_step_target", "step", ["target_step"])


def downgrade() -> None:
    """Refused: a store is brought back by restoring a backup, never by losing columns."""
    raise NotImplementedError
