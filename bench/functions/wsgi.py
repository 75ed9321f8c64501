# hello as a WSGI application, for python and gunicorn: GET /hello, or POST /hello {"name": "Ada"}
import json


def application(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    request = json.loads(environ["wsgi.input"].read(length)) if length else {}
    body = json.dumps({"message": f"Hello, {request.get('name', 'world')}!"}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
