/* python_output: the body of an answer that the call's grants did not take yet. Pieces are kept by
 * reference, so that the interpreter is free for others while a slow client reads.
 *
 *   add -> | piece | piece | ... -> pump -> append()          more than KEEP waits: let the function wait
 *
 * Threads: open, add, close: Python's lock is held. pump: needs none. */
#ifndef WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_OUTPUT_H
#define WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_OUTPUT_H

#include "dataplane/runtime/python/python.h"

enum { WEIR_PYTHON_OUTPUT_KEEP = 1 << 20 };

struct weir_python_piece {
	PyObject *holder;      /* keeps `text` alive */
	struct weir_span text; /* what is still to be sent */
};

struct weir_python_output {
	struct weir_python_piece first; /* as a rule all there is */
	struct weir_python_piece *more; /* NULL while one is enough */
	size_t count;                   /* of them; the first counts as number 0 */
	size_t count_max;               /* room in `more` */
	size_t next;                    /* those before are sent */
	size_t waiting_bytes;
};

/* `holder` is kept. 0, or MemoryError: -1. */
int weir_python_output_add(struct weir_python_output *output, PyObject *holder,
			   struct weir_span text);

/* Hand over what is taken without waiting. 0 = everything, -EAGAIN, or what else append() says. */
int weir_python_output_pump(struct weir_python_output *output, struct weir_runtime_call *call);

/* Everything, waiting as often as it takes. Without Python's lock. 0, -ETIMEDOUT, -ECANCELED, ... */
int weir_python_output_drain(struct weir_python_output *output, struct weir_runtime_call *call);

/* Drop what was not sent. An output of zeros is empty. */
void weir_python_output_close(struct weir_python_output *output);

#endif
