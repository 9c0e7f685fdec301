"""Who was told that power is back goes on reading that it is, when the words of it are put right."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from broadcaster.domain.incident import Kind
from broadcaster.testing.rig import Rig, mastodon, numbers, sms
from broadcaster.testing.servers import MastodonServer, SmsGateway

MakeRig = Callable[..., Rig]


@pytest.mark.parametrize("everywhere", [True, False])
def test_a_correction_of_a_restoration_names_where_power_is_back(
    rig: MakeRig, everywhere: bool
) -> None:
    back = ("norra-ekbyn", "sodra-ekbyn") if everywhere else ("norra-ekbyn",)
    with MastodonServer() as social, SmsGateway(preset="kannel") as phones:
        engine: Rig = rig({"social": mastodon(social), "sms": sms(phones)})
        (north,) = numbers(1)
        engine.subscribe("sms", [north])
        engine.subscribe("sms", numbers(1, start=1), area="sodra-ekbyn")
        engine.say("Strömmen är borta.", area=("norra-ekbyn", "sodra-ekbyn"))
        engine.say("Strömmen är åter.", Kind.RESTORED, area=back)
        engine.accepted("social", 2)
        engine.accepted("sms", 2)
        engine.say("Åter, utom på Storgatan.", Kind.CORRECTION)
        engine.accepted("social", 3)
        engine.accepted("sms", 3)
        text = [effect.text for effect in phones.effects if effect.to == north][-1]
        assert text.startswith("DEMO. RÄTTELSE från Ekbyns Energi: Norra Ekbyn")
        assert "De flesta" not in text
        posts = social.texts("status")
        assert "Strömmen är åter i Norra Ekbyn" in posts[-1]
        assert "Strömavbrott i Södra Ekbyn" not in posts[-1]
        assert ("Fortfarande berört: Södra Ekbyn" in text) is not everywhere
