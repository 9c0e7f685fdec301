"""What an Apprise address stands for: whether one channel can be made of it, and the plugin that speaks to it."""

from __future__ import annotations

import logging
import re
import sys
import warnings
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, unquote

import apprise
from apprise.manager_attachment import AttachmentManager
from apprise.plugins import N_MGR

from channels.apprise.errand import STAND_IN, Rehearsal, take_over

_PLUGINS: Any = N_MGR  # of Apprise's registries one says that it is untyped
_ATTACHMENTS: Any = AttachmentManager()  # type: ignore[no-untyped-call]  # as above
_OTHERS = frozenset({"apprise_api", "nostr"})
"""Plugins that would speak to several behind one address, or by connections of their own besides HTTP."""
_OURS = frozenset(
    {"emojis", "format", "optional", "overflow", "retry", "store", "template", "verify", "wait"}
)
"""What an address may not set: how often, how long and in which form is told by the engine and the message."""
_BY_STATUS_ALONE = frozenset(
    {"dingtalk", "feishu", "lark", "qq", "serverchan", "vonage", "wecombot"}
)
"""Plugins that do not read the answer of a service which refuses with a 200."""
_SEEKERS = {"matrix": ("rooms", "users"), "telegram": ("targets",)}
"""Plugins that look for a receiver where none is named (whoever wrote last, every room), and what names one."""
_ADDRESSES = frozenset({"target_phone", "target_phone_no", "target_email"})
"""What a plugin that writes to telephones or mailboxes calls its receivers."""
_SENDERS = ("source", "sender", "from_phone", "from_email", "from_addr")
"""What a plugin keeps its sender's number or mailbox as; its host may well be the receiver, and its user a name of a room."""
_LOST = re.compile(r"[^/]#")
_LINK = re.compile(r"(https?://\S+)")
_MARKS = re.compile(r"[\\`*_\[\]<>~|]|^[-+#=]", re.MULTILINE)
_SHORTEST_SECRET = 4
_REHEARSED = "Strömavbrott i Norra Ekbyn"


class Service:
    """One address. A plugin is made for each message: it keeps state and pauses, and several threads may be at it.

    Args:
        url: the address as Apprise writes it.
        speaker: what a service that cannot do without a title is given as one.

    Raises:
        ValueError: no channel can be made of the address; the message is the end of a sentence for `config check`.
    """

    def __init__(self, url: str, speaker: str = "") -> None:
        _load()
        self._url, self._speaker = url, speaker
        scheme, there, _ = url.lower().partition("://")
        _judge(scheme if there else "", url)
        plugin = self.plugin()
        if plugin is None:
            raise ValueError(
                f"Apprise cannot read this {scheme}:// address: its documentation says what it must hold"
            )
        if plugin.body_max_line_count > 0:
            raise ValueError(
                f"{scheme}:// is not carried here: it shows a few lines and drops the rest"
            )
        targets = max(
            len(plugin) // (plugin.retry + 1), len(getattr(plugin, "targets", None) or ())
        )
        if _seeks(plugin):
            raise ValueError(
                "the address names no receiver, and its plugin would choose one by itself: write the chat or room behind "
                "the token"
            )
        if _writes_to_its_sender(plugin):
            raise ValueError(
                "the address names no receiver, and its plugin would write to the sender's own: write whom it is for "
                "behind the sender"
            )
        if targets > 1:
            raise ValueError(
                f"the address names {targets} receivers, of which one could fail unseen: write one address for each, "
                "under urls"
            )
        self.name = str(plugin.service_name)
        self.most = int(plugin.body_maxlen)
        self.secrets = _secrets(url, plugin)
        self.origin = Rehearsal().of(lambda: self.notify(_REHEARSED))
        if not self.origin:
            raise ValueError(
                f"Apprise calls nobody for this {scheme}:// address: something is missing in it"
            )

    def plugin(self) -> Any:
        """The plugin for this address, None when Apprise cannot make one of it."""
        try:
            return apprise.Apprise.instantiate(self._url, asset=_asset(self._speaker))
        except Exception:  # noqa: BLE001 - a plugin that breaks on an address cannot read it
            return None

    def notify(self, body: str) -> bool:
        """Let a plugin send `body` as plain text, whole; what it asks goes by the errand under way."""
        plugin = self.plugin()
        plugin.throttle = _no_pause
        form = apprise.NotifyFormat.TEXT
        if plugin.resolve_format(form) == apprise.NotifyFormat.MARKDOWN:
            # Apprise would put a \ before every full stop, also of a link, which not every chat takes away again.
            form, body = apprise.NotifyFormat.MARKDOWN, escaped(body)
        return bool(
            plugin.notify(
                body=body,
                body_format=form,
                notify_type=apprise.NotifyType.INFO,
                overflow=apprise.OverflowMode.UPSTREAM,
            )
        )


