<?php
file_put_contents("php://stdout", "to stdout\n");
error_log("to stderr");
header("Content-Type: text/plain");
echo "printed\n";
