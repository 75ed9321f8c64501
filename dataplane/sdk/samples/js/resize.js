// POST /resize {"image":"...","width":800,"height":600}: height is three quarters of the width if absent.
exports.handler = (request) => {
  let order;
  try {
    order = request.json();
  } catch (error) {
    return { status: 400, body: { error: `the body is no JSON: ${error.message}` } };
  }
  const { image, width, height = Math.trunc((width * 3) / 4) } = order ?? {};
  if (typeof image !== 'string' || !Number.isInteger(width) || !Number.isInteger(height))
    return { status: 400, body: { error: 'image must be a text, width and height whole numbers' } };
  return { status: 'success', width, height, image_bytes: new TextEncoder().encode(image).length };
};
