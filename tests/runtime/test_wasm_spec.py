#!/usr/bin/env python3
"""WebAssembly's semantics, through the builder and the instances that uploads go through: numbers and NaNs
against Python (wasm_numbers.py), and spec/*.wast for traps, memory, tables and recursion. Other .wast files
are run by naming them or their directory as arguments: modules that import something are left out. --public
runs the public suite's, which the sources of Debian's package binaryen carry."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import wasm_numbers  # noqa: E402

BUILD_WASM = pathlib.Path(os.environ["WEIR_BIN"]) / "weir-build-wasm"
CALL = pathlib.Path(os.environ["WEIR_BUILD"]) / "tests" / "wasm_call"
TRAPS = {"out of bounds memory access": 1, "out of bounds table access": 1, "integer overflow": 2, "integer divide by zero": 3,
         "invalid conversion to integer": 4, "unreachable": 5, "undefined element": 6, "uninitialized element": 6,
         "uninitialized table element": 6, "indirect call type mismatch": 6, "indirect call": 6, "call stack exhausted": 8}
KIND = {"i32": "i", "i64": "I", "f32": "f", "f64": "F"}
MANY = 300
OWN_FILES = sorted((HERE / "spec").glob("*.wast"))
FETCHED = pathlib.Path(os.environ.get("WEIR_DEBIAN_SOURCES", CALL.parent.parent / "debian-sources"))
# The public suite's files there that have modules without imports; the others there are binaryen's own.
PUBLIC = ("""address align block br br_if br_table call call_indirect const conversions data endianness exports
    f32 f32_bitwise f32_cmp f64 f64_bitwise f64_cmp fac float_exprs float_literals float_memory float_misc forward func func_ptrs
    globals i32 i64 if int_exprs int_literals labels left-to-right load local_get local_set local_tee loop memory memory_grow
    memory_redundancy memory_size memory_trap names nop ref_func ref_is_null ref_null return select skip-stack-guard-page stack
    start store switch table_get table_grow table_set table_size traps type unreachable unwind""").split()
PUBLIC_MANY = 15000


class Caller:
    """wasm_call, and where its modules lie."""

    def __init__(self, here):
        self.here = here
        self.process = subprocess.Popen([CALL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.count = 0

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().split()
        if not answer:
            raise AssertionError(f"wasm_call died of {self.process.wait()} over: {line}")
        return answer

    def load(self, wasm, level="2"):
        self.count += 1
        built = self.here / f"{self.count}.so"
        subprocess.run([BUILD_WASM, "--optimize", level, wasm, built], check=True, stdin=subprocess.DEVNULL)
        return self.ask(f"load {built}")

    def call(self, name, signature, cells):
        return self.ask(" ".join([f"call {name} {signature}"] + [f"{cell:x}" for cell in cells]))

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


def is_expected(expected, kind, cell):
    """`expected` as wast2json writes it: bits in decimal, or a pattern for NaNs."""
    if expected.startswith("nan:"):
        payload = 23 if kind == "f" else 52
        if expected == "nan:canonical":
            return cell & (1 << payload) - 1 == 1 << (payload - 1) and wasm_numbers.is_nan(cell, kind)
        return wasm_numbers.is_quiet_nan(cell, kind)
    return int(expected) == cell


def modern(text):
    """The suite's first way to expect NaNs, (assert_return_canonical_nan (invoke "f32.add" ...)), as the present one."""
    def line(match):
        kind, call, name, first = match.group("kind", "call", "name", "first")
        result = name[:3] if name[:4] in ("f32.", "f64.") else first
        return f"(assert_return {call} ({result}.const nan:{kind}))"
    return re.sub(r'\(assert_return_(?P<kind>canonical|arithmetic)_nan (?P<call>\(invoke "(?P<name>[^"]*)" \((?P<first>f32|f64|i32|i64).*\))\)$',
                  line, text, flags=re.MULTILINE)


LONE = re.compile(r'\(module (\(func (?:\(export "f"\) )?(?:\(result \w+\) )?\(\w+\.const \S+\)(?: drop)?\))\)')


