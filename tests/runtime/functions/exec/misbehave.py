#!/usr/bin/env python3
"""?do=spin|block|hog|family|share|recurse|disk|body|log|bomb|daemon: see functions/native/misbehave.c. A program may start others: bomb does
so without end, in sessions of their own, and daemon leaves one behind."""

import os
import sys
import time

PIECE = b"x" * (1 << 16)


def spin():
    while True:
        pass


def hog():
    kept = []
    while True:
        kept.append(bytearray(b"x") * (1 << 20))


def family(is_sharing=False):
    kept = bytearray(b"x") * ((40 << 20) if is_sharing else 1)
    children = []
    for _ in range(8):
        children.append(os.fork())
        if children[-1] == 0:
            kept = kept if is_sharing else bytearray(b"x") * (40 << 20)
            time.sleep(0.5 if is_sharing else 600)
            os._exit(len(kept) == 0)
    for pid in children:
        os.waitpid(pid, 0)
    print("shared", end="")


def recurse():
    os.execv("/bin/sh", ["sh", "-c", "f() { f; }; f"])


def disk():
    count = 0
    try:
        with open("/tmp/full", "wb", buffering=0) as file:
            while True:
                count += file.write(PIECE)
    except OSError as error:
        print(error.errno, count)
    finally:
        os.unlink("/tmp/full")


def body():
    while True:
        sys.stdout.buffer.write(PIECE)


def log():
    for number in range(200000):
        print("line", number, "of a function that talks too much", file=sys.stderr)
    print("logged")


def bomb():
    while True:
        try:
            if os.fork() == 0:
                os.setsid()
        except OSError:
            pass


def daemon():
    if os.fork() == 0:
        os.setsid()
        null = os.open("/dev/null", os.O_RDWR)
        for fd in range(3):
            os.dup2(null, fd)
        time.sleep(600)
    print("left one behind")


WAYS = {"spin": spin, "block": lambda: time.sleep(600), "hog": hog, "family": family,
        "share": lambda: family(True), "recurse": recurse, "disk": disk, "body": body, "log": log,
        "bomb": bomb, "daemon": daemon}
WAYS[os.environ["WEIR_QUERY"].removeprefix("do=")]()
