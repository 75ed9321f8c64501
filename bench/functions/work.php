<?php
// work for php and php-fpm: about a millisecond of computing.
$sum = '';
for ($i = 0; $i < 1000; $i++) {
    $sum = hash('sha256', $sum);
}
$body = json_encode(['sum' => $sum]);

header('Content-Type: application/json');
header('Content-Length: ' . strlen($body));
echo $body;
