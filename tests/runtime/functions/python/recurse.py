def handler(request):
    return handler(request)
