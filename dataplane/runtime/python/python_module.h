/* python_module: a function's file as a module: found, compiled, run once, and its handler.
 *
 *   sys.path   the file's directory, its site-packages, those of its .venv, the standard library, and what
 *              the machine has installed for everybody (dist-packages): instead of site.py, whose .pth
 *              files are not read
 *   os.environ PATH, LANG, WEIR_FUNCTION, what OpenWhisk's functions expect, and the function's own
 *   builtins   exit() and quit() as in scripts
 *
 * The directory becomes the working directory: this process has no other function.
 * A directory instead of a file: its app.py, main.py, handler.py, __main__.py or function.py.
 * Python's lock is held. */
#ifndef WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_MODULE_H
#define WEIR_DATAPLANE_RUNTIME_PYTHON_PYTHON_MODULE_H

#include <limits.h>

#include "dataplane/runtime/python/python.h"

enum weir_python_kind {
	WEIR_PYTHON_HANDLER, /* handler(request) */
	WEIR_PYTHON_MAIN,    /* main(params) */
	WEIR_PYTHON_WSGI,    /* application(environ, start_response) */
};

struct weir_python_module {
	char file[PATH_MAX];
	char directory[PATH_MAX];
	char handler[256]; /* as the function says it; may be empty */
	enum weir_python_kind kind;
	PyObject *module;
	PyObject *callable;
};

/* Remember where the function lies and prepare the interpreter for it. 0, or a reason: -errno. */
int weir_python_module_open(struct weir_python_module *module,
			    const struct weir_runtime_function *function,
			    char out_reason[WEIR_RUNTIME_REASON_BYTES]);

/* Run its file, again if it was unloaded. 0, or a reason: -errno. */
int weir_python_module_load(struct weir_python_module *module,
			    char out_reason[WEIR_RUNTIME_REASON_BYTES]);

/* Forget the module and all others that came from its directory. */
void weir_python_module_unload(struct weir_python_module *module);

#endif
