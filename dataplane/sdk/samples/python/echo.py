# ANY /echo: the body comes back as it is. A dict with "body" is a whole answer: status, headers, body.
def handler(request):
    content_type = request.headers.get("content-type", "application/octet-stream")
    return {"status": 200, "headers": {"content-type": content_type}, "body": request.body}
