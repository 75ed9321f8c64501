# GET /sleep/250 or /sleep?ms=250: answers after that many milliseconds.
import time


def handler(request):
    ms = int(request.params.get("ms") or request.args.get("ms", "0"))
    time.sleep(ms / 1000)
    return f"slept {ms} ms\n"
