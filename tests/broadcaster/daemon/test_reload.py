"""SIGHUP: what a new configuration changes at once, and what it may not change without a restart."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from broadcaster.daemon import starting
from broadcaster.daemon.running import Daemon
from broadcaster.store import Store, nodes
from broadcaster.telemetry import Redaction
from broadcaster.testing.blank import blank
from broadcaster.testing.rig import configuration, webhook
from broadcaster.testing.servers import WebhookReceiver


def write(folder: Path, channels: dict[str, Any], **further: Any) -> Path:
    path, key = folder / "broadcaster.yaml", folder / "store.key"
    document = configuration(folder, channels, **further)
    key.write_text(document["store"]["key"], "utf-8")
    key.chmod(0o600)
    document["store"]["key"] = f"file:{key}"
    path.write_text(json.dumps(document), "utf-8")
    path.chmod(0o600)
    return path


def reloaded(path: Path, change: Any) -> tuple[Daemon, Store]:
    """A daemon whose configuration is changed and read again; its listeners were never opened."""
    loaded, configured = starting.configure(path)
    store = starting.open_store(loaded.settings)
    daemon = Daemon(loaded, configured, store, Redaction())

    async def run() -> None:
        change()
        await daemon.reload()
        await daemon.engine.stop()

    asyncio.run(run())
    return daemon, store


def test_another_mode_takes_a_restart(tmp_path: Path) -> None:
    with WebhookReceiver() as far:
        channels = {"hook": webhook(far)}
        path = write(tmp_path, channels, mode="demo")
        before = starting.configure(path)[1]
        drill = {**channels, "second": webhook(far)}
        daemon, store = reloaded(path, lambda: write(tmp_path, drill, mode="drill"))
        assert starting.configure(path)[1].settings.mode == "drill"  # it is a good file
        assert daemon.desk.configuration.settings.mode == "demo"
        assert daemon.desk.configuration.adapters.keys() == before.adapters.keys()
        store.close()


def degraded(daemon: Daemon) -> set[str]:
    return {state.what for state in daemon._watch.look()}


def test_a_file_that_was_refused_is_a_degraded_state_until_a_good_one_is_read(
    tmp_path: Path,
) -> None:
    with WebhookReceiver() as far:
        path = write(tmp_path, {"hook": webhook(far)})
        good = path.read_text("utf-8")
        daemon, store = reloaded(path, lambda: path.write_text("channels: [", "utf-8"))
        assert "reload" in degraded(daemon)
        path.write_text(good, "utf-8")
        asyncio.run(daemon.reload())
        assert "reload" not in degraded(daemon)
        store.close()


def test_the_other_nodes_learn_which_configuration_is_in_force_after_a_reload(
    tmp_path: Path,
) -> None:
    with WebhookReceiver() as far:
        path = write(tmp_path, {"hook": webhook(far)})
        wider = {"hook": webhook(far), "second": webhook(far)}
        daemon, store = reloaded(path, lambda: write(tmp_path, wider))
        (known,) = store.read(nodes.listing)
        assert known.config_digest == daemon.desk.configuration.digest
        assert known.config_digest == starting.configure(path)[1].digest
        store.close()


def test_a_reload_warns_of_routes_with_too_few_independent_ways(tmp_path: Path) -> None:
    with WebhookReceiver() as far:
        channels = {"hook": webhook(far), "spare": webhook(far)}
        live = {"mode": "live", "redundancy": {"minimum": 2}}
        path = write(tmp_path, channels, **live)
        blank(tmp_path / "broadcaster.db")
        with capture_logs() as logs:
            _, store = reloaded(path, lambda: write(tmp_path, channels, **live))
        said = [line["reason"] for line in logs if line["event"] == "few independent ways"]
        assert [sentence.partition(":")[0] for sentence in said] == [
            "minor updates go by 1 of the 2 independent ways wanted (hook, spare)"
        ]
        store.close()
