<?php
// GET /hello, or POST with {"name":"Alice"}: an ordinary PHP script, run anew for each request.
$request = json_decode(file_get_contents('php://input'), true);
$name = $request['name'] ?? 'world';

header('Content-Type: application/json');
echo json_encode(['message' => "Hello, $name!"], JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE);
