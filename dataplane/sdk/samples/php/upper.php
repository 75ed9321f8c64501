<?php
// The body in capitals.
header('Content-Type: text/plain; charset=utf-8');
echo strtoupper(file_get_contents('php://input'));
