<?php
header("Content-Type: text/plain");
echo "grüße, 世界 🎉\n";
