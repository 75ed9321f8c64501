#include "dataplane/runtime/python/python_output.h"

#include <errno.h>
#include <stdlib.h>

enum { MORE_FIRST = 16 };

/* more[i] is piece i + 1. */
static struct weir_python_piece *piece_at(struct weir_python_output *output, size_t i)
{
	return i == 0 ? &output->first : &output->more[i - 1];
}

/* All are sent: begin anew. */
static void forget(struct weir_python_output *output)
{
	for (size_t i = 0; i < output->count; i++)
		Py_DECREF(piece_at(output, i)->holder);
	output->count = 0;
	output->next = 0;
}

static int reserve(struct weir_python_output *output)
{
	const size_t wanted = output->count_max == 0 ? MORE_FIRST : output->count_max * 2;
	struct weir_python_piece *more = NULL;

	if (output->count == 0 || output->count - 1 < output->count_max)
		return 0;
	more = realloc(output->more, wanted * sizeof(*more));
	if (more == NULL) {
		PyErr_NoMemory();
		return -1;
	}
	output->more = more;
	output->count_max = wanted;
	return 0;
}

int weir_python_output_add(struct weir_python_output *output, PyObject *holder,
			   struct weir_span text)
{
	if (output->next == output->count)
		forget(output);
	if (reserve(output) != 0)
		return -1;
	*piece_at(output, output->count) =
		(struct weir_python_piece){.holder = Py_NewRef(holder), .text = text};
	output->count++;
	output->waiting_bytes += text.bytes;
	return 0;
}

int weir_python_output_pump(struct weir_python_output *output, struct weir_runtime_call *call)
{
	while (output->next < output->count) {
		struct weir_span *const text = &piece_at(output, output->next)->text;

		while (text->bytes != 0) {
			size_t taken = 0;
			const int result =
				call->ops->append(call, text->data, text->bytes, &taken);

			if (result != 0)
				return result;
			text->data += taken;
			text->bytes -= taken;
			output->waiting_bytes -= taken;
		}
		output->next++;
	}
	return 0;
}

int weir_python_output_drain(struct weir_python_output *output, struct weir_runtime_call *call)
{
	int result = weir_python_output_pump(output, call);

	while (result == -EAGAIN) {
		result = call->ops->wait(call, NULL, 0, UINT64_MAX);
		if (result == 0)
			result = weir_python_output_pump(output, call);
	}
	return result;
}

void weir_python_output_close(struct weir_python_output *output)
{
	forget(output);
	free(output->more);
	output->more = NULL;
	output->count_max = 0;
}
