<?php
// ?do=block|disk|body|log: see functions/native/misbehave.c.
$piece = str_repeat('x', 1 << 16);

function disk(string $piece): string
{
	$count = 0;
	$file = fopen('/tmp/full', 'wb');
	stream_set_write_buffer($file, 0);
	while (($written = @fwrite($file, $piece)) > 0) {
		$count += $written;
	}
	$said = error_get_last()['message'] ?? '';
	@fclose($file);
	unlink('/tmp/full');
	return (str_contains($said, 'errno=28') ? 28 : $said) . " $count";
}

switch ($_GET['do']) {
	case 'disk':
		echo disk($piece);
		break;
	case 'body':
		while (true) {
			echo $piece;
		}
	case 'log':
		for ($i = 0; $i < 200000; $i++) {
			error_log("line $i of a function that talks too much");
		}
		echo "logged\n";
		break;
	default:
		sleep(600);
}
