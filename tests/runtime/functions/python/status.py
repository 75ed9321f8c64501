def handler(request):
    code = int(request.args["code"])
    return {"status": code, "headers": {"x-test": "yes"}, "body": f"status {code}\n"}
