/* python_failure: an exception as a failed call: one line for the caller, the traceback for the log.
 *
 *   ValueError: boom (throw.py:3)          type, message, the innermost line that the function has
 * Python's lock is held. */
#ifndef WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_FAILURE_H
#define WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_FAILURE_H

#include "dataplane/runtime/python/python.h"

/* Take the exception that is set: 0 and a line in out_reason; the traceback goes to sys.stderr.
 * -ETIMEDOUT it was weir.Timeout; -ENOMEM memory ran out: what holds it may have to be dropped;
 * -ECHILD sys.exit(); -EIO any other. Lines of files below `directory` are the function's. */
int weir_python_failure_take(const char *directory, char out_reason[WEIR_RUNTIME_REASON_BYTES]);

/* `text` as one line of at most WEIR_RUNTIME_REASON_BYTES with its NUL, cut between characters. */
void weir_python_failure_line(struct weir_span text, char out_line[WEIR_RUNTIME_REASON_BYTES]);

#endif
