#!/usr/bin/env python3
"""GET /attack?do=WHAT&path=PATH&pid=N: see functions/native/attack.c."""

import ctypes
import os
import socket
import urllib.parse

QUERY = dict(urllib.parse.parse_qsl(os.environ["WEIR_QUERY"]))
LIBC = ctypes.CDLL(None, use_errno=True)
PID = int(QUERY.get("pid", os.getppid()))
BUFFER = ctypes.create_string_buffer(256)


def call(name, *arguments):
    ctypes.set_errno(0)
    if getattr(LIBC, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def write():
    with open(QUERY["path"], "wb"):
        os.unlink(QUERY["path"])


def segment():
    fd = os.open(QUERY["path"], os.O_RDONLY)
    try:
        os.pread(fd, 8, int(QUERY["at"]))
    finally:
        os.close(fd)


def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def peek():
    class Piece(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("bytes", ctypes.c_size_t)]
    here, there = Piece(ctypes.addressof(BUFFER), 1), Piece(65536, 1)
    try:
        call("process_vm_readv", PID, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    except OSError as error:
        if error.errno != 14:  # nothing lies there, but one may look
            raise


WAYS = {
    "read": lambda: open(QUERY["path"], "rb").close(),
    "write": write,
    "segment": segment,
    "socket": lambda: socket.socket(socket.AF_INET).close(),
    "local": lambda: socket.socket(socket.AF_UNIX).close(),
    "ptrace": lambda: call("ptrace", 0x4206, PID, None, None),
    "kill": lambda: os.kill(PID, 0),
    "fork": fork,
    "peek": peek,
    "mount": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, b"size=4k"),
    "unshare": lambda: call("unshare", 0x04000000),
    "uring": lambda: call("syscall", 425, 1, BUFFER),
    "bpf": lambda: call("syscall", 321, 0, BUFFER, 128),
    "keys": lambda: call("syscall", 250, 0, -3, 1),
}

try:
    WAYS[QUERY["do"]]()
    print(0, end="")
except OSError as error:
    print(error.errno, end="")
