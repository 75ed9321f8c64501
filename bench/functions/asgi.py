# hello as an ASGI application, for uvicorn: GET /hello, or POST /hello {"name": "Ada"}
import json


async def body_of(receive):
    pieces, more = [], True
    while more:
        message = await receive()
        pieces.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(pieces)


async def application(scope, receive, send):
    text = await body_of(receive) if scope["method"] != "GET" else b""
    request = json.loads(text) if text else {}
    body = json.dumps({"message": f"Hello, {request.get('name', 'world')}!"}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
