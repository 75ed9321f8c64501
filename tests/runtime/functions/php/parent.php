<?php
header("Content-Type: application/json");
echo json_encode(["parent" => $_SERVER["WEIR_PARENT_ID"]]);
