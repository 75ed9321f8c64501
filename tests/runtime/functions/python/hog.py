kept = []  # outlives the call: the next one must work all the same


def handler(request):
    while True:
        kept.append(bytearray(1 << 20))
