/* php_stdio: php://stdin, php://stdout and php://stderr of a call, and the constants STDIN, STDOUT and
 * STDERR for scripts that name them.
 *
 *   stdin    the request's body
 *   stdout   the function's log; in a row of the public table the answer, as `php FILE` did
 *   stderr   the function's log
 *
 * The other php:// streams stay PHP's own. Threads: the call's, with the engine locked. */
#ifndef WEIR_DATAPLANE_RUNTIME_PHP_PHP_STDIO_H
#define WEIR_DATAPLANE_RUNTIME_PHP_PHP_STDIO_H

#include "dataplane/runtime/php/php_call.h"

/* Once, after PHP's start. 0 or -EIO. */
int weir_php_stdio_open(void);

/* Define the constants for this request. Inside zend_try. */
void weir_php_stdio_define(void);

/* A stream that reads the call's body, from its start. */
struct _php_stream *weir_php_stdio_body(const struct weir_php_call *running);

/* Does the file name one of the constants? False for a file that cannot be read. */
bool weir_php_stdio_is_named(const char *path);

#endif