def joined(text):
    """Of a file that has nothing but modules of one constant each (const.wast: 390), one module with a function for each:
    to start a compiler takes longer than all that it then does. Other files stay as they are."""
    functions, others = [], []
    for line in text.splitlines():
        alone = LONE.fullmatch(line)
        if alone:
            functions.append(alone[1].replace('"f"', f'"f{len(functions)}"'))
        elif line.startswith("(module"):
            return text
        else:
            others.append(line.replace('(invoke "f")', f'(invoke "f{len(functions) - 1}")'))
    return "\n".join(["(module", *functions, ")", *others]) if functions else text


class Spec(unittest.TestCase):
    files = OWN_FILES
    many = 150

    @classmethod
    def setUpClass(cls):
        for program in ("wasm2c", "wat2wasm", "wast2json"):
            if shutil.which(program) is None:
                raise unittest.SkipTest(f"{program} is not installed")

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.here = pathlib.Path(holder.name)
        self.caller = Caller(self.here)
        self.addCleanup(self.caller.close)

    def test_numbers(self):
        rows = list(wasm_numbers.cases())
        (self.here / "numbers.wat").write_text(wasm_numbers.module(rows))
        subprocess.run(["wat2wasm", "numbers.wat"], cwd=self.here, check=True)
        for level in "20":
            self.assertEqual(self.caller.load(self.here / "numbers.wasm", level), ["ok"])
            checked, wrong = 0, []
            for name, params, result, calls in rows:
                for cells, expected in calls:
                    answer = self.caller.call(name, f"{params}:{result}", cells)
                    checked += 1
                    if not self.is_right(answer, expected, result):
                        wrong.append(f"{name}{[hex(cell) for cell in cells]}: {answer}, not {expected}")
            self.assertEqual(wrong, [], f"of {checked} at -O{level}")
            self.assertGreater(checked, MANY)

    def is_right(self, answer, expected, kind):
        if isinstance(expected, str):
            return answer == ["trap", str(TRAPS[expected])]
        if answer[0] != "ok":
            return False
        cell = int(answer[1], 16)
        return wasm_numbers.is_quiet_nan(cell, kind) if expected is wasm_numbers.NAN else cell == expected

    def test_files(self):
        total = 0
        for path in self.files:
            with self.subTest(path.name):
                total += self.file(path)
        print(f"{total} assertions of {len(self.files)} files")
        self.assertGreater(total, self.many)

    def file(self, path):
        """How many assertions of a .wast file were checked."""
        (self.here / "spec.wast").write_text(joined(modern(path.read_text())))
        made = subprocess.run(["wast2json", self.here / "spec.wast", "-o", self.here / "spec.json"], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            raise unittest.SkipTest(f"wast2json does not read it: {made.stderr[:100]}")
        commands = json.loads((self.here / "spec.json").read_text())["commands"]
        checked, wrong, is_loaded = 0, [], False
        for command in commands:
            kind = command["type"]
            if kind == "module":
                is_loaded = self.module(self.here / command["filename"])
            elif is_loaded and kind in ("assert_return", "assert_trap", "assert_exhaustion", "action"):
                problem = self.command(command)
                is_loaded = problem is not None  # what was left out may have changed the instance
                checked += problem is not None
                if problem:
                    wrong.append(f"{path.name}:{command['line']}: {problem}")
        self.assertEqual(wrong, [])
        return checked

    def module(self, wasm):
        """False for what is not Weir's to load: of others' files those that import something."""
        try:
            return self.caller.load(wasm) == ["ok"]
        except subprocess.CalledProcessError:
            if self.files == OWN_FILES:
                raise
            return False

    def command(self, command):
        """None: not for us (references, other modules); "": as expected; or what was wrong."""
        action = command["action"]
        values = action.get("args", []) + command.get("expected", [])
        if action["type"] != "invoke" or "module" in action or any(value["type"] not in KIND for value in values):
            return None
        params = "".join(KIND[value["type"]] for value in action["args"])
        results = "".join(KIND[value["type"]] for value in command.get("expected", []))
        answer = self.caller.call(action["field"], f"{params}:{results}", [int(value["value"]) for value in action["args"]])
        if command["type"] in ("assert_trap", "assert_exhaustion"):
            return "" if answer == ["trap", str(TRAPS.get(command["text"]))] else f"{answer}, not {command['text']}"
        cells = [int(word, 16) for word in answer[1:]]
        if answer[0] != "ok" or len(cells) != len(results):
            return f"{answer}, not {command['expected']}"
        right = all(is_expected(value["value"], KIND[value["type"]], cell) for value, cell in zip(command["expected"], cells))
        return "" if right else f"{answer}, not {command['expected']}"

    def test_reset_puts_everything_back(self):
        text = """(module (memory 8 200) (global $g (mut i64) (i64.const 5)) (data (i32.const 100) "x")
            (table $t 2 100 funcref) (elem (i32.const 0) $f)
            (func $f (export "touch") (param i32) (result i32)
              (i32.store8 (local.get 0) (i32.add (i32.const 1) (i32.load8_u (local.get 0)))) (i32.load8_u (local.get 0)))
            (func (export "read") (param i32) (result i32) (i32.load8_u (local.get 0)))
            (func (export "global") (result i64) (global.set $g (i64.add (global.get $g) (i64.const 1))) (global.get $g))
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
            (func (export "table") (param i32) (result i32) (table.set $t (i32.const 0) (ref.null func))
              (table.grow $t (ref.func $f) (local.get 0)))
            (func (export "null") (result i32) (ref.is_null (table.get $t (i32.const 0)))))"""
        (self.here / "reset.wat").write_text(text)
        subprocess.run(["wat2wasm", "reset.wat"], cwd=self.here, check=True)
        self.assertEqual(self.caller.load(self.here / "reset.wasm"), ["ok"])
        self.caller.ask("keep")
        for number in range(300):
            for address in range(50, 524288, 4096) if number in (20, 21, 50) else (0, 100, 5000, 65535, 65536, 131071):
                self.assertEqual(self.caller.call("touch", "i:i", [address]), ["ok", "79" if address == 100 else "1"], number)
            self.assertEqual(self.caller.call("global", ":I", []), ["ok", "6"])
            self.assertEqual(self.caller.call("grow", "i:i", [number % 7]), ["ok", "8"])
            if number % 7:
                self.assertEqual(self.caller.call("touch", "i:i", [524288]), ["ok", "1"])
            self.assertEqual(self.caller.call("null", ":i", []), ["ok", "0"])
            self.assertEqual(self.caller.call("table", "i:i", [number % 90]), ["ok", "2"])
            self.assertEqual(self.caller.call("touch", "i:i", [1 << 31]), ["trap", "1"])
            self.caller.ask("reset")
            self.assertEqual(self.caller.call("read", "i:i", [524288]), ["trap", "1"], "what was grown is gone")


def public_files():
    """The public suite's files; exits with 77 where they cannot be had."""
    if subprocess.run([HERE.parents[1] / "tools" / "debian-source", FETCHED, "binaryen"], stdin=subprocess.DEVNULL, check=False).returncode != 0:
        print("skipped: the sources of Debian's package binaryen cannot be fetched")
        sys.exit(77)
    return [FETCHED / "binaryen" / "test" / "spec" / f"{name}.wast" for name in PUBLIC]


if __name__ == "__main__":
    if "--public" in sys.argv:
        Spec.files, Spec.many = public_files(), PUBLIC_MANY
        sys.argv[1:] = ["Spec.test_files"]
    named = [pathlib.Path(argument) for argument in sys.argv[1:] if pathlib.Path(argument).exists()]
    if named:
        sys.argv[1:] = ["Spec.test_files"]
        Spec.files = [path for name in named for path in (sorted(name.glob("*.wast")) if name.is_dir() else [name])]
        Spec.many = 0
    program = unittest.main(exit=False, verbosity=1)
    skipped_all = program.result.wasSuccessful() and program.result.skipped and program.result.testsRun == 0
    sys.exit(77 if skipped_all else not program.result.wasSuccessful())
