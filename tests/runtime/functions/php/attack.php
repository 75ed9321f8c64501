<?php
// GET /attack?do=WHAT&path=PATH&pid=N: tries it, answers 0 or the errno of its refusal; see functions/native/attack.c.

/** PHP says what the system said only in words. */
function refused(): string
{
	$said = error_get_last()['message'] ?? '';
	foreach (['Operation not permitted' => 1, 'No such file or directory' => 2, 'Permission denied' => 13, 'Read-only file system' => 30] as $words => $number) {
		if (str_contains($said, $words)) {
			return (string) $number;
		}
	}
	return "unknown: $said";
}

$path = $_GET['path'] ?? '';
echo match ($_GET['do']) {
	'read' => @fopen($path, 'rb') !== false ? '0' : refused(),
	'write' => @fopen($path, 'wb') !== false && unlink($path) ? '0' : refused(),
	'segment' => ($file = @fopen($path, 'rb')) !== false && fseek($file, (int) $_GET['at']) === 0 && strlen((string) fread($file, 8)) === 8 ? '0' : refused(),
	'socket' => @socket_create(AF_INET, SOCK_STREAM, 0) !== false ? '0' : (string) socket_last_error(),
	'local' => @socket_create(AF_UNIX, SOCK_STREAM, 0) !== false ? '0' : (string) socket_last_error(),
	'kill' => posix_kill((int) $_GET['pid'], 0) ? '0' : (string) posix_get_last_error(),
	'fork' => is_resource($child = @proc_open(['/bin/true'], [], $pipes)) && proc_close($child) === 0 ? '0' : refused(),
};
