<?php
// @NAME@: says hello. Deploy it with: ctrlctl fn deploy @DIR@ --name @NAME@
//
// An ordinary script: $_GET, $_POST, $_SERVER, headers and cookies are as everywhere. What goes to
// error_log() and php://stderr is in the log: ctrlctl fn logs @NAME@
$greeting = getenv('GREETING') ?: 'Hello'; // ctrlctl fn env set @NAME@ GREETING=Hi
$params = json_decode(file_get_contents('php://input'), true);
$name = $params['name'] ?? 'world';

error_log("greeting $name");
header('Content-Type: application/json');
echo json_encode(['message' => "$greeting, $name!"], JSON_UNESCAPED_UNICODE), "\n";
