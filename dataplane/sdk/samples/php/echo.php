<?php
// The request's body, back as it came and of the type it had.
header('Content-Type: ' . (($_SERVER['CONTENT_TYPE'] ?? '') ?: 'application/octet-stream'));
readfile('php://input');
