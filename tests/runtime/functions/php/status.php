<?php
$code = (int) $_GET["code"];
http_response_code($code);
header("X-Test: yes");
header("Content-Type: text/plain");
echo "status $code\n";
