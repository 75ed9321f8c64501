/* php_answer: what a script prints becomes the answer: kept until the script has ended and others may
 * use PHP, unless it calls flush() or prints more than WEIR_PHP_OUTPUT_BYTES_MAX.
 *
 *   output  |.. kept ..|--script ended--> length, body
 *           |.. kept ..|--flush()-------> body so far; the script waits for its client
 *
 * Threads: the call's. Whatever sends may wait. */
#ifndef WEIR_DATAPLANE_RUNTIME_PHP_PHP_ANSWER_H
#define WEIR_DATAPLANE_RUNTIME_PHP_PHP_ANSWER_H

#include "dataplane/runtime/php/php_call.h"

/* Print. False: nobody takes it any more (running->send_result says why). */
bool weir_php_answer_add(struct weir_php_call *running, const char *data, size_t bytes);

/* Send what was printed now. Same result. */
bool weir_php_answer_flush(struct weir_php_call *running);

/* Set the status, and one field; what HTTP leaves to Weir (connection, transfer-encoding ...) is passed by. */
void weir_php_answer_status(struct weir_php_call *running, int status);
void weir_php_answer_field(struct weir_php_call *running, struct weir_span name,
			   struct weir_span value);

/* The script has ended: send the rest. 0 or the error of invoke(). */
int weir_php_answer_finish(struct weir_php_call *running);

/* The same for a row of the public table, whose script ended with this exit code. */
int weir_php_answer_finish_row(struct weir_php_call *running, int exit_code);

/* Standard error. */
void weir_php_answer_error(struct weir_php_call *running, const char *data, size_t bytes);

#endif
