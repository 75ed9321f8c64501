<?php
// exit() is an ordinary end in PHP, whatever its code: the answer is what was printed.
header("Content-Type: text/plain");
echo "bye\n";
exit(3);
