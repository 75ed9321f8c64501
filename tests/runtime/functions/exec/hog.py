#!/usr/bin/env python3
"""Takes memory until there is no more."""

taken = []
while True:
    taken.append(bytearray(1 << 20))
