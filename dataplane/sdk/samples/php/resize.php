<?php
// POST {"image":"<base64>","width":800,"height":600}: checks the request and says what it would do.
header('Content-Type: application/json');

$request = json_decode(file_get_contents('php://input'), true);
$width = $request['width'] ?? null;
$height = $request['height'] ?? null;
if (!is_int($width) || $width < 1 || ($height !== null && !is_int($height))) {
	http_response_code(400);
	echo json_encode(['error' => 'the body must be JSON with a width, and perhaps a height']);
	exit;
}
echo json_encode([
	'status' => 'success',
	'width' => $width,
	'height' => $height ?? intdiv($width * 3, 4),
	'image_bytes' => strlen((string) ($request['image'] ?? '')),
]);
