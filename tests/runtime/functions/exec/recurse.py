#!/usr/bin/env python3
"""Calls itself without end."""


def deeper(level):
    return deeper(level + 1) + 1


deeper(0)
