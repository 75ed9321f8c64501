#!/usr/bin/env python3
"""Who may include whom, as layers.txt grants it.

A file belongs to the deepest directory of layers.txt that holds it, and may include files of that
directory and of those granted to it. Also wrong: a directory that is not in the list, a grant to one
that is not, and grants that go round in a circle. A quoted include is a path from the repository root.
"""

import re

import source

LIST = "tools/tidy/layers.txt"
INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')


def grants_read(root, problems):
    """{directory: set of directories it may include}; '*' stands for all."""
    grants = {}
    for number, line in enumerate((root / LIST).read_text().splitlines(), 1):
        line = line.split("#", 1)[0].strip()
        if not line:
            continue
        name, colon, allowed = line.partition(":")
        name = name.strip()
        if not colon:
            problems.append(f"{LIST}:{number}: no colon")
        elif name in grants:
            problems.append(f"{LIST}:{number}: {name} is listed twice")
        grants[name] = set(allowed.split())
    for name, allowed in grants.items():
        problems += [f"{LIST}: {name} is granted {other}, which is not listed"
                     for other in sorted(allowed) if other != "*" and other not in grants]
    return grants


def circles(grants):
    """Names that stand on a circle of grants: what stays when leaves are taken away again and again."""
    left = {name: {other for other in allowed if other in grants and other != name}
            for name, allowed in grants.items() if "*" not in allowed}
    while True:
        leaves = {name for name, allowed in left.items() if not allowed & set(left)}
        if not leaves:
            return sorted(left)
        left = {name: allowed for name, allowed in left.items() if name not in leaves}


def owner(path, grants):
    """The deepest listed directory that holds `path`, or None."""
    holders = [name for name in grants if path.startswith(name + "/")]
    return max(holders, key=len, default=None)


def file_problems(root, path, grants):
    name = path.as_posix()
    mine = owner(name, grants)
    if mine is None:
        return [f"{name}: its directory is not in {LIST}; add it there with the reason"]
    problems = []
    for number, line in enumerate(source.read(root, path).splitlines(), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        target = match.group(1)
        theirs = owner(target, grants)
        if theirs is None:
            # A header that the build makes stands in no room; anything else is a wrong path.
            if "/" not in target and not (root / path.parent / target).exists():
                continue
            problems.append(f'{name}:{number}: "{target}" is not a path from the repository root')
        elif theirs != mine and "*" not in grants[mine] and theirs not in grants[mine]:
            problems.append(f"{name}:{number}: {mine} may not include {theirs} ({target})")
    return problems


def main():
    root = source.root_argument()
    problems = []
    grants = grants_read(root, problems)
    round_trip = circles(grants)
    if round_trip:
        problems.append(f"{LIST}: grants go round in a circle among {', '.join(round_trip)}")
    for path in source.c_files(root):
        problems += file_problems(root, path, grants)
    source.report("layers", problems)


if __name__ == "__main__":
    main()
