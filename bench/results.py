"""bench/RESULTS.md, written section by section: each script replaces only its own.

A section stands between two marks that a reader of the page does not see:
    <!-- section: NAME -->  ...  <!-- end: NAME -->
"""

import os
import pathlib
import re
import statistics
import subprocess
import time

import machine

SOURCE = pathlib.Path(__file__).resolve().parent.parent
RESULTS = SOURCE / "bench" / "RESULTS.md"
ORDER = ("load", "latency")
HEAD = """# What was measured

Written by the scripts in this folder, each its own section; how to read it stands in
[README.md](README.md). Absolute figures belong to the machine named in the section: compare
the columns, not machines.
"""


def sections_read(text):
    """{name: content} of a results page."""
    return {name: content.strip("\n") for name, content in
            re.findall(r"<!-- section: (\w+) -->\n(.*?)<!-- end: \1 -->", text, re.DOTALL)}


def section_write(name, content, path=RESULTS):
    """Replace section `name` and keep the others as they are; the page is replaced at once."""
    sections = sections_read(path.read_text()) if path.exists() else {}
    sections[name] = content.strip("\n")
    ordered = [known for known in ORDER if known in sections] + sorted(set(sections) - set(ORDER))
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
    return f"{value:.2f}"


def median(values):
    return statistics.median(values) if values else None
