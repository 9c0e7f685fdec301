"""Who reads, who speaks, and what is remembered around it: subscribers, tokens, channels, nodes, dues, audit."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from broadcaster.store.tables.base import Id, UtcTime, metadata

subscriber = Table(
    "subscriber",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel", String(80), nullable=False),
    Column("address", LargeBinary, nullable=False),  # AEAD ciphertext
    Column("key_id", String(16), nullable=False),
    # HMAC of the address: how one is found without being read.
    Column("digest", LargeBinary, nullable=False),
    Column("language", String(20), nullable=False),
    Column("import_id", Id, nullable=False),
    # Since when the far side says that there is no such address: it is written to no more until its owner asks anew.
    Column("gone_at", UtcTime),
    # What its owner chose; as it comes, of any severity, unless he said otherwise. Minutes are of the local day.
    Column(
        "least", Integer, nullable=False, server_default=text("0")
    ),  # rank of the mildest severity
    Column("quiet_from", Integer),
    Column("quiet_to", Integer),
    Column("summary_at", Integer),
    UniqueConstraint("channel", "digest"),
    Index(
        "ix_subscriber_gone",
        "channel",
        sqlite_where=text("gone_at IS NOT NULL"),
        postgresql_where=text("gone_at IS NOT NULL"),
    ),
    # Who does not simply get everything at once: few, and found without looking at the others.
    Index(
        "ix_subscriber_chooses",
        "channel",
        "id",
        sqlite_where=text("least > 0 OR quiet_from IS NOT NULL OR summary_at IS NOT NULL"),
        postgresql_where=text("least > 0 OR quiet_from IS NOT NULL OR summary_at IS NOT NULL"),
    ),
    sqlite_autoincrement=True,
)

subscription = Table(
    "subscription",
    metadata,
    Column("id", Id, primary_key=True),
    Column("subscriber_id", Id, ForeignKey("subscriber.id", ondelete="CASCADE"), nullable=False),
    Column("channel", String(80), nullable=False),
    Column("area", String(80), nullable=False),
    UniqueConstraint("subscriber_id", "area"),
    Index("ix_subscription_area", "channel", "area", "subscriber_id", "id"),
    sqlite_autoincrement=True,
)

import_run = Table(
    "import_run",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("channel", String(80), nullable=False),
    Column("source", Text, nullable=False),
    Column("legal_basis", Text, nullable=False),
    Column("added", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("refused", Integer, nullable=False),
)

due = Table(
    "due",
    metadata,
    Column("id", Id, primary_key=True),
    Column("what", String(16), nullable=False),  # remind, due, grace, release, open, close
    Column("incident_id", Id, nullable=False),
    Column("update_id", Id),
    Column("due_at", UtcTime, nullable=False),
    Column("done_at", UtcTime),
    Column("cancelled_at", UtcTime),
    Column("lease_until", UtcTime),
    Column("outcome", Text, nullable=False),
    Index("ix_due_update", "update_id"),
    Index(
        "ix_due_open",
        "due_at",
        sqlite_where=text("done_at IS NULL AND cancelled_at IS NULL"),
        postgresql_where=text("done_at IS NULL AND cancelled_at IS NULL"),
    ),
    Index("ix_due_incident", "incident_id"),
)

channel_state = Table(
    "channel_state",
    metadata,
    Column("channel", String(80), primary_key=True),
    Column("parked_at", UtcTime),
    Column("parked_because", Text, nullable=False),
    Column("paused_at", UtcTime),
    Column("probed_at", UtcTime),
    Column("probe_good", Boolean),
    Column("probe_sentence", Text, nullable=False),
    Column("limits", JSON, nullable=False),
    Column("resumed_at", UtcTime),
)

node = Table(
    "node",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("started_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("config_digest", String(64), nullable=False),
)

board_progress = Table(
    "board_progress",
    metadata,
    Column("node", String(80), primary_key=True),
    Column("channel", String(80), primary_key=True),
    Column("rev_epoch", Integer, nullable=False),
    Column("rev_n", BigInteger, nullable=False),
    Column("shown_at", UtcTime, nullable=False),
)

token = Table(
    "token",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Text, nullable=False),  # a person's
    Column("role", String(8), nullable=False),
    Column("areas", JSON, nullable=False),  # [] means every area
    Column("digest", String(64), nullable=False, unique=True),
    Column("prefix", String(16), nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
    Column("used_at", UtcTime),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("token_id", Id, primary_key=True, autoincrement=False),
    Column("method", String(8), primary_key=True),
    Column("path", String(300), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("body_digest", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("answer", JSON, nullable=False),
    Column("at", UtcTime, nullable=False),
    Index("ix_idempotency_at", "at"),
)

inbound = Table(
    "inbound",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel", String(80), nullable=False),
    Column("received_at", UtcTime, nullable=False),
    Column("method", String(8), nullable=False),
    Column("path", Text, nullable=False),
    Column("query", Text, nullable=False),
    Column("headers", JSON, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("state", String(10), nullable=False),  # waiting, done, unmatched, unreadable
    Column("detail", Text, nullable=False),
    Index(
        "ix_inbound_open",
        "due_at",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
)

# SHA-256 over the seal before it and this row; null: not sealed yet.
audit = Table(
    "audit",
    metadata,
    Column("id", Id, primary_key=True),
    Column("at", UtcTime, nullable=False),
    Column("actor", Text, nullable=False),
    Column("act", String(40), nullable=False),
    Column("subject", Text, nullable=False),  # an opaque id or name, never an address or a text
    Column("detail", JSON, nullable=False),
    Column("seal", String(64)),
    Index(
        "ix_audit_unsealed",
        "id",
        sqlite_where=text("seal IS NULL"),
        postgresql_where=text("seal IS NULL"),
    ),
    sqlite_autoincrement=True,
)