def escaped(text: str) -> str:
    """`text` so that Markdown (CommonMark 0.31) shows it as it is; its links stay links."""
    parts = _LINK.split(text)  # every second one is a link
    return "".join(part if n % 2 else _MARKS.sub(r"\\\g<0>", part) for n, part in enumerate(parts))


def _no_pause(*_: Any, **__: Any) -> None:
    """The engine keeps the pace."""


@cache
def _load() -> None:
    """Load Apprise's plugins, 0.4 s and some 20 MiB: only where an address is configured."""
    # Its messages hold whole addresses, and with them secrets.
    logging.getLogger("apprise").disabled = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _PLUGINS.load_modules()
        _ATTACHMENTS.load_modules()  # a plugin may fetch a key by one
    take_over()


def _asset(speaker: str) -> apprise.AppriseAsset:
    """How plugins call themselves; no picture of a third party, no file written, no symbol read into a text."""
    return apprise.AppriseAsset(
        app_id="crisis-broadcaster",
        app_desc=speaker or "crisis-broadcaster",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        interpret_emojis=False,
        interpret_escapes=False,
        pem_autogen=False,
        pgp_autogen=False,
        http_redirects=False,
        secure_logging=True,
    )


def _judge(scheme: str, url: str) -> None:
    """Refuse an address whose plugin does not speak by HTTP alone, to one receiver."""
    if not scheme or scheme not in _PLUGINS:
        raise ValueError("Apprise knows no such service: its list says how the address begins")
    of_plugins = _modules(_PLUGINS[scheme])
    names = {name.split(".")[2] for name in of_plugins}
    if names & _OTHERS or not any(map(_by_http, of_plugins)):
        raise ValueError(
            f"{scheme}:// is not carried here: it does not speak by HTTP alone, or to several behind one answer"
        )
    if names & _BY_STATUS_ALONE:
        raise ValueError(
            f"{scheme}:// is not carried here: its yes cannot be told, for the service refuses with a 200 that Apprise does "
            "not read"
        )
    if _LOST.search(url.partition("?")[0]):
        raise ValueError(
            "Apprise leaves out what stands behind a # within a name: write one address for each receiver, under urls, "
            "and %23 for a # that is part of a name"
        )
    # Apprise takes all behind the first ? for options, also behind a #room.
    given = {name.lower() for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True)}
    if wrong := sorted(given & _OURS):
        raise ValueError(
            f"the address must not set {', '.join(wrong)}: that is the broadcaster's to decide"
        )


def _modules(plugin: type) -> list[str]:
    names = [cls.__module__ for cls in plugin.__mro__]
    return [name for name in names if name.startswith("apprise.plugins.")]


def _seeks(plugin: Any) -> bool:
    """Whether it would look for a receiver by itself."""
    names = {name.split(".")[2] for name in _modules(type(plugin))} & set(_SEEKERS)
    # A webhook of Matrix belongs to its room.
    if not names or getattr(plugin, "mode", "off") != "off":
        return False
    return not any(getattr(plugin, of, None) for name in names for of in _SEEKERS[name])


def _writes_to_its_sender(plugin: Any) -> bool:
    """Whether a text message or e-mail goes to whoever sends it: Apprise does so where no receiver can be read."""
    receivers = list(getattr(plugin, "targets", None) or ())
    if not receivers:
        return bool(_ADDRESSES & set(plugin.template_tokens)) and hasattr(plugin, "targets")
    kept = [getattr(plugin, name, None) for name in _SENDERS]
    own = {value.lstrip("+") for value in kept if isinstance(value, str)}
    # With some it is a name and the mailbox.
    own |= {str(one) for value in kept if isinstance(value, list | tuple) for one in value}
    return all(_address_of(receiver).lstrip("+") in own for receiver in receivers)


def _address_of(receiver: Any) -> str:
    """As the plugins keep it: by itself, or last of several things known of it."""
    return str(receiver[-1] if isinstance(receiver, tuple) and receiver else receiver)


def _by_http(module: str) -> bool:
    return getattr(sys.modules[module], "requests", None) is STAND_IN


def _secrets(url: str, plugin: Any) -> tuple[str, ...]:
    """The address, and each part of it that Apprise would not show."""
    try:
        shown, whole = set(_parts(plugin.url(privacy=True))), plugin.url(privacy=False)
    except Exception:  # noqa: BLE001 - what a plugin does not say of itself is all hidden
        shown, whole = set(), url
    hidden = {part for part in _parts(whole) if part not in shown}
    return (url, *sorted(part for part in hidden if len(part) >= _SHORTEST_SECRET))


def _parts(url: str) -> list[str]:
    return [unquote(part) for part in re.split(r"[/:@?&=]+", url)]
