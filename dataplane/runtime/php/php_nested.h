/* php_nested: scripts call other functions of their namespace, by name:
 *
 *   weir_call(string $name, string $body = '', array $options = []): array
 *     options  method (default: GET without a body, else POST), path, query, content_type, one_way
 *     returns  ['status' => int, 'headers' => [name => value], 'body' => string, 'activation' => string]:
 *              the called function's answer, or Weir's own with the reason (404, 429, 503, 508 ...);
 *              one way: 202, and it runs after this one has answered
 *     throws   ValueError: what it was given; Weir\CallError: no answer came
 *
 * While it waits the script keeps the engine, since PHP has one request at a time: the worker starts no other
 * call until it goes on (runtime.h, `lock`).
 * Owns: nothing. Threads: the engine's lock's holder. */
#ifndef WEIR_DATAPLANE_RUNTIME_PHP_PHP_NESTED_H
#define WEIR_DATAPLANE_RUNTIME_PHP_PHP_NESTED_H

#include <php.h>

/* The function and its exception, for PHP's start. */
extern zend_module_entry weir_php_nested_module;

#endif
