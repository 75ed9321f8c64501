#!/usr/bin/env python3
# GET /hello, or POST with {"name":"Ada"}: the body comes on standard input, the answer goes to standard output.
import json
import sys

body = sys.stdin.read()
name = json.loads(body).get("name", "world") if body else "world"
print(json.dumps({"message": f"Hello, {name}!"}, ensure_ascii=False))
