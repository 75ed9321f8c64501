import sys


def handler(request):
    sys.exit(3)
