/* php_engine: libphp with a SAPI of our own: PHP's start, its settings, and one request after another.
 *
 *   open -> begin -> (script or handler calls) -> end -> begin ...        between begin and end, attach()
 *                                                                         says whose call the engine serves
 * This PHP has one interpreter in a process, without threads: who calls anything here holds `lock`. It does not
 * mind which thread that is.
 * Owns: the process's environment, directory and the settings of libphp. Threads: interrupt(): the call's, in a
 * signal handler; the rest: the lock's holder. */
#ifndef WEIR_DATAPLANE_RUNTIME_PHP_PHP_ENGINE_H
#define WEIR_DATAPLANE_RUNTIME_PHP_PHP_ENGINE_H

#include "dataplane/runtime/php/php_call.h"

extern struct weir_runtime_lock weir_php_engine_lock;

/* Start PHP. 0, or -EIO (PHP has said why on standard error). */
int weir_php_engine_open(void);
void weir_php_engine_close(void);

/* From here on what PHP says and asks belongs to this call; NULL: to nobody. */
void weir_php_engine_attach(struct weir_php_call *running);

/* Begin a request for the attached call. 0 or -EIO with a reason; end() is due only after 0. */
int weir_php_engine_begin(struct weir_php_call *running);

/* A request that stays goes on for the attached call. */
void weir_php_engine_resume(struct weir_php_call *running);

/* Compile its file, outside of any call: 0, -EINVAL with what PHP does not understand and where. Not
 * while the lock is taken, and nothing may stay (php_handler.h). */
int weir_php_engine_check(const struct weir_php_instance *instance,
			  char out_reason[WEIR_RUNTIME_REASON_BYTES]);

/* Run its file: true, or false after a fatal error. Sets *out_exit_code. */
bool weir_php_engine_script(const struct weir_php_instance *instance, int *out_exit_code);

/* End it: shutdown functions, destructors, the rest of the output. */
void weir_php_engine_end(void);

/* The deadline passed: stop the script, if it is this call's. In a signal handler. */
void weir_php_engine_interrupt(const struct weir_runtime_call *call);

#endif
