def handler(request):
    raise ValueError("boom")
