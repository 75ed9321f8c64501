<?php
// What the script was told about its request: $_SERVER as under php-fpm.
$headers = [];
foreach (getallheaders() as $name => $value) {
	$headers[strtolower($name)] = $value;
}

header('Content-Type: application/json');
echo json_encode([
	'runtime' => 'php',
	'php' => PHP_VERSION,
	'method' => $_SERVER['REQUEST_METHOD'],
	'path' => parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH),
	'query' => $_SERVER['QUERY_STRING'],
	'headers' => (object) $headers,
], JSON_UNESCAPED_SLASHES | JSON_INVALID_UTF8_SUBSTITUTE);
