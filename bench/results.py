"""bench/RESULTS.md, written section by section: each script replaces only its own.

A section stands between two marks that a reader of the page does not see:
    <!-- section: NAME -->  ...  <!-- end: NAME -->
What a script measured for a row of TARGETS lies within its section, unseen as well, and goes when
the section is replaced:
    <!-- measured: {"cpu-64": [1.31, ""], ...} -->
The table of targets at the top of the page is made from all of them whenever a section is written.
"""

import json
import os
import pathlib
import re
import statistics
import subprocess
import time

import machine

SOURCE = pathlib.Path(__file__).resolve().parent.parent
RESULTS = SOURCE / "bench" / "RESULTS.md"
ORDER = ("targets", "load", "runtimes", "scale", "micro", "probes", "profile", "schedule", "overload", "latency")
LAST = ("notes",)
HEAD = """# What was measured

Written by the scripts in this folder, each its own section; how to read it stands in
[README.md](README.md). Absolute figures belong to the machine named in the section: compare
the columns, not machines.
"""

# What this project wants to reach: (key, what is measured, "at least" / "at most" / "under", limit, unit).
# Ratios are of two figures of one interleaved run. Whoever measures one hands it to section_write().
TARGETS = (
    ("cpu-64", "server CPU per request, nginx `return 200` / Weir, 64 connections", "at least", 1.20, ""),
    ("cpu-256", "the same, 256 connections", "at least", 1.20, ""),
    ("ceiling-64", "server CPU per request, bare io_uring responder / Weir, 64 connections", "at least", 0.93, ""),
    ("ceiling-8", "the same, 8 connections", "at least", 0.80, ""),
    ("ceiling-1", "the same, 1 connection", "at least", 0.92, ""),
    ("pipelined", "server CPU per request, nginx / Weir, 64 connections, 16 requests pipelined", "at least", 10, ""),
    ("p50-1", "p50, Weir / bare responder, 1 connection", "at most", 1.10, ""),
    ("handoff", "hand-off added to one call, both ends awake on their own CPUs, no HTTP", "under", 1000, "ns"),
    ("open-p99", "p99 at 70 % of nginx's peak, open loop, Weir / nginx `return 200`", "at most", 1.0, ""),
    ("open-p999", "p99.9 of the same", "at most", 1.0, ""),
    ("calls-64", "system calls per request, gateway and worker, 64 connections", "under", 0.1, ""),
    ("echo-64k", "echo of 64 KiB, bytes per CPU-second, Weir / nginx proxying (its better set-up)", "at least", 2, ""),
    ("echo-1m", "the same, 1 MiB", "at least", 2, ""),
    ("idle-memory", "user memory of an idle kept connection, 9,000 of them", "at most", 256, "bytes"),
    ("probes", "eBPF probes: added to a pipe ping-pong on one CPU between tasks that are no workers", "at most", 5, "%"),
    ("idle-cpu", "CPU when idle with 16 workers", "under", 0.2, "% of a CPU"),
    ("routes", "cost of a request, 100,000 routes / 10", "at most", 1.10, ""),
    ("functions", "cost of a request, 1,000 functions / 1", "at most", 1.10, ""),
    ("workers", "cost of a request, 256 workers / 1", "at most", 1.15, ""),
    ("connections", "cost of a request, 10,000 connections / 64", "at most", 1.5, ""),
    ("swap", "new snapshot of 100,000 routes under load: a shard's CPU time for the swap", "at most", 100, "us"),
    ("visible", "the same: until it is visible", "at most", 100, "ms"),
    ("pick-64", "picking one of 64 workers, and the end of another call", "under", 50, "ns"),
    ("schedule-best", "p99, score / best policy, in the scenario where that is worst", "at most", 1.05, ""),
    ("schedule-unequal", "p99, round robin / score, where load is unequal and that is least", "at least", 2, ""),
    ("overload-goodput", "twice the sustained rate for a minute: right answers in time / peak", "at least", 0.9, ""),
    ("overload-failed", "the same: accepted calls that were not answered right", "at most", 0, ""),
    ("overload-refusal", "the same: p99 of refusals", "under", 10, "ms"),
    ("overload-memory", "the same: memory at the end / after 10 s", "at most", 1.05, ""),
    ("overload-recovery", "from its end to the last request that waited for more than 50 ms", "under", 1000, "ms"),
    ("php-fpm", "requests/s, Weir's php / nginx with php-fpm (2 children), 64 connections", "at least", 4, ""),
    ("node-http", "requests/s, Weir's node / node's own http server, 64 connections", "at least", 1, ""),
    ("python-gunicorn", "requests/s, Weir's python / nginx with gunicorn (one sync worker), 64 connections", "at least", 4, ""),
    ("wasm-native", "server CPU per request, wasm / native, 64 connections", "at most", 1.10, ""),
    ("cold-wasm", "cold start of a wasm function, built, median of 20", "under", 2, "ms"),
    ("cold-js", "the same, js", "under", 2, "ms"),
    ("cold-php", "the same, php, with the start of a process", "under", 30, "ms"),
    ("cold-node", "the same, node, with the start of a process", "under", 100, "ms"),
    ("memory-wasm", "memory of an idle wasm function beyond its code", "at most", 16, "KiB"),
    ("start", "exec of the keeper to the first answer, existing database, median of 20", "under", 150, "ms"),
)


