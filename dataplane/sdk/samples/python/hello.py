# GET /hello, or POST with {"name": "Zoe"}: what is returned as a dict is answered as JSON.
def handler(request):
    name = request.json().get("name", "world") if request.body else "world"
    return {"message": f"Hello, {name}!"}
