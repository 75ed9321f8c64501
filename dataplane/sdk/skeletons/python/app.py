# @NAME@: says hello. Deploy it with: ctrlctl fn deploy @DIR@ --name @NAME@
#
# The file is run once in each process; handler() is called for each request. request has method, path,
# query, headers, params (of the route), args (of the query), body, text, json(). What is printed goes to
# the log: ctrlctl fn logs @NAME@
import os

GREETING = os.environ.get("GREETING", "Hello")  # ctrlctl fn env set @NAME@ GREETING=Hi


def handler(request):
    params = request.json() if request.body else {}
    name = params.get("name", "world")
    print("greeting", name)
    return {"message": f"{GREETING}, {name}!"}
