"""The comparison as a table on a terminal, and as the section of docs/performance.md with its pictures."""

import re
from pathlib import Path
from typing import NamedTuple

from Tests.Bench.pictures import Bar, bars


class Row(NamedTuple):
    """What a figure is called, and what it should be."""

    label: str
    is_ours: bool = True
    goal: float = None
    goal_p99: float = None


ROWS = {
    "embedded": Row("Kontor, embedded", goal=30_000),
    "services": Row("Kontor, 3 services over Redis", goal=10_000),
    "postgres": Row("PostgreSQL, no HTTP", False),
    "embedded-hot": Row("Kontor, embedded, one item", goal=30_000),
    "postgres-hot": Row("PostgreSQL, one item", False),
    "embedded-find": Row("Kontor, embedded, reads", goal=55_000),
    "nginx": Row("nginx, a constant", False),
    "embedded-half": Row("Kontor, embedded, half of the peak", goal_p99=5),
    "services-half": Row("Kontor over Redis, half of the peak", goal_p99=20),
    "postgres-half": Row("PostgreSQL, half of the peak", False),
    "embedded-mix": Row("Kontor, embedded, mix (requests)"),
    "script-1": Row("Redis, commits, 1 in a call", False),
    "script-8": Row("Redis, commits, 8 in a call", False),
}

# What is divided by what, and what that says.
RATIOS = [
    ("embedded", "postgres", "checkouts: embedded Kontor, with HTTP, to PostgreSQL, without"),
    ("embedded-hot", "postgres-hot", "the same, all orders on one item"),
    ("embedded-hot", "embedded", "one item to a thousand items: 1 means that the hottest item is no queue"),
    ("services", "postgres", "checkouts: three services over Redis behind the gateway to PostgreSQL"),
    ("services", "embedded", "the price of being distributed, on one machine"),
    ("embedded-find", "nginx", "reads: Kontor to a constant of nginx, the same generator for both"),
    ("script-8", "services", "commits that one Redis does alone to checkouts of the three services"),
]

# What takes part in each, for who compares them.
_PARTS = {
    "embedded": "event loop, shop's thread, journal's thread and generator: one sync for all that a batch committed",
    "embedded-hot": "the same: holds of one account do not exclude each other",
    "services": "nginx, three services, three Redis and the generator: a checkout waits for the syncs of several steps",
    "postgres": "a process for each connection: one sync for all that commit meanwhile",
    "postgres-hot": "the lock of one row, held until its commit is synced",
    "embedded-find": "event loop, shop's thread and generator: no sync",
    "nginx": "one worker and the generator",
    "script-8": "one thread of Redis: script, append and sync, one after the other",
}


def _limit(busy) -> str:
    if busy is None:
        return ""
    return "the processors" if busy >= 0.9 else f"waiting: the processors were {100 * busy:.0f} % busy"


def ratios(figures: dict) -> list:
    return [(figures[above].per_second / figures[below].per_second, text) for above, below, text in RATIOS
            if above in figures and below in figures]


def _milliseconds(value) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def table(figures: dict) -> str:
    """For a terminal."""
    lines = [f"{'':<36}{'a second':>10}{'goal':>9}{'p50 ms':>9}{'p99 ms':>9}{'busy':>6}  load"]
    for key, row in ROWS.items():
        if key not in figures:
            continue
        found = figures[key]
        goal = f"{row.goal:,}" if row.goal else f"p99 {row.goal_p99}" if row.goal_p99 else ""
        busy = f"{found.busy:.0%}" if found.busy is not None else ""
        lines.append(
            f"{row.label:<36}{found.per_second:>10,.0f}{goal:>9}{_milliseconds(found.p50):>9}{_milliseconds(found.p99):>9}{busy:>6}"
            f"  {found.load}" + (f" ({found.remark})" if found.remark else ""))
    lines.append("")
    lines += [f"{ratio:6.2f}  {text}" for ratio, text in ratios(figures)]
    return "\n".join(lines)


