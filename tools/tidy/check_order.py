#!/usr/bin/env python3
"""Memory order is explained where it is used, on both sides.

Each memory_order_acquire, release, acq_rel and seq_cst in dataplane/ and ctrl/ carries, on its line or
within four lines above, a comment `ORDER label side` with the same side; what a label's release
publishes, some acquire must take. Also wrong: memory_order_consume, bare fences, and volatile data.
"""

import re

import source

USED = re.compile(r"memory_order_(acquire|release|acq_rel|seq_cst|consume)\b")
LABEL = re.compile(r"ORDER (\w+) (acquire|release|acq_rel|seq_cst)\b")
BARE = re.compile(r"\b(atomic_thread_fence|__sync_synchronize|atomic_signal_fence)\b")
VOLATILE = re.compile(r"\bvolatile\b")
ASSEMBLY = re.compile(r"\b(__asm__|asm)\s+(__)?volatile")
SAMPLES = "dataplane/sdk/samples/"  # may show what a function must not do
LINES_ABOVE = 4


def file_problems(name, text, sides):
    problems = []
    lines = text.split("\n")
    for index, code in enumerate(source.code_only(text).split("\n")):
        where = f"{name}:{index + 1}"
        near = "\n".join(lines[max(0, index - LINES_ABOVE):index + 1])
        labels = LABEL.findall(near)
        for side in USED.findall(code):
            matching = [label for label, labelled in labels if labelled == side]
            if side == "consume":
                problems.append(f"{where}: memory_order_consume has no agreed meaning; use acquire")
            elif not matching:
                problems.append(f"{where}: {side} without 'ORDER label {side}' within {LINES_ABOVE} lines above")
            else:
                sides.setdefault(matching[-1], {}).setdefault(side, where)
        if BARE.search(code) and not labels:
            problems.append(f"{where}: a bare fence; put the order on the access, or label it with ORDER")
        if VOLATILE.search(code) and not ASSEMBLY.search(code) and not name.startswith(SAMPLES):
            problems.append(f"{where}: volatile orders nothing; use _Atomic")
    return problems


def main():
    root = source.root_argument()
    problems, sides = [], {}
    for path in source.c_files(root, ("dataplane", "ctrl")):
        problems += file_problems(path.as_posix(), source.read(root, path), sides)
    for label, seen in sorted(sides.items()):
        publishes = {"release", "acq_rel", "seq_cst"} & set(seen)
        takes = {"acquire", "acq_rel", "seq_cst"} & set(seen)
        where = next(iter(seen.values()))
        if not takes:
            problems.append(f"{where}: ORDER {label} is released but never acquired")
        if not publishes:
            problems.append(f"{where}: ORDER {label} is acquired but never released")
    source.report("order", problems)


if __name__ == "__main__":
    main()
