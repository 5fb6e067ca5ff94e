"""Bars as SVG that needs nothing else, readable on light and on dark pages."""

from html import escape
from typing import NamedTuple

_STYLE = """
    text { font: 14px system-ui, -apple-system, 'Segoe UI', sans-serif; fill: #1c2024; }
    .soft { fill: #5b6570; font-size: 12px; }
    .ours { fill: #1666b0; } .others { fill: #8b96a1; }
    .goal { stroke: #b35900; stroke-width: 2; } .goal-text { fill: #b35900; font-size: 12px; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e8ebee; } .soft { fill: #9aa5b0; }
      .ours { fill: #6db3f2; } .others { fill: #77828d; }
      .goal { stroke: #f0a04b; } .goal-text { fill: #f0a04b; }
    }
"""

_WIDTH, _LABELS, _FIGURES = 760, 250, 90
_ROW, _BAR, _TOP, _BOTTOM = 34, 20, 12, 12


class Bar(NamedTuple):
    label: str
    value: float
    text: str
    is_ours: bool
    goal: float = None


def bars(description: str, rows: list) -> str:
    """One bar a row, from the same zero; a goal is a mark on its row."""
    most = max(max(row.value, row.goal or 0) for row in rows)
    room = _WIDTH - _LABELS - _FIGURES
    has_goals = any(row.goal for row in rows)
    height = _TOP + _ROW * len(rows) + _BOTTOM + (18 if has_goals else 0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" aria-label="{escape(description)}">', f"<style>{_STYLE}</style>"]
    for place, row in enumerate(rows):
        top = _TOP + place * _ROW
        middle = top + _BAR / 2 + 5
        width = max(1, room * row.value / most)
        parts.append(f'<text x="{_LABELS - 12}" y="{middle}" text-anchor="end">{escape(row.label)}</text>')
        parts.append(
            f'<rect class="{"ours" if row.is_ours else "others"}" x="{_LABELS}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2"/>')
        end = _LABELS + width
        if row.goal:
            mark = _LABELS + room * row.goal / most
            parts.append(f'<line class="goal" x1="{mark:.1f}" x2="{mark:.1f}" y1="{top - 4}" y2="{top + _BAR + 4}"/>')
            # The figure does not stand on the mark.
            if end - 4 < mark < end + 70:
                end = mark
        parts.append(f'<text x="{end + 8:.1f}" y="{middle}">{escape(row.text)}</text>')
    if has_goals:
        parts.append(f'<text class="goal-text" x="{_LABELS}" y="{height - 8}">| the goal of the design</text>')
    return "\n".join([*parts, "</svg>", ""])
