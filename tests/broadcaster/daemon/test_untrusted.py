"""From a certificate that ended to whoever mends it: the channel stops, another takes over, staff are told where and why."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from broadcaster.daemon.watching import Watch
from broadcaster.domain.delivery import State
from broadcaster.telemetry import Metrics
from broadcaster.testing.rig import Rig, mastodon, webhook
from broadcaster.testing.servers import WEBHOOK_SECRET, MastodonServer, WebhookReceiver
from broadcaster.testing.tls import Authority, TlsEnd


def test_a_certificate_that_ended_stops_its_channel_and_staff_hear_of_it_while_another_speaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with ExitStack() as stack:
        far = stack.enter_context(TlsEnd(authority.certificate(expired=True)))
        social = stack.enter_context(MastodonServer())
        staff = stack.enter_context(WebhookReceiver())
        hook = {"kind": "webhook", "url": far.url, "secret": WEBHOOK_SECRET, "fallback": ["social"]}
        blocks = {
            "hook": hook,
            "social": mastodon(social),
            "ops": webhook(staff, audience="staff"),
        }
        rig = stack.enter_context(Rig(tmp_path, blocks))
        metrics = Metrics()
        watch = Watch(
            rig.desk,
            rig.engine,
            metrics,
            "n1",
            lambda _: 1,
            lambda: False,
            lambda: None,
            timedelta,
            lambda: "",
        )

        rig.say("Strömmen är borta.")
        rig.until(lambda: rig.is_parked("hook") and rig.state("hook") == State.WAITING)
        rig.sweep()
        rig.accepted("social")

        [state] = [one for one in watch.look() if one.what == "parked"]
        assert state.where == "hook"
        labels = {"what": "parked", "where": "hook"}
        assert metrics.registry.get_sample_value("broadcaster_degraded", labels) == 1
        rig.accepted("ops", incident="S0")
        told = " ".join(staff.texts("webhook"))
        assert "hook" in told
        assert "Certifikatet för 127.0.0.1 godtas inte (certificate has expired)" in told
        assert far.requests == []

        far.renew(authority.certificate())
        rig.resume("hook")
        rig.say("Söder.", area=("sodra-ekbyn",))
        rig.accepted("hook", incident="A2")
        assert [one for one in watch.look() if one.what == "parked"] == []
    assert len([request for request in far.requests if request]) == 1
