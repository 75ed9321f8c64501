import os


def handler(request):
    return os.environ.get("WEIR_TEST", "unset")
