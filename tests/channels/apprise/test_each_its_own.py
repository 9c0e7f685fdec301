"""Several addresses by one block: what befalls one is known as its own and touches no other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from broadcaster.channel import Kind
from broadcaster.domain.delivery import State
from broadcaster.testing.rig import Rig, configuration, webhook
from broadcaster.testing.servers import WebhookReceiver, answers, performed_not_answered
from broadcaster.testing.servers.chats import Chats


def address(far: Chats, name: str) -> str:
    return f"json://{far.host}:{far.port}/{name}"


@pytest.mark.timeout(90)
@pytest.mark.parametrize("own_process", [False, True])
def test_one_that_refuses_one_in_doubt_and_one_that_takes_it_are_three_channels(
    tmp_path: Path, own_process: bool
) -> None:
    with Chats() as far, WebhookReceiver() as spare:
        urls = {name: address(far, name) for name in ("club", "duty", "press")}
        chat = {"kind": "apprise", "urls": urls, "own_process": own_process, "fallback": ["spare"]}
        far.always(answers(401), path="/club")
        far.next(performed_not_answered(), path="/duty")
        with Rig(tmp_path, {"chat": chat, "spare": webhook(spare)}) as rig:
            assert set(rig.adapters) == {"chat-club", "chat-duty", "chat-press", "spare"}
            rig.say("Montör på väg.")
            rig.reached(State.ACCEPTED, channel="chat-press")
            rig.reached(State.UNCERTAIN, channel="chat-duty")
            rig.until(lambda: rig.is_parked("chat-club"))
            assert not rig.is_parked("chat-press")
            assert not rig.is_parked("chat-duty")
            spare.wait_for(lambda receiver: bool(receiver.effects))  # in place of the one alone
            far.heal()
            rig.resume("chat-club")
            rig.say("Ström åter.", incident="A1", kind=Kind.RESTORED)
            for name in urls:
                rig.accepted(f"chat-{name}", 2)
        kinds = [effect.kind for effect in far.effects]
        assert kinds.count("press") == 2
        assert kinds.count("duty") == 2  # what was in doubt was not sent again


SCRIPT = """
import sys
from pathlib import Path
from broadcaster.registry import build
from broadcaster.settings import load
adapters = build(load(Path(sys.argv[1]), {}))
assert set(adapters) == {"chat-club", "chat-press"}, set(adapters)
assert adapters["chat-club"].hosts() == ("127.0.0.1",)
for adapter in adapters.values():
    adapter.close()
sys.exit("apprise" in sys.modules)
"""


@pytest.mark.timeout(90)
def test_in_processes_of_their_own_the_daemon_loads_nothing_of_apprise(tmp_path: Path) -> None:
    urls = {"club": "json://127.0.0.1:1/x", "press": "json://127.0.0.1:1/y"}
    chat = {"kind": "apprise", "urls": urls, "own_process": True}
    path = tmp_path / "broadcaster.yaml"
    path.write_text(json.dumps(configuration(tmp_path, {"chat": chat})), "utf-8")
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(path)], check=False, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
