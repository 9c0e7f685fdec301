"""What residents asked for themselves: that they want letters, the proof of it, and letters that are theirs alone."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    literal_column,
    text,
)

from broadcaster.store.tables.base import Id, UtcTime, metadata

opt_in = Table(
    "opt_in",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel", String(80), nullable=False),
    Column("address", LargeBinary, nullable=False),  # AEAD ciphertext
    Column("key_id", String(16), nullable=False),
    Column("digest", LargeBinary, nullable=False),  # HMAC of the address, as in subscriber
    Column("token", String(64), nullable=False, unique=True),  # SHA-256 of what the letter carries
    Column("choices", JSON, nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Column("used_at", UtcTime),
    Index("ix_opt_in_address", "channel", "digest", "asked_at"),
    Index("ix_opt_in_expires", "expires_at"),
    sqlite_autoincrement=True,
)

# The proof, and nothing else: it outlives the address, and names nobody without the store key.
consent = Table(
    "consent",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel", String(80), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("given_at", UtcTime, nullable=False),
    Column("given_by", String(16), nullable=False),  # link, keyword, browser
    Column("words", String(64), nullable=False),  # SHA-256 of the sentence that was agreed to
    Column("ended_at", UtcTime),
    Column("ended_by", String(16), nullable=False),  # "" while it stands
    Index("ix_consent_address", "channel", "digest"),
    sqlite_autoincrement=True,
)

# A letter to one person that is no update: a confirmation to be given, an answer to a word by SMS, a summary.
personal_letter = Table(
    "personal_letter",
    metadata,
    Column("id", Id, primary_key=True),
    Column("channel", String(80), nullable=False),
    Column("what", String(12), nullable=False),  # confirm, answer, manage, summary
    Column("address", LargeBinary, nullable=False),  # AEAD ciphertext
    Column("key_id", String(16), nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column(
        "text", LargeBinary, nullable=False
    ),  # subject and body as one ciphertext: tokens stand in it
    Column("language", String(20), nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),  # of one that has ended: when it did
    Column("not_after", UtcTime, nullable=False),
    Column(
        "state", String(10), nullable=False
    ),  # waiting, sending, accepted, failed, uncertain, expired
    Column("attempts", Integer, nullable=False),
    Column("lease_token", String(16)),
    Column("lease_until", UtcTime),
    Column("detail", Text, nullable=False),
    Index(
        "ix_personal_letter_open",
        "channel",
        "what",
        "due_at",
        sqlite_where=text("state IN ('waiting', 'sending')"),
        postgresql_where=text("state IN ('waiting', 'sending')"),
    ),
    Index("ix_personal_letter_address", "channel", "digest"),
    sqlite_autoincrement=True,
)


def personal_is_open() -> ColumnElement[bool]:
    """Whether a letter to one person waits or is being sent: in the words of its index, as `is_open` of deliveries."""
    states: list[ColumnElement[str]] = [literal_column(f"'{each}'") for each in PERSONAL_OPEN]
    return personal_letter.c.state.in_(states)


PERSONAL_OPEN = ("waiting", "sending")

# Words that a subscriber was not told because it was quiet, or because he wants them all at once: a summary tells them. The
# row stays, as that of a letter does: if the word was wrong, he is put right.
left_out = Table(
    "left_out",
    metadata,
    Column(
        "subscriber_id",
        Id,
        ForeignKey("subscriber.id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column(
        "update_id",
        Id,
        ForeignKey("incident_update.id"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("due_at", UtcTime),  # when its summary goes; NULL: a summary has told it
    Index("ix_left_out_due", "due_at", "subscriber_id"),
    Index("ix_left_out_update", "update_id", "due_at"),
)

# How much of what was spent within which window: fuses never count rows.
spent = Table(
    "spent",
    metadata,
    Column("what", String(120), primary_key=True),
    Column("span", String(20), primary_key=True),  # such as 2026-11-24T14, UTC
    Column("amount", Id, nullable=False),
    Column("money", Id, nullable=False),  # hundredths of the currency
    Column("until", UtcTime, nullable=False),  # from then on it is of no use
    Index("ix_spent_until", "until"),
)
