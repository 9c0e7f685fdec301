"""Yesterday's backup is put over a store that was well: nothing that went out since goes out again."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broadcaster.store import StoreLocked, backups, dues
from broadcaster.testing.builders import KEY
from broadcaster.testing.history import LABEL
from broadcaster.testing.published import look
from broadcaster.testing.rig import Rig, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import FarEnd, MastodonServer, SmsGateway, WebhookReceiver, hang

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(300)]
READERS = 20


def came(far: FarEnd, kind: str) -> Counter[str]:
    """How often each word came; what carries no label (a holding message) under its whole text."""
    texts = far.texts(kind)
    return Counter(found[0] if (found := LABEL.findall(text)) else text for text in texts)


def nothing_is_due(rig: Rig) -> bool:
    """Whether everything whose time has come was done."""
    due_at = rig.store.read(dues.next_due_at)
    return due_at is None or due_at > rig.clock()


def test_nothing_that_was_sent_goes_out_again_after_yesterdays_backup_is_restored(
    tmp_path: Path, store_url: str
) -> None:
    backup, public = tmp_path / "backup", tmp_path / "public"
    erasures, heads = tmp_path / "erasures", tmp_path / "audit-head"
    readers = numbers(READERS)
    with MastodonServer() as social, WebhookReceiver() as hook, SmsGateway() as phones:
        channels = {
            "social": mastodon(social),
            "hook": webhook(hook),
            "sms": sms(phones),
            "page": {"kind": "page"},
        }
        with Rig(tmp_path, channels, url=store_url) as rig:
            rig.subscribe("sms", readers)
            rig.say("Läge i1u1.")
            for name in channels:
                rig.accepted(name)
            for far in (social, hook, phones):
                far.always(hang().after_effect())
            rig.say("Läge i2u1.")
            hook.wait_for(2)
            phones.wait_for(READERS + 1)
            # All of it is under way, or has not begun.
            backups.create(rig.store, backup, datetime.now(UTC))
            for far in (social, hook, phones):
                far.heal()
                far.release()
            rig.say("Läge i3u1.")
            for incident in ("A2", "A3"):
                for name in channels:
                    rig.accepted(name, incident=incident)
        before = look(public, "page")
        until = time.monotonic() + 20
        while True:
            try:
                backups.restore(store_url, backup, KEY, datetime.now(UTC), erasures, heads)
                break
            except StoreLocked:  # PostgreSQL has not yet seen that the other connections are closed
                assert time.monotonic() < until
                time.sleep(0.1)  # PostgreSQL tells nobody that it has let go of a connection
        with Rig(tmp_path, channels, url=store_url) as rig:
            told = rig.say("Läge i4u1.", next=rig.clock() + timedelta(hours=6))
            for name in channels:
                rig.accepted(name, incident=told["incident"])
            rig.pass_by(minutes=55)  # past what was promised, and the grace
            rig.until(lambda: nothing_is_due(rig))
    labels = [f"i{number}u1" for number in range(1, 5)]
    assert came(hook, "webhook") == dict.fromkeys(labels, 1)
    assert came(social, "status") == dict.fromkeys(labels, 1)
    assert came(phones, "sms") == dict.fromkeys(labels, READERS)
    assert told["incident"] not in ("A1", "A2", "A3")
    after = look(public, "page")
    assert after.torn == ()
    assert before.revision is not None
    assert after.revision is not None
    assert after.revision > before.revision
