# Calls the function `hello` with its own body and wraps the answer:
#
#   {"called": "hello", "status": 200, "answer": {"message": "Hello, world!"}}
#
# ?function=NAME calls NAME instead. With ?one-way=1 nobody waits: status is 202, and NAME runs after this answer.
import weir


def handler(request):
    name = request.args.get("function", "hello")
    reply = weir.call(name, request.body or None, content_type="application/json",
                      one_way="one-way" in request.args)
    return {"called": name, "status": reply.status, "answer": reply.json()}
