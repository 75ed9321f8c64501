def handler(request):
    while True:
        try:
            pass
        except Exception:  # must not keep the deadline away
            pass
