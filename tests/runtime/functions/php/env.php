<?php
header("Content-Type: text/plain");
echo getenv("WEIR_TEST") ?: "unset", "\n";
