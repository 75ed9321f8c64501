"""What the checks share: which files there are, and C text without comments and strings."""

import pathlib
import re
import sys

ROOMS = ("dataplane", "ctrl", "bpf", "bench", "tools", "tests")


def root_argument():
    """The repository: the first argument, else the current directory."""
    return pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()


def c_files(root, rooms=ROOMS):
    """All .c and .h files of the rooms, sorted, as paths relative to `root`."""
    found = []
    for room in rooms:
        found += [path.relative_to(root) for path in (root / room).rglob("*.[ch]")]
    return sorted(found)


def read(root, path):
    return (root / path).read_text(errors="replace")


_SKIPPED = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


def _same_lines(match):
    text = match.group(0)
    if text.startswith("/"):
        return " " + "\n" * text.count("\n")
    return text[0] + text[-1]


def code_only(text):
    """`text` with comments blanked and literals emptied; line numbers stay. Preprocessor lines go
    too, with their continuations, so that braces in macros do not count."""
    text = _SKIPPED.sub(_same_lines, text)
    lines, in_directive = [], False
    for line in text.split("\n"):
        directive = in_directive or line.lstrip().startswith("#")
        in_directive = directive and line.rstrip().endswith("\\")
        lines.append("" if directive else line)
    return "\n".join(lines)


def functions(text):
    """(name, first line, last line) of every function that is defined in C `text`."""
    code = code_only(text)
    found = []
    depth, start = 0, 0
    for match in re.finditer(r"[{};]", code):
        at = match.start()
        if match.group() == "{":
            if depth == 0:
                head = code[start:at].strip()
                called = re.search(r"([A-Za-z_]\w*)\s*\([^{}=]*\)\s*(?:__attribute__\s*\(\(.*\)\)\s*)?$", head, re.DOTALL)
                opened = (called.group(1), code.count("\n", 0, code.index(head, start)) + 1) if called else None
            depth += 1
        elif match.group() == "}":
            depth -= 1
            if depth == 0:
                if opened:
                    found.append((*opened, code.count("\n", 0, at) + 1))
                start = at + 1
        elif depth == 0:
            start = at + 1
    return found


def report(name, problems):
    """Print the problems, or that there are none; exit 1 or 0."""
    for problem in problems:
        print(problem)
    if problems:
        print(f"{name}: {len(problems)} problem(s)")
        sys.exit(1)
    print(f"{name}: ok")
    sys.exit(0)
