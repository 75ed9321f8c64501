<?php
// hello as a function that stays loaded: GET /hello, or POST /hello {"name":"Ada"}
function handler(Weir\Request $request): array
{
	$name = $request->body !== '' ? $request->json()['name'] ?? 'world' : 'world';
	return ['message' => "Hello, $name!"];
}
