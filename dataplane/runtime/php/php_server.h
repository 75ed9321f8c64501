/* php_server: $_SERVER and $_ENV as php-fpm fills them.
 *
 *   route /app/ *, file /srv/app/index.php, request /app/users/7?x=1      (no blank before the star)
 *   SCRIPT_FILENAME /srv/app/index.php    DOCUMENT_ROOT /srv/app
 *   SCRIPT_NAME     /app/index.php        PATH_INFO     /users/7
 *   PHP_SELF        /app/index.php/users/7    REQUEST_URI /app/users/7?x=1
 *
 * On a route without a star SCRIPT_NAME is the request's path, and there is no PATH_INFO. Route parameters
 * are WEIR_PARAM_<name>. Threads: the call's, with the engine locked. */
#ifndef WEIR_DATAPLANE_RUNTIME_PHP_PHP_SERVER_H
#define WEIR_DATAPLANE_RUNTIME_PHP_PHP_SERVER_H

#include "dataplane/runtime/php/php_call.h"

/* Fill $_SERVER. */
void weir_php_server_register(zval *array);

/* Once, after PHP's start: $_ENV and getenv() without a name have the call's variables, too. */
void weir_php_server_open(void);

/* getallheaders() and apache_request_headers(), for the SAPI's table. */
extern const zend_function_entry weir_php_server_functions[];

/* One variable of the call; NULL = it has none of that name. */
char *weir_php_server_getenv(const char *name, size_t name_bytes);

#endif
