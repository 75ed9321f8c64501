"""WebAssembly modules that nobody's compiler makes: far too many of something, or counts that lie. Byte by byte,
since wat2wasm would need longer for them than what they are for."""

NOTHING = b"\x60\x00\x00"            # a type: no parameters, no results
GLOBAL = b"\x7f\x01\x41\x00\x0b"     # a variable i32, 0
DATA = b"\x00\x41\x00\x0b\x01x"      # one byte at 0
PAGE = b"\x00\x01"
UINT32_MAX = (1 << 32) - 1


def number(value):
    out = b""
    while True:
        value, low = value >> 7, value & 0x7F
        if not value:
            return out + bytes([low])
        out += bytes([low | 0x80])


def vector(items):
    return number(len(items)) + b"".join(items)


def function(body=b"", local=()):
    text = vector(list(local)) + body + b"\x0b"
    return number(len(text)) + text


def module(code=None, types=(NOTHING,), functions=1, **sections):
    """`sections`: tables, memory, globals, exports, elements, data, each as the entries of its section."""
    parts = {1: types, 3: [b"\x00"] * functions, 4: sections.get("tables"), 5: sections.get("memory"), 6: sections.get("globals"),
             7: sections.get("exports", [number(6) + b"_start\x00\x00"]), 9: sections.get("elements"),
             10: [code or function()] * functions, 11: sections.get("data")}
    out = b"\x00asm\x01\x00\x00\x00"
    for kind, entries in parts.items():
        if entries:
            body = vector(list(entries))
            out += bytes([kind]) + number(len(body)) + body
    return out


def branch_table(count, targets):
    """block i32.const 0 br_table ... end, which says that it has `count` targets, and has `targets` and a default."""
    return function(b"\x02\x40\x41\x00\x0e" + number(count) + b"\x00" * (targets + 1) + b"\x0b")


# name: (module, what it is refused with; None: it is built)
BUILT = {
    "a branch table of 20,000": (module(branch_table(20000, 20000)), None),
    "a branch table that lies": (module(branch_table(UINT32_MAX, 4)), "not valid"),
    "50,000 blocks in each other": (module(function(b"\x02\x40" * 50000 + b"\x0b" * 50000)), "does not take the module"),
    "4 GiB of memory": (module(memory=[b"\x00" + number(65536)]), "at most 65535 are taken"),
    "more than there are addresses": (module(memory=[b"\x00" + number(65537)]), "at most 65535 are taken"),
    "two memories": (module(memory=[PAGE, PAGE]), "2 memories"),
    "16,385 globals": (module(globals=[GLOBAL] * 16385), "16385 globals; at most 16384"),
    "16,385 pieces of data": (module(memory=[PAGE], data=[DATA] * 16385), "16385 data segments; at most 16384"),
    "16,385 pieces of tables": (module(tables=[b"\x70\x00\x0a"], elements=[b"\x00\x41\x00\x0b\x01\x00"] * 16385),
                                "16385 element segments; at most 16384"),
    "131,073 functions": (module(functions=131073), "131073 functions; at most 131072"),
    "4,097 exports": (module(exports=[number(5) + b"e%04d\x00\x00" % i for i in range(4097)]), "4097 exports; at most 4096"),
    "1,000 parameters": (module(types=[b"\x60" + vector([b"\x7f"] * 1000) + b"\x00"]), "1000 parameters"),
    "4 billion variables": (module(function(local=[number(UINT32_MAX) + b"\x7f"])), "local count"),
    "8 billion variables": (module(function(local=[number(UINT32_MAX) + b"\x7f"] * 2)), "local count"),
    "20,000 variables": (module(function(local=[number(20000) + b"\x7f"])), None),
}

# These are built, and cannot start. name: (module, words)
STARTED = {
    "memory": (module(memory=[b"\x00" + number(65535)]), "needs more memory or tables"),
    "table": (module(tables=[b"\x70\x00" + number(UINT32_MAX)]), "needs more memory or tables"),
    "data": (module(memory=[PAGE], data=[b"\x00\x41\x80\x80\x04\x0b\x01x"]), "outside its bounds"),
}
