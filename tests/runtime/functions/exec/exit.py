#!/usr/bin/env python3
"""Ends with a failure."""

import sys

sys.exit(3)
