#!/usr/bin/env python3
# What a program is told of its request: variables of its environment.
import json
import os

print(json.dumps({
    "runtime": "exec",
    "method": os.environ["WEIR_METHOD"],
    "path": os.environ["WEIR_PATH"],
    "query": os.environ["WEIR_QUERY"],
    "headers": {"host": os.environ["WEIR_HOST"], "content-type": os.environ["WEIR_CONTENT_TYPE"]},
}))
