#!/usr/bin/env python3
# POST {"image":"...","width":800}: the size that the image would get; without a height three quarters of the
# width. A program that fails is a 500 with its exit code and what it said.
import json
import sys

try:
    order = json.load(sys.stdin)
    width = int(order["width"])
    height = int(order.get("height", width * 3 // 4))
    image = str(order["image"])
except (ValueError, TypeError, KeyError, AttributeError) as error:
    sys.exit(f"not an order for an image: {error}")
print(json.dumps({"status": "success", "width": width, "height": height, "image_bytes": len(image)}))
