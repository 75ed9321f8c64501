# POST /upper: the body as text, in capitals.
def handler(request):
    return request.text.upper()
