"""What WebAssembly's numeric instructions give, worked out in Python: a module that exports each instruction
as a function, and (name, signature, argument cells, expected) for edges of all types. `expected` is a cell, a
trap's text, or NAN: any quiet NaN of that type."""

import math
import struct

NAN = object()
WIDTH = {"i": 32, "I": 64, "f": 32, "F": 64}
WORD = {"i": "i32", "I": "i64", "f": "f32", "F": "f64"}
INTEGERS = {"i": (0, 1, 2, 7, 31, 32, 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff, 0x12345678),
            "I": (0, 1, 3, 63, 64, 0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0xffffffffffffffff,
                  0x123456789abcdef0)}
REALS = {"f": (0, 0x80000000, 0x3f800000, 0xbf800000, 0x3f000000, 0xbfc00000, 0x40200000, 0x00000001, 0x00800000, 0x7f7fffff,
               0x7f800000, 0xff800000, 0x7fc00000, 0x7fa00000, 0xffc00001, 0x4b000001, 0x3dcccccd),
         "F": (0, 1 << 63, 0x3ff0000000000000, 0xbff0000000000000, 0x3fe0000000000000, 0xbff8000000000000, 0x4004000000000000, 1,
               0x0010000000000000, 0x7fefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000,
               0x7ff4000000000000, 0xfff8000000000001, 0x4330000000000001, 0x3fb999999999999a)}
DIVIDE, OVERFLOW, INVALID = "integer divide by zero", "integer overflow", "invalid conversion to integer"


def signed(value, width):
    return value - (1 << width) if value >> (width - 1) else value


