#!/usr/bin/env python3
"""Nothing is longer than one can hold in the head: 600 lines a source, 300 a header, 900 a test,
70 lines a function. A file that must be longer says so in its first ten lines, with the reason:
    /* size: 750 lines, because ... */
"""

import re

import source

FUNCTION_LINES_MAX = 70
EXCUSE = re.compile(r"size: (\d+) lines, because \S+")


def lines_max(path):
    if path.parts[0] == "tests":
        return 900
    return 300 if path.suffix == ".h" else 600


def main():
    root = source.root_argument()
    problems = []
    for path in source.c_files(root):
        text = source.read(root, path)
        lines = text.count("\n")
        excuse = EXCUSE.search("\n".join(text.split("\n")[:10]))
        limit = max(lines_max(path), int(excuse.group(1)) if excuse else 0)
        if lines > limit:
            problems.append(f"{path}: {lines} lines; at most {limit}: does it hold two ideas?")
        for name, first, last in source.functions(text):
            if last - first + 1 > FUNCTION_LINES_MAX:
                problems.append(f"{path}:{first}: {name} has {last - first + 1} lines; at most {FUNCTION_LINES_MAX}")
    source.report("size", problems)


if __name__ == "__main__":
    main()
