<?php
// GET /sleep/{ms} or ?ms=20. Parameters of a route are variables of the environment.
$ms = max(0, (int) (getenv('WEIR_PARAM_ms') ?: $_GET['ms'] ?? 0));

usleep($ms * 1000);
header('Content-Type: text/plain');
echo "slept $ms ms\n";
