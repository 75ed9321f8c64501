#!/usr/bin/env python3
"""Headers explain themselves: each header of dataplane/, ctrl/ and bpf/ starts with a comment that
says what it is, and each function that others call has a comment right above it. Declarations that
follow each other without an empty line share the comment above the first; an inline function that
only returns one expression may speak for itself."""

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
    """True where a comment ends right above, or above siblings that stand between."""
    for line in reversed([line.strip() for line in lines[:first - 1]]):
        if line.endswith("*/") or line.startswith("//"):
            return True
        # A blank line, the end of a body or a directive ends the run of declarations.
        if not line or line.startswith(("}", "#")):
            return False
    return False


def speaks_for_itself(lines, first):
    """True for `static inline ... { return one expression; }`."""
    text = " ".join(line.strip() for line in lines[first - 1:first + 8])
    return re.match(r"static inline [^{;]*\{ return [^;]*; \}", text) is not None


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
        if head.lstrip().startswith(("static_assert", "_Static_assert", "typedef")):
            continue
        if not commented(lines, first) and not speaks_for_itself(lines, first):
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
