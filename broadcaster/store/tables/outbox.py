"""What is said and how it goes out: incidents, updates, messages, deliveries, steps, jobs, letters."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    FromClause,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    func,
    literal_column,
    text,
)

from broadcaster.store.tables.base import Id, UtcTime, metadata

# epoch, last public revision, next incident: small facts of which there is one.
meta = Table(
    "meta",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", Text, nullable=False),
)

incident = Table(
    "incident",
    metadata,
    Column("id", Id, primary_key=True),
    Column("mode", String(8), nullable=False),
    Column("staff", Boolean, nullable=False),  # the hidden log of notices to staff
    Column("opened_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
    Column("last_number", Integer, nullable=False),
    Column("rev_epoch", Integer),  # newest public revision that touched it
    Column("rev_n", BigInteger),
    Column(
        "public_order", BigInteger
    ),  # 1, 2, 3 … in order of first publication: its place in the archive
    Index("ix_incident_revision", "rev_epoch", "rev_n"),
    Index("ix_incident_public_order", "public_order", unique=True),
    Index(
        "ix_incident_closed",
        "closed_at",
        sqlite_where=text("closed_at IS NOT NULL"),
        postgresql_where=text("closed_at IS NOT NULL"),
    ),
    Index(
        "ix_incident_open",
        "id",
        sqlite_where=text("closed_at IS NULL"),
        postgresql_where=text("closed_at IS NULL"),
    ),
)

update = Table(
    "incident_update",
    metadata,
    Column("id", Id, primary_key=True),
    Column("incident_id", Id, ForeignKey("incident.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String(12), nullable=False),
    Column("audience", String(8), nullable=False),
    Column("severity", String(10), nullable=False),
    Column("mode", String(8), nullable=False),
    Column("areas", JSON, nullable=False),
    Column("ended", JSON, nullable=False),
    Column("texts", JSON, nullable=False),
    Column("headline", Text, nullable=False),
    Column("since", UtcTime),
    Column("etr", UtcTime),
    Column("promise", UtcTime),
    Column("planned_start", UtcTime),
    Column("planned_end", UtcTime),
    Column("affected", Integer),
    Column("cause", Text, nullable=False),
    Column("instruction", Text, nullable=False),
    Column("corrects", Integer),
    Column("corrects_all", Boolean, nullable=False),
    Column("quiet", Boolean, nullable=False),
    Column("author", Text, nullable=False),
    Column("accepted_at", UtcTime, nullable=False),
    Column("hold", String(12)),  # why it is accepted and not released: scheduled, planned
    Column("release_at", UtcTime),
    Column("released_at", UtcTime),
    Column("cancelled_at", UtcTime),
    Column("not_after", UtcTime, nullable=False),
    Column("rev_epoch", Integer),
    Column("rev_n", BigInteger),
    Column("out_at", UtcTime),  # when enough independent ways had it; see `quorums`
    Column(
        "digest", String(64), nullable=False
    ),  # of kind, areas and texts: finds the same report sent twice
    Column("out_channels", Integer),
    Column("out_ways", Integer),
    # What makes it out, as configured when it was accepted; NULL: nothing is counted.
    Column("quorum", JSON(none_as_null=True)),
    UniqueConstraint("incident_id", "number"),
    Index("ix_incident_update_revision", "rev_epoch", "rev_n"),
    Index("ix_incident_update_digest", "digest", "accepted_at"),
    Index(
        "ix_incident_update_not_out",
        "not_after",
        sqlite_where=text("quorum IS NOT NULL AND out_at IS NULL"),
        postgresql_where=text("quorum IS NOT NULL AND out_at IS NULL"),
    ),
    Index(
        "ix_incident_update_hold",
        "release_at",
        sqlite_where=text("hold IS NOT NULL"),
        postgresql_where=text("hold IS NOT NULL"),
    ),
)

# Which areas a released public update touched, so that the newest entries of one are found without reading history.
update_area = Table(
    "update_area",
    metadata,
    Column("area", String(80), primary_key=True),
    Column("rev_epoch", Integer, primary_key=True),
    Column("rev_n", BigInteger, primary_key=True),
    Column("update_id", Id, ForeignKey("incident_update.id"), nullable=False),
)

message = Table(
    "message",
    metadata,
    Column("id", Id, primary_key=True),
    Column("update_id", Id, ForeignKey("incident_update.id"), nullable=False),
    Column("channel", String(80), nullable=False),
    Column("language", String(20), nullable=False),
    Column("variant", String(12), nullable=False),
    Column("position", Integer, nullable=False),
    Column("body", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    UniqueConstraint("update_id", "channel", "language", "variant", "position"),
)

delivery = Table(
    "delivery",
    metadata,
    Column("id", Id, primary_key=True),
    Column("update_id", Id, ForeignKey("incident_update.id"), nullable=False),
    Column("incident_id", Id, nullable=False),
    Column("number", Integer, nullable=False),
    Column("channel", String(80), nullable=False),
    Column("shape", String(8), nullable=False),
    Column("state", String(12), nullable=False),
    Column("priority", Integer, nullable=False),  # 0 retraction, 1 board and post, 2 letter
    Column("life_safety", Boolean, nullable=False),  # an uncertain one is sent again
    Column("released", Boolean, nullable=False),
    # Its text was corrected or retracted: pull no more letters.
    Column("stopped", Boolean, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("not_after", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("fallback_for", Id),
    Column("fallback", JSON, nullable=False),  # channels that may still take over
    Column("expanded", Boolean, nullable=False),
    Column("lease_node", String(80)),
    Column("lease_token", String(32)),
    Column("lease_until", UtcTime),
    Column("started_at", UtcTime),
    Column("accepted_at", UtcTime),
    Column("ended_at", UtcTime),
    Column("total", Integer, nullable=False),
    Column("accepted", Integer, nullable=False),
    Column("confirmed", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("uncertain", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    # The far side asked for nothing before `due_at`.
    Column("wished", Boolean, nullable=False, server_default=false()),
    # Letters that the network refused after their gateway had taken them; they are among `failed`.
    Column("bounced", Integer, nullable=False, server_default=text("0")),
    Index("ix_delivery_update", "update_id"),
    Index("ix_delivery_incident", "channel", "incident_id", "number"),
    Index("ix_delivery_number", "incident_id", "number"),
    Index(
        "ix_delivery_fallback",
        "not_after",
        sqlite_where=text("json_array_length(fallback) > 0"),
        postgresql_where=text("json_array_length(fallback) > 0"),
    ),
    Index(
        "ix_delivery_accepted",
        "channel",
        "accepted_at",
        sqlite_where=text("accepted_at IS NOT NULL"),
        postgresql_where=text("accepted_at IS NOT NULL"),
    ),
    Index(
        "ix_delivery_open",
        "channel",
        "due_at",
        sqlite_where=text("state IN ('waiting','sending','uncertain')"),
        postgresql_where=text("state IN ('waiting','sending','uncertain')"),
    ),
)

step = Table(
    "step",
    metadata,
    Column("id", Id, primary_key=True),
    Column("delivery_id", Id, ForeignKey("delivery.id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("message_id", Id, ForeignKey("message.id")),
    Column("target_step", Id),  # the post this one amends or withdraws
    Column("outcome", String(10)),  # null: to do; accepted, failed, uncertain, skipped
    Column("handle", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("key", String(64), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("first_tried_at", UtcTime),
    Column(
        "reply_to", Text
    ),  # what it answered when it was first tried: every later try and look-up says the same
    UniqueConstraint("delivery_id", "position"),
    Index("ix_step_target", "target_step"),
)

attempt = Table(
    "attempt",
    metadata,
    Column("id", Id, primary_key=True),
    Column("delivery_id", Id, ForeignKey("delivery.id"), nullable=False),
    Column("step_id", Id),
    Column("job_id", Id),
    Column("node", String(80), nullable=False),
    Column("supplier", String(80), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("ended_at", UtcTime),
    Column("outcome", String(10)),
    Column("scope", String(8)),
    Column("detail", Text, nullable=False),
    Index("ix_attempt_delivery", "delivery_id"),
    Index("ix_attempt_step", "step_id"),
)

audience = Table(
    "audience",
    metadata,
    Column("id", Id, primary_key=True),
    Column("delivery_id", Id, ForeignKey("delivery.id"), nullable=False),
    Column("variant", String(12), nullable=False),
    # Null: whoever had the texts in `had`, wherever they are.
    Column("areas", JSON, nullable=False),
    # Membership revision: the newest subscription that counts.
    Column("upto", BigInteger, nullable=False),
    # Update numbers: only those who got, or may have got, one of these.
    Column("had", JSON, nullable=False),
    Column("had_not", JSON, nullable=False),  # update numbers: only those who got none of these
    # Whose subscribers: this channel's, or the one it stands in for.
    Column("members_of", String(80), nullable=False),
    Column("cursor", BigInteger, nullable=False),
    Column("done", Boolean, nullable=False),
    Index("ix_audience_delivery", "delivery_id"),
)

job = Table(
    "job",
    metadata,
    Column("id", Id, primary_key=True),
    Column("delivery_id", Id, ForeignKey("delivery.id"), nullable=False),
    Column("variant", String(12), nullable=False),
    Column("subscribers", JSON, nullable=False),  # at most 500 subscriber ids, in order of position
    Column("watermark", Integer, nullable=False),  # letters below it may have been pulled
    Column("state", String(8), nullable=False),  # waiting, sending, done
    Column("due_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("supplier", String(80), nullable=False),
    Column("lease_node", String(80)),
    Column("lease_token", String(32)),
    Column("lease_until", UtcTime),
    Index(
        "ix_job_open",
        "delivery_id",
        "id",
        sqlite_where=text("state <> 'done'"),
        postgresql_where=text("state <> 'done'"),
    ),
    Index("ix_job_delivery", "delivery_id"),
)

letter = Table(
    "letter",
    metadata,
    Column("job_id", Id, primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("delivery_id", Id, nullable=False),
    Column("subscriber_id", Id, nullable=False),
    Column(
        "outcome", String(10), nullable=False
    ),  # accepted, failed, uncertain, skipped; transient, doubtful: to be tried again
    Column("reported", String(10)),  # confirmed or failed, by a delivery report
    Column("supplier", String(80), nullable=False),
    Column("handle", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index(
        "ix_letter_handle",
        "handle",
        sqlite_where=text("handle <> ''"),
        postgresql_where=text("handle <> ''"),
    ),
    Index("ix_letter_delivery", "delivery_id", "subscriber_id"),
)


# The conditions of the partial indexes in their own words: with bound values the database cannot tell that they apply.
def is_open(deliveries: FromClause = delivery) -> ColumnElement[bool]:
    """Whether a delivery waits, is being sent, or is looked for."""
    states = ("waiting", "sending", "uncertain")
    return deliveries.c.state.in_([literal_column(f"'{state}'") for state in states])


may_be_taken_over = func.json_array_length(delivery.c.fallback) > literal_column("0")
job_is_open = job.c.state != literal_column("'done'")
has_handle = letter.c.handle != literal_column("''")
