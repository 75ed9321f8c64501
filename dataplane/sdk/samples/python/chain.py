# A function that calls another one: it asks `python-hello` for a greeting and wraps it. ?function=NAME calls
# NAME instead; ?one-way=1 does not wait: NAME runs after this answer.
import weir


def handler(request):
    name = request.args.get("function", "python-hello")
    reply = weir.call(name, request.body or None, content_type="application/json",
                      one_way="one-way" in request.args)
    return {"called": name, "status": reply.status, "answer": reply.json()}
