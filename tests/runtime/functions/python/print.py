import sys


def handler(request):
    print("to stdout")
    print("to stderr", file=sys.stderr)
    return "printed\n"
