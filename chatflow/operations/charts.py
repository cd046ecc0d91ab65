"""Small charts, as SVG that the server makes: no script, no library, and both colours of a page."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

# In the units of the drawing; a page makes it as wide as there is room.
WIDTH, HEIGHT = 280, 96
TOP, BOTTOM = 14, 14


@dataclass(frozen=True)
class Series:
    """What a chart shows of one thing.

    Args:
        name: its word in the legend; also its class, for its colour.
        values: one for each slot of time; None where there is none.
    """

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True)
class Chart:
    """A drawing of some series over the same slots of time.

    Args:
        key: its own on the page.
        title: what it shows.
        summary: the same as its figures tell it, in a sentence.
        series: what is drawn; bars stand on one another in this order.
        top: the largest value, in words.
        times: the times of the first slot and of the last one.
        is_stacked: whether it has bars; else it has lines.
    """

    key: str
    title: str
    summary: str
    series: Sequence[Series]
    top: str
    times: tuple[str, str]
    is_stacked: bool = True

    def svg(self) -> SafeString:
        """Draw it."""
        most = self.most()
        drawn = self._bars(most) if self.is_stacked else self._lines(most)
        base = HEIGHT - BOTTOM
        return format_html(
            '<svg class="overview-chart" viewBox="0 0 {} {}" role="img"'
            ' aria-labelledby="chart-{}-title chart-{}-desc">'
            '<title id="chart-{}-title">{}</title><desc id="chart-{}-desc">{}</desc>'
            '<line class="overview-axis" x1="0" y1="{}" x2="{}" y2="{}"></line>{}'
            '<text x="0" y="9">{}</text><text x="0" y="{}">{}</text>'
            '<text x="{}" y="{}" text-anchor="end">{}</text></svg>',
            WIDTH,
            HEIGHT,
            *(self.key, self.key, self.key, self.title, self.key, self.summary),
            *(base + 0.5, WIDTH, base + 0.5, drawn),
            *(self.top if most else "", HEIGHT - 3, self.times[0]),
            *(WIDTH, HEIGHT - 3, self.times[1]),
        )

    def most(self) -> float:
        """Return the largest value, of bars the largest sum."""
        slots = zip(*(series.values for series in self.series), strict=True)
        join = sum if self.is_stacked else max
        return max((join(each or 0 for each in slot) for slot in slots), default=0)

    def _bars(self, most: float) -> SafeString:
        step = WIDTH / max(1, len(self.series[0].values))
        drawn: list[tuple[str, str, str, str, str]] = []
        tops = [0.0] * len(self.series[0].values)
        for series in self.series:
            for place, value in enumerate(series.values):
                if not value:
                    continue
                height = value / most * (HEIGHT - TOP - BOTTOM)
                tops[place] += height
                x, y = place * step + step * 0.1, HEIGHT - BOTTOM - tops[place]
                drawn.append(
                    (series.name, f"{x:.1f}", f"{y:.1f}", f"{step * 0.8:.1f}", f"{height:.1f}")
                )
        return format_html_join(
            "", '<rect class="overview-{}" x="{}" y="{}" width="{}" height="{}"></rect>', drawn
        )

    def _lines(self, most: float) -> SafeString:
        step = WIDTH / max(1, len(self.series[0].values))
        drawn = []
        for series in self.series:
            way, follows = [], False
            for place, value in enumerate(series.values):
                if value is None:
                    follows = False
                    continue
                x = (place + 0.5) * step
                y = HEIGHT - BOTTOM - (value / most if most else 0) * (HEIGHT - TOP - BOTTOM)
                # One by itself is a dot: a line of no length, with round ends.
                way.append(f"{'L' if follows else 'M'}{x:.1f} {y:.1f}" + ("" if follows else "h0"))
                follows = True
            if way:
                drawn.append((series.name, " ".join(way)))
        return format_html_join("", '<path class="overview-{}" d="{}"></path>', drawn)
