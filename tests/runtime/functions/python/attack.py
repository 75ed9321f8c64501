"""GET /attack?do=WHAT&path=PATH&pid=N: see functions/native/attack.c."""

import ctypes
import os
import socket

LIBC = ctypes.CDLL(None, use_errno=True)
BUFFER = ctypes.create_string_buffer(256)


class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("bytes", ctypes.c_size_t)]


def call(name, *arguments):
    ctypes.set_errno(0)
    if getattr(LIBC, name)(*arguments) == -1:
        raise OSError(ctypes.get_errno(), name)


def write(path):
    with open(path, "wb"):
        os.unlink(path)


def segment(path, at):
    fd = os.open(path, os.O_RDONLY)
    try:
        os.pread(fd, 8, at)
    finally:
        os.close(fd)


def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def peek(pid):
    here, there = Piece(ctypes.addressof(BUFFER), 1), Piece(65536, 1)
    try:
        call("process_vm_readv", pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0)
    except OSError as error:
        if error.errno != 14:  # nothing lies there, but one may look
            raise


def attack(what, path, pid, at):
    ways = {
        "read": lambda: open(path, "rb").close(),
        "write": lambda: write(path),
        "segment": lambda: segment(path, at),
        "socket": lambda: socket.socket(socket.AF_INET).close(),
        "local": lambda: socket.socket(socket.AF_UNIX).close(),
        "ptrace": lambda: call("ptrace", 0x4206, pid, None, None),
        "kill": lambda: os.kill(pid, 0),
        "fork": fork,
        "peek": lambda: peek(pid),
        "mount": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, b"size=4k"),
        "unshare": lambda: call("unshare", 0x04000000),
        "uring": lambda: call("syscall", 425, 1, BUFFER),
        "bpf": lambda: call("syscall", 321, 0, BUFFER, 128),
        "keys": lambda: call("syscall", 250, 0, -3, 1),
    }
    ways[what]()


def handler(request):
    try:
        attack(request.args["do"], request.args.get("path", ""), int(request.args.get("pid", os.getppid())),
               int(request.args.get("at", 0)))
    except OSError as error:
        return str(error.errno)
    return "0"