def section(figures: dict, facts: dict, pictures: str) -> str:
    """Markdown; `pictures` is where they are, seen from the page."""
    lines = [
        "## The comparison", "",
        f"`make bench` on {facts['date']}: {facts['machine']}. All in one run of {facts['minutes']:.0f} minutes, one after the other; each load "
        f"{facts['seconds']:g} s, generator, databases and shop on the same processors. Checkouts are of unique, unpaid orders of two random items "
        f"of 1,000; all answers are durable (fdatasync, `appendfsync always`, `fsync` and `synchronous_commit` on); after each run the books were "
        f"checked. Before it, other work had {100 * facts['busy']:.0f} % of the processors. {facts['versions']}.", "",
        f"![Checkouts a second]({pictures}/checkouts.svg)", "",
        "| | a second | goal | p50 ms | p99 ms | load | processors busy |", "|---|---|---|---|---|---|---|"]
    for key, row in ROWS.items():
        if key not in figures:
            continue
        found = figures[key]
        goal = f"{row.goal:,}" if row.goal else f"p99 {row.goal_p99} ms" if row.goal_p99 else ""
        busy = f"{100 * found.busy:.0f} %" if found.busy is not None else ""
        lines.append(
            f"| {row.label} | {found.per_second:,.0f} | {goal} | {_milliseconds(found.p50)} | {_milliseconds(found.p99)} | {found.load} | {busy} |")
    lines += ["", "| ratio | of what |", "|---|---|"]
    lines += [f"| **{ratio:.2f}** | {text} |" for ratio, text in ratios(figures)]
    lines += [
        "", f"![p99 at half of the peak]({pictures}/latency.svg)", "", f"![Reads a second]({pictures}/reads.svg)", "",
        "| | who takes part | what limits it | microseconds of processor time for each that was done |", "|---|---|---|---|"]
    for key, parts in _PARTS.items():
        if key in figures:
            used = sorted(figures[key].processor.items(), key=lambda pair: -pair[1])
            texts = [f"{name} {microseconds:.0f}" for name, microseconds in used if microseconds >= 0.5]
            texts += [figures[key].remark] if figures[key].remark else []
            lines.append(f"| {ROWS[key].label} | {parts} | {_limit(figures[key].busy)} | {', '.join(texts)} |")
    return "\n".join([*lines, ""])


def draw(figures: dict, directory: Path):
    """The three pictures."""

    def rate(*keys):
        return [
            Bar(ROWS[key].label, figures[key].per_second, f"{figures[key].per_second:,.0f}/s", ROWS[key].is_ours, ROWS[key].goal)
            for key in keys if key in figures]

    def latency(*keys):
        return [
            # Which load that is says the picture's title.
            Bar(ROWS[key].label.removesuffix(", half of the peak"), figures[key].p99, f"{_milliseconds(figures[key].p99)} ms", ROWS[key].is_ours, ROWS[key].goal_p99)
            for key in keys if key in figures]

    for name, description, rows in (
        ("checkouts", "Checkouts a second", rate("embedded", "embedded-hot", "services", "postgres", "postgres-hot")),
        ("latency", "p99 in milliseconds at half of the peak", latency("embedded-half", "services-half", "postgres-half")),
        ("reads", "Reads a second", rate("embedded-find", "nginx")),
    ):
        if rows:
            (directory / f"{name}.svg").write_text(bars(description, rows))


_BEGIN, _END = "<!-- make bench: begin -->", "<!-- make bench: end -->"


def put_into(page: Path, text: str):
    """Replaces what stands between the marks."""
    before = page.read_text()
    if before.count(_BEGIN) != 1 or before.count(_END) != 1:
        raise SystemExit(f"{page} has no place for it: {_BEGIN} and {_END}")
    page.write_text(re.sub(
        f"{re.escape(_BEGIN)}.*{re.escape(_END)}", lambda _: f"{_BEGIN}\n{text}{_END}", before, flags=re.DOTALL))
