# GET /ping: a str is answered as text.
def handler(request):
    return "pong\n"
