/* python_stream: sys.stdout and sys.stderr of functions: what is written goes to the log of the call that
 * runs (call->ops->print), at once; between calls, and from threads between them, to descriptors 1 and 2. */
#ifndef WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_STREAM_H
#define WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_STREAM_H

/* Put them in place. 0, or an exception: -1. Python's lock is held. */
int weir_python_stream_open(void);

#endif
