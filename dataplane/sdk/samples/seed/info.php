<?php
// GET /api/info
echo json_encode([
	'service' => 'faas',
	'status' => 'ok',
	'runtime' => 'php',
	'php_version' => PHP_VERSION,
	'endpoint' => getenv('WEIR_PATH') ?: '/api/info',
	'time' => date(DATE_ATOM),
], JSON_UNESCAPED_SLASHES);
