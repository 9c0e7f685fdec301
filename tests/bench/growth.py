"""Draws how costs grow: `python -m tests.bench.growth var/bench.curves.json docs/growth.svg`.

Panels side by side, both axes logarithmic; readable on light and on dark ground.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, GAP = 300, 260, 64, 54, 56
_DASHES = ("", "6 4", "2 3", "9 3 2 3")
_SIZES = {"history": "updates of history", "subscribers": "subscribers", "open": "open incidents"}
_STYLE = """
svg{background:#fff;color:#1c2a35;--a:#0b5fa5;--b:#b3480a;--c:#1f7a3d;--d:#7b3fa0}
@media(prefers-color-scheme:dark){svg{background:#10161b;color:#dde6ec;--a:#6db7f2;--b:#f09a5c;--c:#6fd18f;--d:#cf9df0}}
text{fill:currentColor;font-size:12px}.t{font-size:14px;font-weight:600}.g{stroke:currentColor;opacity:.22}
.x{stroke:currentColor;opacity:.7}path{fill:none;stroke-width:2}
.l0{stroke:var(--a)}.l1{stroke:var(--b)}.l2{stroke:var(--c)}.l3{stroke:var(--d)}
circle.l0{fill:var(--a)}circle.l1{fill:var(--b)}circle.l2{fill:var(--c)}circle.l3{fill:var(--d)}
text.l0{fill:var(--a)}text.l1{fill:var(--b)}text.l2{fill:var(--c)}text.l3{fill:var(--d)}text[class^=l]{stroke:none}
"""
Costs = Mapping[str, Mapping[str, float]]


class Panel:
    """One field of the drawing; places of values in it, in SVG's units."""

    def __init__(self, number: int, title: str, costs: Costs) -> None:
        self.left = LEFT + number * (WIDTH + GAP)
        self.title, self.costs = title, costs
        sizes = [float(size) for by_size in costs.values() for size in by_size]
        times = [ms for by_size in costs.values() for ms in by_size.values()]
        self._x = _decades(min(sizes), max(sizes))
        self._y = _decades(min(times), max(times))

    def x(self, size: float) -> float:
        """From the left."""
        low, high = self._x
        return self.left + WIDTH * (math.log10(size) - low) / (high - low)

    def y(self, ms: float) -> float:
        """From the top."""
        low, high = self._y
        return TOP + HEIGHT * (1 - (math.log10(ms) - low) / (high - low))

    def draw(self) -> Iterator[str]:
        """Title, grid, axes, a line for each quantity with its name."""
        yield f'<text class="t" x="{self.left}" y="{TOP - 22}">{escape(self.title)}</text>'
        yield f'<text x="{self.left}" y="{TOP - 6}">milliseconds</text>'
        bottom = TOP + HEIGHT
        for power in range(self._y[0], self._y[1] + 1):
            at = self.y(10.0**power)
            yield f'<line class="g" x1="{self.left}" x2="{self.left + WIDTH}" y1="{at:.1f}" y2="{at:.1f}"/>'
            yield f'<text x="{self.left - 8}" y="{at + 4:.1f}" text-anchor="end">{10.0**power:g}</text>'
        for power in range(self._x[0], self._x[1] + 1):
            at = self.x(10.0**power)
            yield f'<line class="g" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}"/>'
            yield f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{10**power:,}</text>'
        what = _SIZES[self.title.split(",")[0].split(" ")[0]]
        yield f'<text x="{self.left + WIDTH / 2}" y="{bottom + 38}" text-anchor="middle">{what}</text>'
        yield f'<path class="x" d="M{self.left} {TOP}V{bottom}H{self.left + WIDTH}"/>'
        for number, (name, by_size) in enumerate(self.costs.items()):
            yield from self._line(number, name, by_size)

    def _line(self, number: int, name: str, by_size: Mapping[str, float]) -> Iterator[str]:
        places = [(self.x(float(size)), self.y(ms)) for size, ms in by_size.items()]
        way = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
        yield f'<path class="l{number}" stroke-dasharray="{_DASHES[number]}" d="M{way}"/>'
        yield from (
            f'<circle class="l{number}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places
        )
        at = TOP + HEIGHT + 58 + 17 * number
        yield (
            f'<path class="l{number}" stroke-dasharray="{_DASHES[number]}" '
            f'd="M{self.left} {at - 4}h34"/><text class="l{number}" x="{self.left + 42}" y="{at}">{escape(name)}</text>'
        )


def _decades(least: float, most: float) -> tuple[int, int]:
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))
    return low, max(high, low + 1)


def draw(curves: Mapping[str, Costs]) -> str:
    """The whole drawing: a panel for each group of costs."""
    panels = [Panel(number, title, costs) for number, (title, costs) in enumerate(curves.items())]
    width = LEFT + len(panels) * (WIDTH + GAP)
    told = "How the cost of an accept, a claim, a page and a feed grows; a level line is a cost that does not grow"
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + HEIGHT + 122}" role="img" '
                f'aria-labelledby="growth-title" font-family="system-ui, sans-serif">'
            ),
            f'<title id="growth-title">{told}</title>',
            f"<style>{_STYLE}</style>",
            *(line for panel in panels for line in panel.draw()),
            "</svg>\n",
        ]
    )


def main(words: Sequence[str]) -> None:
    """Read the curves, write the drawing."""
    source, target = map(Path, words)
    target.write_text(draw(json.loads(source.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
