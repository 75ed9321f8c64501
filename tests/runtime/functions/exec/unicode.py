#!/usr/bin/env python3
"""Text that is not ASCII."""

print("grüße, 世界 🎉")
