# ANY /info: what a function gets to know about its request.
def handler(request):
    return {
        "runtime": "python",
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": request.headers,
    }
