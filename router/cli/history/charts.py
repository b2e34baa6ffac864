"""The charts of a report: SVG by pygal, in the page's colour variables, so they follow its light or dark theme."""

from collections.abc import Mapping, Sequence
from typing import Any
from unicodedata import east_asian_width
from xml.etree import ElementTree as ET

import pygal
from markupsafe import Markup
from pygal.style import Style

from router.text.characters import visible

WIDTH = 380  # units of about a pixel: the width of a phone, or a third of a desktop window
_LABEL = 13  # units: font size
_BAR = 26  # units: height of each horizontal bar
_SVG = "{http://www.w3.org/2000/svg}"
_AXIS = 50  # units: width of the value axis
_LONGEST_LABEL = 26  # characters


def _style(colours: Sequence[str]) -> Style:
    return Style(
        background="transparent",
        plot_background="transparent",
        foreground="var(--ink)",
        foreground_strong="var(--ink)",
        foreground_subtle="var(--line)",
        guide_stroke_color="var(--line)",
        major_guide_stroke_color="var(--line)",
        guide_stroke_dasharray="1,0",
        major_guide_stroke_dasharray="1,0",
        font_family="inherit",
        colors=tuple(f"var(--{colour})" for colour in colours),
        value_colors=("var(--ink)",) * len(colours),
        opacity="1",
        opacity_hover="1",
        stroke_width="0",
        stroke_width_hover="0",
        transition="0s",
        **dict.fromkeys(("label_font_size", "major_label_font_size", "legend_font_size", "value_font_size"), _LABEL),
        value_label_font_size=_LABEL,
        no_data_font_size=18,
    )


def over_time(labels: Sequence[str], series: Mapping[str, Sequence[int]], colours: Sequence[str]) -> Markup:
    """Stacked vertical bars."""
    chart = pygal.StackedBar(**_options(colours, height=230, legend=True), show_minor_x_labels=False)
    room = (len(max(labels, key=len)) + 3) * _LABEL * 2 // 3
    every = max(1, -(-len(labels) * room // (WIDTH - _AXIS)))
    chart.x_labels = list(labels)
    chart.x_labels_major = list(labels[::every])
    return _svg(chart, series)


def horizontal(
    labels: Sequence[str], series: Mapping[str, Sequence[int]], colours: Sequence[str], *, legend: bool = False
) -> Markup:
    """Horizontal bars with their numbers, the first on top. Several series are stacked."""
    kind = pygal.HorizontalStackedBar if legend else pygal.HorizontalBar
    height = 44 + _BAR * max(1, len(labels)) + (26 if legend else 0)
    shown = [_short(label) for label in labels]
    chart = kind(
        **_options(colours, height=height, legend=legend),
        print_values=not legend,
        print_values_position="top",
        margin_left=_overhang(shown),
        margin_right=28,
    )
    chart.x_labels = shown[::-1]
    return _svg(chart, {name: list(reversed(values)) for name, values in series.items()})


def _options(colours: Sequence[str], *, height: int, legend: bool) -> dict[str, Any]:
    return {
        "style": _style(colours),
        "width": WIDTH,
        "height": height,
        "margin": 4,
        "spacing": 8,
        "js": (),
        "show_legend": legend,
        "legend_at_bottom": True,
        "legend_at_bottom_columns": len(colours),
        "legend_box_size": 10,
        "value_formatter": lambda value: f"{value:,.0f}" if float(value).is_integer() else "",
        "min_scale": 2,
        "max_scale": 5,
        "truncate_label": -1,
        "truncate_legend": -1,
        "rounded_bars": 1,
    }


def _svg(chart: Any, series: Mapping[str, Sequence[int]]) -> Markup:
    for name, values in series.items():
        chart.add(name, [value or None for value in values])
    root = chart.render_tree()
    for parent in list(root.iter()):
        for child in list(parent):
            # Remove scripts and what only they would show: the report must work where scripts are blocked.
            if child.tag in {f"{_SVG}script", "script"} or child.get("class", "").startswith("tooltip"):
                parent.remove(child)
    root.set("role", "img")
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - pygal escapes all text


def _short(label: str) -> str:
    label = visible(label)
    return label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"


def _overhang(labels: Sequence[str]) -> int:
    """Extra units that wide characters need: pygal assumes that every character is narrow."""
    wide = max((sum(east_asian_width(char) in "WF" for char in label) for label in labels), default=0)
    return 4 + wide * _LABEL * 2 // 5
