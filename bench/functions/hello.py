# hello for python: GET /hello, or POST /hello {"name": "Ada"}
def handler(request):
    name = request.json().get("name", "world") if request.body else "world"
    return {"message": f"Hello, {name}!"}
