"""What Prometheus is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """Counters and gauges. Names are in docs/operating.md; labels are channel names, never anything a stranger chose."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._attempts = Counter(
            "broadcaster_attempts",
            "Calls to far sides by outcome.",
            ["channel", "outcome"],
            registry=self.registry,
        )
        self._accepted = Counter(
            "broadcaster_deliveries_accepted",
            "Deliveries a far side accepted.",
            ["channel"],
            registry=self.registry,
        )
        self._letters = Counter(
            "broadcaster_letters_accepted",
            "Letters gateways accepted.",
            ["channel"],
            registry=self.registry,
        )
        self._personal = Counter(
            "broadcaster_personal_letters",
            "Tries of letters to one person, which are no update, by outcome.",
            ["channel", "what", "outcome"],
            registry=self.registry,
        )
        self._fallbacks = Counter(
            "broadcaster_fallbacks",
            "Deliveries another channel took over.",
            ["channel"],
            registry=self.registry,
        )
        self._stumbles = Counter(
            "broadcaster_stumbles",
            "Errors of our own that a channel met; the log says which.",
            ["channel"],
            registry=self.registry,
        )
        self._to_correct = Histogram(
            "broadcaster_time_to_correct_seconds",
            "From a correction's acceptance by us to that by the far side, where the wrong text was.",
            ["channel"],
            buckets=(1, 2, 5, 10, 30, 60, 300, 1800, 7200),
            registry=self.registry,
        )
        self._degraded = Gauge(
            "broadcaster_degraded",
            "1 while something is degraded.",
            ["what", "where"],
            registry=self.registry,
        )
        self._queued = Gauge(
            "broadcaster_deliveries_open",
            "Deliveries not yet final.",
            ["channel"],
            registry=self.registry,
        )
        self._readiness = self._gauge("readiness_score", "Per cent that would work now.")
        self._readiness.set(float("nan"))  # not 0 before the first look: somebody would be woken
        self._ready = self._gauge("channel_ready", "1 ready, 0.5 to be watched, 0 not.", "channel")
        self._certificates = self._gauge("certificate_ends", "When, since 1970.", "host")
        self._changes = Counter(
            "broadcaster_supplier_changes",
            "Times that a supplier of letters took the place of another.",
            ["channel", "supplier"],
            registry=self.registry,
        )
        each = ("channel", "supplier")
        self._health = self._gauge("supplier_health", "How well a supplier does, 0 to 1.", *each)
        self._in_force = self._gauge("supplier_in_force", "1 for whom letters go by.", *each)
        self._counted: Mapping[str, Callable[..., None]] = {
            "attempt": lambda channel, facts: self._attempts.labels(
                channel, facts["outcome"]
            ).inc(),
            "accepted": lambda channel, _: self._accepted.labels(channel).inc(),
            "letters": lambda channel, facts: self._letters.labels(channel).inc(facts["accepted"]),
            "personal": lambda channel, facts: self._personal.labels(
                channel, facts["what"], facts["outcome"]
            ).inc(),
            "fallback": lambda channel, _: self._fallbacks.labels(channel).inc(),
            "stumbled": lambda channel, _: self._stumbles.labels(channel).inc(),
            "corrected": lambda channel, facts: self._to_correct.labels(channel).observe(
                facts["seconds"]
            ),
            "supplier": lambda channel, facts: self._changes.labels(
                channel, facts["supplier"]
            ).inc(),
        }

    def _gauge(self, name: str, about: str, *labels: str) -> Gauge:
        return Gauge(f"broadcaster_{name}", about, labels, registry=self.registry)

    def observe(self, event: str, channel: str, **facts: Any) -> None:
        """Called by the engine; an event nobody counts is passed over."""
        count = self._counted.get(event)
        if count is not None:
            count(channel, facts)

    def degraded(self, states: Iterable[tuple[str, str]]) -> None:
        """Show exactly these degraded states, each (what, where)."""
        self._degraded.clear()
        for what, where in states:
            self._degraded.labels(what, where).set(1)

    def suppliers(self, channel: str, health: Mapping[str, float], in_force: str) -> None:
        """Show how well each supplier of a channel does, and by which its letters go."""
        for supplier, how in health.items():
            self._health.labels(channel, supplier).set(how)
            self._in_force.labels(channel, supplier).set(supplier == in_force)

    def queued(self, numbers: Mapping[str, int]) -> None:
        """Show how many deliveries are open on each channel."""
        self._queued.clear()
        for channel, number in numbers.items():
            self._queued.labels(channel).set(number)

    def readiness(self, score: int, channels: Mapping[str, float | None]) -> None:
        """Show the score and what each channel counts; None: it cannot be asked, and is not shown."""
        self._readiness.set(score)
        self._ready.clear()
        for channel, counts in channels.items():
            if counts is not None:
                self._ready.labels(channel).set(counts)

    def certificates(self, ends: Mapping[str, datetime]) -> None:
        """Show until when the certificate of each host is good."""
        self._certificates.clear()
        for host, at in ends.items():
            self._certificates.labels(host).set(at.timestamp())
