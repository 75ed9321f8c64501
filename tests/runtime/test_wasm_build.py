#!/usr/bin/env python3
"""weir-build-wasm: what it refuses, with which words and exit status, and what it leaves behind."""

import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import wasm_hostile  # noqa: E402

BUILD_WASM = pathlib.Path(os.environ["WEIR_BIN"]) / "weir-build-wasm"
NEEDS = ("wasm2c", "wat2wasm", "wasm-validate", "cc")

INJECTIONS = (
    r'(module (memory (export "memory") 1) (func (export "*/ int evil(void){return 42;} /*") (result i32) i32.const 1))',
    r'(module (memory (export "memory") 1) (func (export "*/\0a#ifndef Q\0a#define Q\0a__attribute__((constructor)) '
    r'static void evil(void){}\0a#endif\0a/*") (result i32) i32.const 1))',
    r'(module (import "*/ int evil2;/*" "*/ int evil3; /*" (func)) (memory (export "memory") 1))',
)
GOOD = '(module (memory (export "memory") 1 2) (func (export "add") (param i32 i64 f32 f64) (result i32 f64) i32.const 1 local.get 3))'


class Build(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        for program in NEEDS:
            if shutil.which(program) is None:
                raise unittest.SkipTest(f"{program} is not installed")

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.here = pathlib.Path(holder.name)

    def module(self, text):
        (self.here / "in.wat").write_text(text)
        subprocess.run(["wat2wasm", "in.wat", "-o", "in.wasm"], cwd=self.here, check=True)
        (self.here / "in.wat").unlink()
        return self.here / "in.wasm"

    def build(self, path, *options):
        """(exit status, what it said); nothing but input and output may stay."""
        ran = subprocess.run([BUILD_WASM, *options, path, self.here / "out.so"], capture_output=True, text=True, env={}, check=False,
                             timeout=300, stdin=subprocess.DEVNULL)
        left = sorted(entry.name for entry in self.here.iterdir())
        self.assertEqual(left, ["in.wasm", "out.so"] if ran.returncode == 0 else ["in.wasm"])
        return ran.returncode, ran.stderr

    def test_a_program_in_c_becomes_an_object_or_says_why_not(self):
        if not pathlib.Path("/usr/lib/wasm32-wasi/libc.a").exists() or shutil.which("clang") is None:
            self.skipTest("clang or wasi-libc is not installed")
        source = self.here / "main.c"
        for text, wanted, said in (("#include <stdio.h>\nint main(void) { return puts(\"hello\") < 0; }\n", 0, ""),
                                   ("int main(void) { return missing; }\n", 1, "'missing'"),
                                   ("#include \"/etc/passwd\"\n", 1, "does not take the source"),
                                   ("int f(void) { return 1; }\n", 1, "does not take the source")):
            source.write_text(text)
            ran = subprocess.run([BUILD_WASM, "main.c", "out.so"], cwd=self.here, capture_output=True, text=True,
                                 env={}, check=False, timeout=300, stdin=subprocess.DEVNULL)
            self.assertEqual(ran.returncode, wanted, ran.stderr)
            self.assertIn(said, ran.stderr)
            self.assertEqual({path.name for path in self.here.iterdir()} - {"out.so"}, {"main.c"})
        self.assertTrue((self.here / "out.so").read_bytes().startswith(b"\x7fELF"))

    def test_a_module_becomes_an_object_without_home_and_environment(self):
        status, said = self.build(self.module(GOOD))
        self.assertEqual((status, said), (0, ""))
        self.assertTrue((self.here / "out.so").read_bytes().startswith(b"\x7fELF"))

    def test_names_that_would_become_c_are_refused(self):
        for text in INJECTIONS:
            status, said = self.build(self.module(text))
            self.assertEqual(status, 1, said)
            self.assertIn("other characters", said)

    def test_what_is_not_offered_is_named(self):
        status, said = self.build(self.module('(module (import "wasi_snapshot_preview1" "fd_fly" (func)))'))
        self.assertEqual(status, 1)
        self.assertIn("wasi_snapshot_preview1.fd_fly", said)
        status, said = self.build(self.module('(module (func (result v128) (v128.const i32x4 1 2 3 4)))'))
        self.assertEqual(status, 1)
        self.assertIn("SIMD", said)

    def test_only_modules_for_faasm_may_lack_what_env_had(self):
        lacking = '(module (import "env" "fopen" (func)) (memory 1) (func (export "NAME")))'
        for name, expected in (("_start", 1), ("weir_handle", 1), ("run", 0), ("_run", 0)):
            status, said = self.build(self.module(lacking.replace("NAME", name)))
            self.assertEqual(status, expected, f"{name}: {said}")
            self.assertEqual("imports env.fopen" in said, expected == 1, said)

    def test_an_invalid_module_is_refused_in_words(self):
        path = self.module(GOOD)
        path.write_bytes(path.read_bytes().replace(b"\x41\x01\x20\x03", b"\x41\x01\x20\x02"))
        status, said = self.build(path)
        self.assertEqual(status, 1)
        self.assertIn("not valid", said)

    def test_garbage_is_refused(self):
        good = self.module(GOOD).read_bytes()
        chance = random.Random(20)
        built = 0
        for _ in range(60):
            bad = bytearray(good)
            for _ in range(chance.randint(1, 4)):
                bad[chance.randrange(8, len(bad))] = chance.randrange(256)
            (self.here / "in.wasm").write_bytes(bad[:chance.randint(8, len(bad))] if chance.random() < .3 else bad)
            (self.here / "out.so").unlink(missing_ok=True)
            status, said = self.build(self.here / "in.wasm", "--optimize", "0")
            self.assertIn(status, (0, 1), said)
            self.assertEqual(status != 0, said != "")
            built += status == 0
        self.assertLess(built, 60)

    def test_too_much_of_anything_is_refused_in_words(self):
        for name, (data, words) in wasm_hostile.BUILT.items():
            with self.subTest(name):
                (self.here / "out.so").unlink(missing_ok=True)
                (self.here / "in.wasm").write_bytes(data)
                status, said = self.build(self.here / "in.wasm", "--optimize", "0", "--cpu-seconds", "60")
                self.assertEqual(status, 0 if words is None else 1, said)
                self.assertIn(words or "", said)

    def test_limits_hold(self):
        work = "local.get 0 i64.const 3 i64.mul local.set 0 local.get 0 i64.popcnt local.get 0 i64.xor local.set 0 " * 2000
        functions = "".join(f'(func (export "f{i}") (param i64) (result i64) {work} local.get 0)' for i in range(8))
        path = self.module(f"(module {functions})")
        status, said = self.build(path, "--cpu-seconds", "1")
        self.assertEqual(status, 4, said)
        status, said = self.build(path, "--memory-mb", "48")
        self.assertEqual(status, 4, said)

    def test_usage(self):
        self.assertEqual(subprocess.run([BUILD_WASM], capture_output=True, check=False).returncode, 2)
        ran = subprocess.run([BUILD_WASM, self.here / "none.wasm", self.here / "out.so"], capture_output=True, text=True, check=False)
        self.assertEqual(ran.returncode, 3)
        self.assertIn("none.wasm", ran.stderr)


if __name__ == "__main__":
    program = unittest.main(exit=False)
    ran = program.result
    sys.exit(77 if ran.wasSuccessful() and len(ran.skipped) and ran.testsRun == 0 else not ran.wasSuccessful())
