#!/usr/bin/env python3
"""Functions written for Faasm's first version: input, output and chained calls; and a wasm handler that
calls another function."""

import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import weir_instance  # noqa: E402
from weir_instance import BUILD, SAMPLES, Instance, wait_until  # noqa: E402

FAASM = BUILD / "tests" / "functions" / "faasm"


class Faasm(weir_instance.Case):
    def add(self, weir, name, path):
        weir.ctrlctl("fn", "add", name, "--runtime", "wasm", "--file", path)
        weir.ctrlctl("route", "add", f"POST /{name}", "--fn", name)

    def ready(self, weir, *names):
        for name in names:
            wait_until(lambda n=name: weir.request("POST", f"/{n}", b"").status != 501, f"{name} is built")

    def test_input_becomes_output(self):
        with Instance() as weir:
            self.add(weir, "x2", FAASM / "x2.wasm")
            self.ready(weir, "x2")
            for body in (b"", b"\1\2\3", bytes(range(1, 100)), b"\x11" * 1024, b"\0\0\7"):
                answer = weir.request("POST", "/x2", body)
                self.assertEqual((answer.status, answer.body), (200, bytes(2 * byte for byte in body)))
            answer = weir.request("POST", "/x2", b"x" * 1025)
            self.assertEqual(answer.status, 502)
            self.assertIn("1,024", answer.json()["error"])
            self.assertEqual(weir.request("POST", "/x2", b"\1").body, b"\2")

    def test_a_module_that_imports_its_memory_and_table(self):
        text = """(module (import "env" "memory" (memory 2 16)) (import "env" "table" (table 3 funcref))
            (import "env" "_system" (func $system (param i32) (result i32)))
            (elem (i32.const 1) $twice) (data (i32.const 100) "=")
            (func $twice (param i32) (result i32) (i32.mul (local.get 0) (i32.const 2)))
            (func (export "_run") (param i32 i32 i32 i32) (result i32)
              (if (i32.eq (i32.load8_u (local.get 0)) (i32.const 115)) (then (drop (call $system (i32.const 0)))))
              (i32.store8 (i32.const 200) (i32.add (i32.const 1) (i32.load8_u (i32.const 200))))
              (i32.store8 (local.get 1) (i32.load8_u (i32.const 100)))
              (i32.store8 (i32.add (local.get 1) (i32.const 1)) (i32.load8_u (i32.const 200)))
              (i32.store8 (i32.add (local.get 1) (i32.const 2))
                (call_indirect (param i32) (result i32) (i32.load8_u (local.get 0)) (i32.const 1)))
              (i32.const 0)))"""
        if shutil.which("wat2wasm") is None:
            self.skipTest("wat2wasm is not installed")
        with Instance() as weir:
            path = pathlib.Path(weir.data) / "old.wasm"
            path.with_suffix(".wat").write_text(text)
            subprocess.run(["wat2wasm", path.with_suffix(".wat"), "-o", path], check=True)
            self.add(weir, "old", path)
            self.ready(weir, "old")
            for _ in range(3):
                self.assertEqual(weir.request("POST", "/old", b"!").body, b"=\1B")
                answer = weir.request("POST", "/old", b"s")
                self.assertEqual(answer.status, 502)
                self.assertIn("env._system", answer.json()["error"])

    def test_chained_calls_happen(self):
        with Instance() as weir:
            self.add(weir, "chain", FAASM / "chain.wasm")
            self.add(weir, "note", FAASM / "note.wasm")
            self.ready(weir, "note", "chain")
            answer = weir.request("POST", "/chain", b"")
            self.assertEqual((answer.status, answer.body), (200, b"chained"))
            for word in ("noted a!", "noted b!", "noted c!"):
                wait_until(lambda w=word: w in weir.ctrlctl("fn", "logs", "note", check=False).stdout, f"the chained call {word}")

    def test_a_handler_calls_another_function(self):
        with Instance() as weir:
            self.add(weir, "chain", SAMPLES / "wasm" / "chain.wasm")
            self.add(weir, "hello", SAMPLES / "wasm" / "hello.wasm")
            self.ready(weir, "hello", "chain")
            for _ in range(20):
                answer = weir.request("POST", "/chain", b'{"name":"Ada"}').json()
                self.assertEqual(answer, {"called": "hello", "status": 200, "answer": {"message": "Hello, Ada!"}})
            self.assertEqual(weir.request("POST", "/chain?function=none", b"").json()["status"], 404)
            self.assertEqual(weir.request("POST", "/chain?one-way=1", b"").json()["status"], 202)


if __name__ == "__main__":
    weir_instance.main()
