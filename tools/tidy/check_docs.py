#!/usr/bin/env python3
"""Headers explain themselves: each header of dataplane/, ctrl/ and bpf/ starts with a comment that
says what it is, and each function that others call has a comment right above it (a run of
one-line siblings may share one)."""

import re

import source

DECLARED = re.compile(r"(?:^|[\s*])(weir_\w+)\s*\(")


def statements(code):
    """(first line, text) of each declaration at file level, bodies left out."""
    depth, text, first = 0, "", None
    for number, line in enumerate(code.split("\n"), 1):
        for character in line + "\n":
            if character == "{":
                if depth == 0:
                    text += "{"
                depth += 1
            elif character == "}":
                depth -= 1
                if depth == 0 and re.search(r"\)\s*\{$", text.rstrip()):
                    yield first, text
                    text, first = "", None
            elif depth == 0 and character == ";":
                yield first, text
                text, first = "", None
            elif depth == 0:
                if first is None and not character.isspace():
                    first = number
                text += character


def commented(lines, first):
    """True where a comment ends on the line above, siblings of one line between allowed."""
    index = first - 2
    while index >= 0:
        line = lines[index].strip()
        if line.endswith("*/") or line.startswith("//"):
            return True
        if not (line.endswith(";") and "(" in line):
            return False
        index -= 1
    return False


def file_problems(name, text):
    problems = []
    lines = text.split("\n")
    if not text.lstrip().startswith("/*"):
        problems.append(f"{name}:1: a header starts with a comment: what it is, who owns what, which thread")
    code = source.code_only(text).replace('extern ""', "")
    for first, statement in statements(code):
        head = statement.split("{")[0]
        match = DECLARED.search(head.split("=")[0])
        if not match or re.match(r"\s*(typedef|struct|union|enum)\b[^()]*\{", statement):
            continue
        if head.lstrip().startswith("static_assert") or head.lstrip().startswith("_Static_assert"):
            continue
        if not commented(lines, first):
            problems.append(f"{name}:{first}: {match.group(1)} has no comment")
    return problems


def main():
    root = source.root_argument()
    problems = []
    for path in source.c_files(root, ("dataplane", "ctrl", "bpf")):
        if path.suffix == ".h":
            problems += file_problems(path.as_posix(), source.read(root, path))
    source.report("docs", problems)


if __name__ == "__main__":
    main()
