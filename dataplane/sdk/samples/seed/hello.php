<?php
// POST /api/hello with {"name":"Alice"}: body on standard input, answer on standard output.
$request = json_decode(stream_get_contents(STDIN), true);
$name = is_array($request) && isset($request['name']) && is_scalar($request['name'])
	? (string) $request['name'] : 'world';

echo json_encode([
	'message' => "Hello, $name",
	'runtime' => 'php',
	'endpoint' => getenv('WEIR_PATH') ?: '/api/hello',
], JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE);
