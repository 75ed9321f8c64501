# POST /resize with {"image": "<base64>", "width": 800}: the size that the image would get.
def handler(request):
    try:
        order = request.json()
        width = int(order["width"])
        height = int(order.get("height", width * 3 // 4))
        image = str(order["image"])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return {"status": 400, "body": {"error": f"not an order for an image: {error}"}}
    return {"status": "success", "width": width, "height": height, "image_bytes": len(image)}
