def handler(request):
    return "grüße, 世界 🎉\n"
