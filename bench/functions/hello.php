<?php
// hello for php and php-fpm: GET /hello, or POST /hello {"name":"Ada"}
$request = json_decode(file_get_contents('php://input'), true);
$body = json_encode(['message' => 'Hello, ' . ($request['name'] ?? 'world') . '!']);

header('Content-Type: application/json');
header('Content-Length: ' . strlen($body));
echo $body;