def sections_read(text):
    """{name: content} of a results page."""
    return {name: content.strip("\n") for name, content in
            re.findall(r"<!-- section: (\w+) -->\n(.*?)<!-- end: \1 -->", text, re.DOTALL)}


def measured_mark(measured):
    """What a section carries unseen for the table of targets: `measured` is {key: value}, or
    {key: (value, remark)}. KeyError for a key that TARGETS does not have."""
    known = [key for key, *_ in TARGETS]
    rows = {}
    for key, value in measured.items():
        if key not in known:
            raise KeyError(f"'{key}' is no key of results.TARGETS: {', '.join(known)}")
        number_, remark = value if isinstance(value, tuple) else (value, "")
        rows[key] = [number_, remark]
    return "<!-- measured: " + json.dumps(rows).replace(">", "\\u003e") + " -->"


def measured_read(content):
    """{key: (value, remark)} of one section."""
    found = {}
    for text in re.findall(r"<!-- measured: (.*?) -->", content):
        found.update({key: tuple(value) for key, value in json.loads(text).items()})
    return found


def reached(key, value):
    """Whether `value` is good enough for the target `key`."""
    relation, limit = next((relation, limit) for name, _, relation, limit, _ in TARGETS if name == key)
    return {"at least": value >= limit, "at most": value <= limit, "under": value < limit}[relation]


def targets_section(sections):
    """The table of all targets, from what the sections carry; what no section has is not measured."""
    found = {}
    for name, content in sections.items():
        found.update({key: (*value, name) for key, value in measured_read(content).items()})
    rows = []
    for key, what, relation, limit, unit in TARGETS:
        target = f"{relation} {limit:g}" + (f" {unit}" if unit else "")
        if key not in found:
            rows.append([what, target, "-", "not measured", "-", ""])
            continue
        value, remark, name = found[key]
        rows.append([what, target, number(value), "reached" if reached(key, value) else "not reached", name, remark])
    count = sum(row[3] == "reached" for row in rows)
    if not any(row[5] for row in rows):
        rows = [row[:5] for row in rows]
    header = ["what", "target", "measured", "", "section", "remark"][:len(rows[0])]
    return "\n".join(["## Targets", "", f"{count} of {len(rows)} reached; made from the figures of the sections below, "
                      "whenever one of them is written.", "", table(header, rows)])


def section_write(name, content, measured=None, path=RESULTS):
    """Replace section `name` and keep the others as they are; the page is replaced at once.
    `measured` holds what the section knows about TARGETS, see measured_mark()."""
    sections = sections_read(path.read_text()) if path.exists() else {}
    sections.pop("targets", None)
    sections[name] = content.strip("\n") + ("\n\n" + measured_mark(measured) if measured else "")
    sections["targets"] = targets_section(sections)
    ordered = ([known for known in ORDER if known in sections] + sorted(set(sections) - set(ORDER) - set(LAST)) +
               [known for known in LAST if known in sections])
    page = HEAD + "".join(f"\n<!-- section: {known} -->\n{sections[known]}\n<!-- end: {known} -->\n"
                          for known in ordered)
    fresh = path.with_suffix(".md.new")
    fresh.write_text(page)
    os.replace(fresh, path)


def table(header, rows):
    """A Markdown table, its columns aligned for readers of the source: text left, numbers right."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = []
    for row in cells:
        lines.append("| " + " | ".join(cell.ljust(width) if column == 0 else cell.rjust(width)
                                       for column, (cell, width) in enumerate(zip(row, widths))) + " |")
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    lines.insert(1, "| " + " | ".join(rule) + " |")
    return "\n".join(lines)


def revision():
    """The commit of the sources, marked where they were changed since."""
    def git(*arguments):
        return subprocess.run(["git", "-C", str(SOURCE), *arguments], capture_output=True, text=True,
                              check=False).stdout.strip()
    commit = git("rev-parse", "--short=12", "HEAD")
    if not commit:
        return "not a git checkout"
    return commit + (" with changes" if git("status", "--porcelain", "--untracked-files=no") else "")


def facts(command, extra=()):
    """The head of a section: when, what, where, with what."""
    rows = [("command", f"`{command}`"), ("when", time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())),
            ("sources", revision()), *machine.description(), *extra]
    return "\n".join(f"- {what}: {value}" for what, value in rows)


def number(value):
    """A number as people read it: three digits that matter, thousands apart."""
    if value is None:
        return "-"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    if 0 < abs(value) < 0.1:
        return f"{value:.2g}"
    return f"{value:.2f}"


def median(values):
    return statistics.median(values) if values else None
