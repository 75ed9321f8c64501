<?php
// A function that stays: ctrlctl fn add greeter --runtime php --file greeter.php --handler handler
// The file is loaded once; what it prepares here is there for each call.
$greetings = ['en' => 'Hello', 'de' => 'Hallo', 'fr' => 'Bonjour'];

function handler(Weir\Request $request): array
{
	global $greetings;
	parse_str($request->query, $query);
	$language = $query['language'] ?? 'en';
	if (!isset($greetings[$language])) {
		return ['status' => 404, 'body' => ['error' => "no greeting in '$language'"]];
	}
	return ['greeting' => $greetings[$language] . ', ' . ($query['name'] ?? 'world') . '!'];
}