def real(cell, kind):
    return struct.unpack("<f" if kind == "f" else "<d", cell.to_bytes(WIDTH[kind] // 8, "little"))[0]


def cell_of(value, kind):
    if math.isnan(value):
        return NAN
    try:
        return int.from_bytes(struct.pack("<f" if kind == "f" else "<d", value), "little")
    except OverflowError:
        return cell_of(math.copysign(math.inf, value), kind)


def is_nan(cell, kind):
    return math.isnan(real(cell, kind))


def is_quiet_nan(cell, kind):
    return is_nan(cell, kind) and cell >> (22 if kind == "f" else 51) & 1 == 1


def divided(a, b):
    quotient = abs(a) // abs(b)
    return -quotient if (a < 0) != (b < 0) else quotient


def integer_binary(kind):
    width = WIDTH[kind]
    mask = (1 << width) - 1

    def div_s(a, b):
        if b == 0:
            return DIVIDE
        quotient = divided(signed(a, width), signed(b, width))
        return OVERFLOW if quotient == 1 << (width - 1) else quotient & mask

    def rem_s(a, b):
        a, b = signed(a, width), signed(b, width)
        return DIVIDE if b == 0 else (a - divided(a, b) * b) & mask

    operations = {
        "add": lambda a, b: (a + b) & mask, "sub": lambda a, b: (a - b) & mask, "mul": lambda a, b: (a * b) & mask,
        "and": lambda a, b: a & b, "or": lambda a, b: a | b, "xor": lambda a, b: a ^ b,
        "shl": lambda a, b: (a << b % width) & mask, "shr_u": lambda a, b: a >> b % width,
        "shr_s": lambda a, b: (signed(a, width) >> b % width) & mask,
        "rotl": lambda a, b: (a << b % width | a >> (width - b % width)) & mask,
        "rotr": lambda a, b: (a >> b % width | a << (width - b % width)) & mask,
        "div_s": div_s, "rem_s": rem_s,
        "div_u": lambda a, b: DIVIDE if b == 0 else a // b, "rem_u": lambda a, b: DIVIDE if b == 0 else a % b,
    }
    comparisons = {"eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "lt_u": lambda a, b: a < b, "ge_u": lambda a, b: a >= b,
                   "lt_s": lambda a, b: signed(a, width) < signed(b, width),
                   "gt_s": lambda a, b: signed(a, width) > signed(b, width),
                   "le_s": lambda a, b: signed(a, width) <= signed(b, width)}
    return operations, comparisons


def real_binary(kind):
    def div(a, b):
        if b == 0:
            if a == 0 or math.isnan(a):
                return math.nan
            return math.copysign(math.inf, a) * math.copysign(1, b)
        return a / b

    def ordered(choose):
        def result(a, b):
            if math.isnan(a) or math.isnan(b):
                return math.nan
            if a == b == 0:
                return choose((a, b), key=lambda x: math.copysign(1, x))
            return choose(a, b)
        return result

    def over(operation):
        def result(a, b):
            try:
                return operation(a, b)
            except (OverflowError, ValueError):
                return math.nan
        return result

    operations = {"add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": over(div),
                  "min": ordered(min), "max": ordered(max)}
    comparisons = {"eq": lambda a, b: a == b, "ne": lambda a, b: a != b, "lt": lambda a, b: a < b, "ge": lambda a, b: a >= b}
    return operations, comparisons


def nearest(value):
    if not math.isfinite(value) or value == 0:
        return value
    return math.copysign(float(round(value)), value)


def rounding(operation):
    def result(value):
        if not math.isfinite(value):
            return value
        return math.copysign(float(operation(value)), value)
    return result


REAL_UNARY = {"sqrt": lambda a: math.nan if a < 0 else math.sqrt(a) if math.isfinite(a) and a != 0 else a, "nearest": nearest,
              "floor": rounding(math.floor), "ceil": rounding(math.ceil), "trunc": rounding(math.trunc)}


def truncate(value, target, is_signed):
    if math.isnan(value):
        return INVALID
    width = WIDTH[target]
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if is_signed else (0, (1 << width) - 1)
    if math.isinf(value) or not low <= math.trunc(value) <= high:
        return OVERFLOW
    return math.trunc(value) & (1 << width) - 1


def saturate(value, target, is_signed):
    if math.isnan(value):
        return 0
    width = WIDTH[target]
    low, high = (-(1 << (width - 1)), (1 << (width - 1)) - 1) if is_signed else (0, (1 << width) - 1)
    whole = low if value < low else high if value > high else math.trunc(value)
    return whole & (1 << width) - 1


def from_integer(value, kind):
    """To the nearest, ties to even: Python's float() does so, and for f32 only integers of 53 bits survive twice."""
    if kind == "F":
        return cell_of(float(value), "F")
    sign, value = (-1, -value) if value < 0 else (1, value)
    extra = max(0, value.bit_length() - 24)
    kept = value >> extra
    rest, half = value & (1 << extra) - 1, 1 << extra >> 1
    if extra and (rest > half or (rest == half and kept & 1)):
        kept += 1
    return cell_of(sign * float(kept << extra), "f")


def cases():
    """All of them, as (instruction, parameters, result kind, [(cells, expected)])."""
    for kind in "iI":
        operations, comparisons = integer_binary(kind)
        for names, result in ((operations, kind), (comparisons, "i")):
            for name, function in names.items():
                rows = [((a, b), value if isinstance(value := function(a, b), str) else int(value))
                        for a in INTEGERS[kind] for b in INTEGERS[kind]]
                yield f"{WORD[kind]}.{name}", kind * 2, result, rows
        width = WIDTH[kind]
        unary = {"clz": lambda a, w=width: w - a.bit_length(), "ctz": lambda a, w=width: (a & -a).bit_length() - 1 if a else w,
                 "popcnt": lambda a: bin(a).count("1"),
                 "extend8_s": lambda a, w=width: signed(a & 0xff, 8) & (1 << w) - 1,
                 "extend16_s": lambda a, w=width: signed(a & 0xffff, 16) & (1 << w) - 1}
        for name, function in unary.items():
            yield f"{WORD[kind]}.{name}", kind, kind, [((a,), function(a)) for a in INTEGERS[kind]]
        yield f"{WORD[kind]}.eqz", kind, "i", [((a,), int(a == 0)) for a in INTEGERS[kind]]
    for kind in "fF":
        yield from real_cases(kind)
    yield "i32.wrap_i64", "I", "i", [((a,), a & 0xffffffff) for a in INTEGERS["I"]]
    yield "i64.extend_i32_s", "i", "I", [((a,), signed(a, 32) & (1 << 64) - 1) for a in INTEGERS["i"]]
    yield "f64.promote_f32", "f", "F", [((a,), cell_of(real(a, "f"), "F")) for a in REALS["f"]]
    yield "f32.demote_f64", "F", "f", [((a,), cell_of(real(a, "F"), "f")) for a in REALS["F"]]


def real_cases(kind):
    operations, comparisons = real_binary(kind)
    values = REALS[kind]
    for name, function in operations.items():
        yield f"{WORD[kind]}.{name}", kind * 2, kind, [((a, b), cell_of(function(real(a, kind), real(b, kind)), kind))
                                                      for a in values for b in values]
    for name, function in comparisons.items():
        yield f"{WORD[kind]}.{name}", kind * 2, "i", [((a, b), int(function(real(a, kind), real(b, kind))))
                                                     for a in values for b in values]
    for name, function in REAL_UNARY.items():
        yield f"{WORD[kind]}.{name}", kind, kind, [((a,), cell_of(function(real(a, kind)), kind)) for a in values]
    sign = 1 << WIDTH[kind] - 1
    # These are of bits, NaN or not.
    yield f"{WORD[kind]}.neg", kind, kind, [((a,), a ^ sign) for a in values]
    yield f"{WORD[kind]}.abs", kind, kind, [((a,), a & ~sign) for a in values]
    yield f"{WORD[kind]}.copysign", kind * 2, kind, [((a, b), a & ~sign | b & sign) for a in values for b in values]
    integer = "i" if kind == "f" else "I"
    yield f"{WORD[integer]}.reinterpret_{WORD[kind]}", kind, integer, [((a,), a) for a in values]
    yield f"{WORD[kind]}.reinterpret_{WORD[integer]}", integer, kind, [((a,), a) for a in values]
    for target in "iI":
        for is_signed in (True, False):
            end = f"{WORD[kind]}_{'s' if is_signed else 'u'}"
            yield f"{WORD[target]}.trunc_{end}", kind, target, [((a,), truncate(real(a, kind), target, is_signed)) for a in values]
            yield f"{WORD[target]}.trunc_sat_{end}", kind, target, [((a,), saturate(real(a, kind), target, is_signed))
                                                                   for a in values]
            end = f"{WORD[target]}_{'s' if is_signed else 'u'}"
            yield f"{WORD[kind]}.convert_{end}", target, kind, [
                ((a,), from_integer(signed(a, WIDTH[target]) if is_signed else a, kind)) for a in INTEGERS[target]]


def module(rows):
    """The text of a module with a function for each instruction."""
    functions = []
    for name, params, result, _ in rows:
        words = " ".join(WORD[kind] for kind in params)
        gets = " ".join(f"(local.get {i})" for i in range(len(params)))
        functions.append(f'(func (export "{name}") (param {words}) (result {WORD[result]}) ({name} {gets}))')
    return "(module " + "\n".join(functions) + ")"
