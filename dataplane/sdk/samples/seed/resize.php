<?php
// POST /resize with {"image":"<base64>","width":800}: checks the request and says what it would do.
const WIDTH_MAX = 10000;

$request = json_decode(stream_get_contents(STDIN), true);
$width = is_array($request) ? ($request['width'] ?? null) : null;

if (!is_int($width) || $width < 1 || $width > WIDTH_MAX) {
	echo json_encode(['ok' => false, 'error' => 'width must be a number from 1 to ' . WIDTH_MAX]);
	exit(0);
}
$image = isset($request['image']) && is_string($request['image']) ? $request['image'] : '';
echo json_encode([
	'ok' => true,
	'requested_width' => $width,
	'image_bytes' => strlen($image),
	'runtime' => 'php',
]);
