"""Instructions per source file and function from valgrind's callgrind files, counted by stage.

The part of the format that is read: `fl=`/`fi=`/`fe=` name a file, `fn=` a function, `ob=` an object
(numbers in brackets stand for names given before), a line of numbers is a line of source and its
instructions, and `calls=` says that the next such line is what a called function cost in total.
"""

import collections
import re

NAME = re.compile(r"^(c?(?:fl|fi|fe|fn|ob|file))=(?:\((\d+)\))?\s*(.*)$")
COST = re.compile(r"^[+*-]?\d*\s+(\d+)")
THREAD_STARTS = ("start_thread", "clone", "(below main)", "__libc_start_main", "main")


class Counts:
    """Instructions of one file: own[(function, its file, source file)], and calls[(function, its file,
    source file at the call, called function, its file)] with everything below."""

    def __init__(self):
        self.own = collections.Counter()
        self.calls = collections.Counter()

    def total(self):
        return sum(self.own.values())


class Reader:
    def __init__(self):
        self.names = {"file": {}, "fn": {}, "ob": {}}
        self.counts = Counts()
        self.function = self.home = self.file = ""
        self.called = self.called_home = ""
        self.call_next = False

    def name(self, kind, number, text):
        known = self.names[kind]
        if number is None:
            return text
        if text:
            known[number] = text
        return known.get(number, "?")

    def line(self, line):
        found = NAME.match(line)
        if found:
            self.naming(*found.groups())
        elif line.startswith("calls="):
            self.call_next = True
        else:
            cost = COST.match(line)
            if cost:
                self.cost(int(cost.group(1)))

    def naming(self, key, number, text):
        kind = "fn" if key in ("fn", "cfn") else "ob" if key in ("ob", "cob") else "file"
        name = self.name(kind, number, text)
        if key == "fn":
            self.function, self.home = name, self.file
        elif key in ("fl", "fi", "fe"):
            self.file = name
        elif key in ("cfi", "cfl"):
            self.called_home = name
        elif key == "cfn":
            self.called = name

    def cost(self, instructions):
        if self.call_next:
            self.counts.calls[self.function, self.home, self.file, self.called, self.called_home or self.file] += instructions
            self.call_next = False
            self.called_home = ""
        else:
            self.counts.own[self.function, self.home, self.file] += instructions


def read(text):
    """The counts of one callgrind file. Files: `fl=` comes before its `fn=`."""
    reader = Reader()
    for line in text.splitlines():
        reader.line(line)
    return reader.counts


def stages(counts, stage_of, ignored=()):
    """Counter of instructions per stage. `stage_of(file)` gives the stage of a source file, or None
    where it serves several: then the function decides that it was inlined into, else its caller
    (recursively through what it calls). `ignored` are parts of file names that count for nothing."""
    def skip(*files):
        return any(part in file for file in files for part in ignored)

    found = collections.Counter()
    for (_, home, file), instructions in counts.own.items():
        stage = stage_of(file) or stage_of(home)
        if stage and not skip(file, home):
            found[stage] += instructions
    for (function, home, file, called, called_home), instructions in counts.calls.items():
        stage = stage_of(file) or stage_of(home)
        if stage and stage_of(called_home) is None and called not in THREAD_STARTS and not skip(called_home, home):
            found[stage] += instructions
    return found
