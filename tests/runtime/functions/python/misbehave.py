"""?do=block|disk|body|log: see functions/native/misbehave.c."""

import os
import time

PIECE = b"x" * (1 << 16)


def disk():
    count = 0
    try:
        with open("/tmp/full", "wb", buffering=0) as file:
            while True:
                count += file.write(PIECE)
    except OSError as error:
        return f"{error.errno} {count}"
    finally:
        os.unlink("/tmp/full")


def log():
    for number in range(200000):
        print("line", number, "of a function that talks too much")
    return "logged\n"


def body():
    return PIECE * (1 << 20)  # 64 GiB


def handler(request):
    return {"disk": disk, "log": log, "body": body, "block": lambda: time.sleep(600)}[request.args["do"]]()
