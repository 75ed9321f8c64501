#!/usr/bin/env python3
"""Every function of WASI preview 1, called by a program: what dataplane/runtime/wasm/imports.h says of each is
what comes back, from an open descriptor and from one that is not."""

import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import weir_instance  # noqa: E402
from weir_instance import SOURCE, Instance, wait_until  # noqa: E402

TABLE = SOURCE / "dataplane" / "runtime" / "wasm" / "imports.h"
ROW = re.compile(r'X\(WEIR_WASM_WASI, (\w+), "([iIfF]*):([iIfF]*)", \w+,[\s\\]*"([^"]*)"')
FUNCTIONS = 46  # of preview 1
ERRNO = {"EBADF": 8, "EINVAL": 28, "ENOSYS": 52, "ENOTDIR": 54, "ENOTSOCK": 57, "ENOTSUP": 58, "ESPIPE": 70}
OPEN, SHUT = 1, 9
PLACE = 2048  # for whatever a function writes
WORKS = {  # those that do something: their arguments
    "args_get": (PLACE, PLACE + 64), "args_sizes_get": (PLACE, PLACE + 4), "environ_get": (PLACE, PLACE + 1024),
    "environ_sizes_get": (PLACE, PLACE + 4), "clock_res_get": (0, PLACE), "clock_time_get": (1, 0, PLACE),
    "fd_fdstat_get": (1, PLACE), "fd_filestat_get": (1, PLACE), "fd_read": (0, 1024, 1, PLACE),
    "fd_write": (2, 1024, 1, PLACE), "poll_oneoff": (1040, PLACE, 1, PLACE + 128), "sched_yield": (), "random_get": (PLACE, 16),
    "fd_close": (2,)}
ANSWERS = 8192


def rows():
    """(name, parameters, results, what the table says) of each function."""
    return ROW.findall(TABLE.read_text())


def refused(said):
    """The errnos for an open and for another descriptor, where the table names any."""
    names = re.findall(r"\bE[A-Z]{3,}\b", said)
    return [ERRNO[name] for name in names] * (2 if len(names) == 1 else 1)


def calls():
    """(name, arguments, errno that the table promises); closing comes last."""
    listed = []
    for name, params, _, said in rows():
        if name == "proc_exit":
            continue
        if name in WORKS:
            listed.append((name, WORKS[name], 0))
            continue
        for descriptor, errno in zip((OPEN, SHUT), refused(said)):
            place = 2 if name == "path_symlink" else 0
            arguments = [descriptor if i == place else 0 if kind == "I" else PLACE for i, kind in enumerate(params)]
            listed.append((name, tuple(arguments), errno))
    return sorted(listed, key=lambda call: call[0] == "fd_close")


def module(listed):
    kinds = {"i": "i32", "I": "i64"}
    text = ["(module"]
    signature = {}
    for name, params, results, _ in rows():
        signature[name] = params
        types = " ".join(["(param", *(kinds[kind] for kind in params), ") (result", *(kinds[kind] for kind in results), ")"])
        text.append(f'(import "wasi_snapshot_preview1" "{name}" (func ${name} {types}))')
    # A vector of 16 bytes at PLACE; behind it zeros, which subscribe to a clock that is due.
    text.append(f'(memory (export "memory") 1) (data (i32.const 1024) "\\{PLACE & 255:02x}\\{PLACE >> 8:02x}\\00\\00\\10\\00\\00\\00")')
    text.append('(func (export "_start")')
    for number, (name, arguments, _) in enumerate(listed):
        values = " ".join(f"({kinds[kind]}.const {value})" for kind, value in zip(signature[name], arguments))
        text.append(f"(i32.store8 (i32.const {ANSWERS + number}) (call ${name} {values}))")
    text.append(f"(i32.store (i32.const 1024) (i32.const {ANSWERS})) (i32.store (i32.const 1028) (i32.const {len(listed)}))")
    text.append("(drop (call $fd_write (i32.const 1) (i32.const 1024) (i32.const 1) (i32.const 2048)))")
    text.append("(call $proc_exit (i32.const 0)) unreachable))")
    return "\n".join(text)


class Wasi(weir_instance.Case):
    needs = (*weir_instance.Case.needs, "weir-worker-wasm")

    def test_every_function_answers_what_the_table_says(self):
        weir_instance.needs_program("wat2wasm", "wabt")
        self.assertEqual(len(set(name for name, *_ in rows())), FUNCTIONS)
        listed = calls()
        self.assertEqual({name for name, *_ in listed} | {"proc_exit"}, {name for name, *_ in rows()}, "all of them are called")
        with Instance() as weir:
            (weir.home / "all.wat").write_text(module(listed))
            subprocess.run(["wat2wasm", "all.wat"], cwd=weir.home, check=True)
            weir.ctrlctl("fn", "add", "all", "--runtime", "wasm", "--file", weir.home / "all.wasm")
            weir.ctrlctl("route", "add", "ANY /all", "--fn", "all")
            wait_until(lambda: weir.request("POST", "/all", b"body").status != 501, "the module is built")
            for _ in range(3):  # a closed descriptor is open in the next call
                answer = weir.request("POST", "/all", b"body")
                self.assertEqual((answer.status, len(answer.body)), (200, len(listed)), answer)
                for (name, arguments, errno), got in zip(listed, answer.body):
                    self.assertEqual(got, errno, f"{name}{arguments}")


if __name__ == "__main__":
    weir_instance.main()
