"""What a process of its own costs an adapter: `python -m tests.bench.own_process`.

The same adapters and stand-in far ends, once in this process and once in their own; the figure to read is the ratio.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from broadcaster.channel import Attempt, ChannelContext, Letter
from broadcaster.ownprocess import Found, Lives, Opening, apart, plain
from broadcaster.registry.kinds import adapter_class, entries
from broadcaster.testing.notices import attempt, context, message, notice
from broadcaster.testing.rig import numbers, sms, webhook

_FAR = """
import sys
from broadcaster.testing.servers import SmsGateway, WebhookReceiver
with WebhookReceiver() as receiver, SmsGateway(preset="kannel", user="u", password="p") as gateway:
    print(receiver.url, gateway.url, sep="\\n", flush=True)
    sys.stdin.read()
"""
LETTERS, POSTS = 2_000, 200


def here(block: Mapping[str, Any], surroundings: ChannelContext) -> Any:
    kind = adapter_class(entries()[block["kind"]])
    return kind(kind.Settings.model_validate(block), surroundings)


def there(block: Mapping[str, Any], surroundings: ChannelContext) -> Any:
    opening = Opening(block["kind"], dict(block), dict(block), "/", plain(surroundings))
    lives = Lives(opening, 2**29)
    found = lives.look()
    assert isinstance(found, Found)
    return apart(found, opening, lives)


def median_us(call: Any, times: int) -> float:
    spans = []
    for number in range(times):
        began = time.perf_counter()
        call(number)
        spans.append(time.perf_counter() - began)
    return statistics.median(spans) * 1e6


def letters_a_second(adapter: Any) -> float:
    def pull() -> Iterator[Letter]:
        for number, address in enumerate(numbers(LETTERS)):
            yield Letter(key=f"1.1.{number}", address=address, body="Avbrott.", language="sv")

    circumstances: Attempt = attempt(deadline=60.0)
    began = time.perf_counter()
    sent = sum(outcome.receipt is not None for _, outcome in adapter.send(pull(), circumstances))
    assert sent == LETTERS
    return sent / (time.perf_counter() - began)


@dataclass(frozen=True)
class Elsewhere:
    """A far end in another process: here it would share the interpreter's lock with what is measured."""

    url: str


@contextlib.contextmanager
def far_ends() -> Iterator[tuple[Any, Any]]:
    with subprocess.Popen(
        [sys.executable, "-c", _FAR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as far:
        assert far.stdout is not None
        yield Elsewhere(far.stdout.readline().strip()), Elsewhere(far.stdout.readline().strip())
        far.communicate()


def measured(make: Any) -> dict[str, float]:
    with far_ends() as (receiver, gateway):
        began = time.perf_counter()
        post, letter = make(webhook(receiver), context()), make(sms(gateway), context())
        found = {"start of two, ms": (time.perf_counter() - began) * 1e3}
        body = post.render(notice(), {}).texts[0].payload
        found["render, us"] = median_us(lambda _: post.render(notice(), {}), POSTS)
        found["post, us"] = median_us(
            lambda n: post.post(message(key=f"msg_{n}", payload=body), attempt()), POSTS
        )
        found["address, us"] = median_us(lambda _: letter.address("0701740605"), POSTS)
        found["letters a second"] = letters_a_second(letter)
        post.close()
        letter.close()
    return found


def main() -> None:
    """Print the table."""
    inside, outside = measured(here), measured(there)
    print("| | in the daemon | own process | ratio |\n|---|---|---|---|")
    for what, figure in inside.items():
        print(f"| {what} | {figure:.0f} | {outside[what]:.0f} | {outside[what] / figure:.2f} |")


if __name__ == "__main__":
    main()
