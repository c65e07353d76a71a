"""What was measured, as Markdown tables and an SVG plot, and their place in docs/performance.md."""
import datetime
import os
import platform
import statistics
import sys
import textwrap
from pathlib import Path

from . import loads
from .servers import ROOT

PAGE = ROOT / "docs" / "performance.md"
PLOT = ROOT / "docs" / "performance.svg"
MARKS = "<!-- table -->", "<!-- end of table -->"


def numbers_table(goals):
    lines = ["### The numbers to hold", "",
             "Ratios of two measurements of the same round: the median over the rounds, in brackets the quartiles.", "",
             "| what | goal | measured | verdict |", "|---|---|---|---|"]
    lines += [f"| {goal.what} | {goal.side} {goal.bound:g}{goal.unit} | {goal.measured} | {goal.verdict} |" for goal in goals]
    return "\n".join(lines) + "\n"


def calls_table(found):
    """`found`: name -> {call: count for each request}, the calls that matter by name."""
    lines = ["### System calls per request", "", "64 connections, by `strace -c -f`.", "", "| server | all | of which |", "|---|---:|---|"]
    for name, calls in found.items():
        often = sorted((call for call in calls.items() if call[1] >= 0.005), key=lambda call: -call[1])
        lines.append(f"| {name} | {sum(calls.values()):.2f} | {', '.join(f'{call} {count:.2f}' for call, count in often)} |")
    return "\n".join(lines) + "\n"


def cold_table(found):
    crates, builds = found
    lines = ["### Cold build of hello world", "", "Default features, downloads there, nothing built; hello world itself is counted.", "",
             "| | crates | dev, s | CPU, s | release, s | CPU, s |", "|---|---:|---:|---:|---:|---:|"]
    for name in crates:
        figures = [f"{figure:.0f}" for profile in ("dev", "release") for figure in builds[profile, name]]
        lines.append(f"| {' | '.join([name, str(crates[name]), *figures])} |")
    return "\n".join(lines) + "\n"


def case_table(case, names, results):
    several = len(case.variants) > 1
    base = case.variants[0].label if several else case.base
    counts = any(one.lost is not None for name in names for variant in case.variants for one in results.rounds(case.name, name, variant.label).values())
    lines = [f"### {case.name}", "", paragraph(f"{case.note.rstrip('.')}."), "",
             f"| server | req/s | x {base} | CPU us/request | x {base} | user | system | p50 ms | p99 ms | p99.9 ms | memory MiB | errors |"
             + (" lost updates |" if counts else ""),
             "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|" + ("---:|" if counts else "")]
    problems = []
    for name in names:
        problems += [f"* {name} {text}" for text in dict.fromkeys(results.problems.get((case.name, name), []))]
        for variant in case.variants:
            rounds = results.rounds(case.name, name, variant.label)
            if not rounds:
                continue
            own = case.name, name, variant.label
            reference = (case.name, name, base) if several else (case.name, base, "")
            cells = [f"{name}, {variant.label}" if several else name]
            cells += [_median(results, own, "rate", "{:,.0f}"), _ratio(results, "rate", own, reference)]
            cells += [_median(results, own, "cpu", "{:.2f}"), _ratio(results, "cpu", own, reference)]
            cells += [_median(results, own, key, "{:.2f}") for key in ("user", "system")]
            cells += [_median(results, own, key, "{:.3f}") for key in ("p50", "p99", "p999")]
            cells += [f"{results.median(case.name, name, 'memory', variant.label) / 1024:.1f}", f"{sum(one.errors for one in rounds.values())}"]
            lost = [one.lost for one in rounds.values() if one.lost is not None]
            cells += ([f"{sum(lost):,} of {sum(one.requests for one in rounds.values()):,}" if lost else "-"] if counts else [])
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines + ([""] + problems if problems else [])) + "\n"


def _median(results, own, key, form):
    value = results.median(own[0], own[1], key, own[2])
    return "-" if value is None else form.format(value)


def _ratio(results, key, own, reference):
    ratios = results.ratios(key, own, reference)
    return f"{statistics.median(ratios):.2f}" if ratios else "-"


def heading():
    memory = int(loads.number(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()) / 2**20)
    command = " ".join(["benches/compare", *sys.argv[1:]])
    return paragraph(f"Measured on {datetime.date.today()} with `{command}`: {os.cpu_count()} cores, {memory} GiB, "
                     f"Linux {'.'.join(platform.release().split('.')[:2])}. Load and server share the machine; read the ratios.") + "\n"


def paragraph(text):
    return textwrap.fill(text, 120, break_long_words=False, break_on_hyphens=False)


def write(numbers, tables, plot):
    before, _, rest = PAGE.read_text().partition(MARKS[0])
    after = rest.partition(MARKS[1])[2]
    if not after:
        sys.exit(f"{PAGE} has no place for the tables ({' ... '.join(MARKS)})")
    picture = "![CPU per request](performance.svg)\n\n" if plot else ""
    PAGE.write_text(f"{before}{MARKS[0]}\n{heading()}\n{numbers}\n{picture}{tables}{MARKS[1]}{after}")
    if plot:
        PLOT.write_text(plot)


def plot(case, names, results):
    """Bars of CPU per request, the leanest first. CherryPy's would leave no room for the others."""
    bars = [(name, results.median(case, name, "user"), results.median(case, name, "system"))
            for name in names if name != "cherrypy" and results.rounds(case, name)]
    if not bars:
        return ""
    scale, rows = 480 / max(user + system for _, user, system in bars), []
    for index, (name, user, system) in enumerate(sorted(bars, key=lambda bar: bar[1] + bar[2])):
        y = 40 + index * 26
        weight = ' font-weight="bold"' if name == "kirsch" else ""
        rows.append(f'<text x="110" y="{y + 14}" text-anchor="end"{weight}>{name}</text>'
                    f'<rect x="120" y="{y}" width="{system * scale:.1f}" height="18" fill="#8aa"/>'
                    f'<rect x="{120 + system * scale:.1f}" y="{y}" width="{user * scale:.1f}" height="18" fill="#c33"/>'
                    f'<text x="{126 + (user + system) * scale:.1f}" y="{y + 14}">{user + system:.1f}</text>')
    height = 50 + 26 * len(bars)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="680" height="{height}" font-family="sans-serif" font-size="13">'
            f'<rect width="680" height="{height}" fill="#fff"/>'
            f'<text x="120" y="22">CPU per request in microseconds, {case}: kernel (grey), user (red)</text>'
            + "".join(rows) + "</svg>\n")
