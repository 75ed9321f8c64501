#!/usr/bin/env python3
"""Standard error is the log; standard output would be the answer."""

import sys

print("to stderr", file=sys.stderr)
print("printed")
