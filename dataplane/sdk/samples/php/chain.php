<?php
// Calls the function `hello` with its own body and wraps the answer:
//
//   {"called":"hello","status":200,"answer":{"message":"Hello, world!"}}
//
// ?function=NAME calls NAME instead. With ?one-way=1 nobody waits: status is 202, and NAME runs after this answer.
$name = $_GET['function'] ?? 'hello';
$reply = weir_call($name, file_get_contents('php://input'), [
	'content_type' => 'application/json',
	'one_way' => isset($_GET['one-way']),
]);

header('Content-Type: application/json');
echo json_encode(['called' => $name, 'status' => $reply['status'], 'answer' => json_decode($reply['body'])]);
