def handler(request):
    return {"parent": request.parent}
