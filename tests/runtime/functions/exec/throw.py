#!/usr/bin/env python3
"""An error that nobody catches."""

raise RuntimeError("boom")
