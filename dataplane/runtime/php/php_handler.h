/* php_handler: functions that stay: the file is loaded once, then one of its functions is called for
 * each call.
 *
 *   handler($request)  Weir\Request: method, path, query, headers, params, body, activation, deadline
 *                      (ms left), parent; text(), json(). It returns
 *                        a string                     200 text/plain, or octet-stream if it is not UTF-8
 *                        [status?, headers?, body]    as it says; a body that is no string becomes JSON
 *                        null                         204
 *                        anything else                200 application/json
 *   main($params)      OpenWhisk: the route's parameters, the query's, those of a JSON or form body;
 *                      it returns an array, ["error" => ...] fails
 *
 * One function at a time stays, since PHP has one request at a time: another function of the worker ends it,
 * and so does any error; the next call loads it again. What it prints goes to the log.
 * Threads: the engine's lock's holder. */
#ifndef WEIR_DATAPLANE_RUNTIME_PHP_PHP_HANDLER_H
#define WEIR_DATAPLANE_RUNTIME_PHP_PHP_HANDLER_H

#include "dataplane/runtime/php/php_call.h"

/* Run the attached call in its function. True: running->output is the answer; false: base->abort_reason. */
bool weir_php_handler_run(struct weir_php_call *running);

/* No function stays, or not this one: before another request, and when it is unloaded. */
void weir_php_handler_end(void);
void weir_php_handler_forget(const struct weir_php_instance *instance);

#endif
