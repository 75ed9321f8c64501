#include "dataplane/runtime/php/php_stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <SAPI.h>
#include <ext/standard/php_fopen_wrappers.h>
#include <php_memory_streams.h>
#include <php_output.h>
#include <php_streams.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/runtime/php/php_answer.h"

/* `abstract` is the kind of the stream as a number: there is nothing else to keep. */
static ssize_t output_write(php_stream *stream, const char *data, size_t bytes)
{
	struct weir_php_call *const running = SG(server_context);

	if (running == NULL)
		return (ssize_t)bytes;
	if ((uintptr_t)stream->abstract == WEIR_RUNTIME_STDERR)
		weir_php_answer_error(running, data, bytes);
	else if (running->instance->is_row)
		(void)php_output_write(data, bytes); /* says itself what it could not */
	else
		running->base->ops->print(running->base, WEIR_RUNTIME_STDOUT,
					  (struct weir_span){.data = data, .bytes = bytes});
	return (ssize_t)bytes;
}

static ssize_t output_read(php_stream *stream, char *data, size_t bytes)
{
	(void)stream;
	(void)data;
	(void)bytes;
	return -1;
}

static int output_close(php_stream *stream, int close_handle)
{
	(void)stream;
	(void)close_handle;
	return 0;
}

static int output_flush(php_stream *stream)
{
	(void)stream;
	return 0;
}

static const php_stream_ops output_ops = {
	.write = output_write,
	.read = output_read,
	.close = output_close,
	.flush = output_flush,
	.label = "weir-output",
};

static php_stream *output_open(enum weir_runtime_stream kind)
{
	php_stream *const stream = php_stream_alloc(
		&output_ops, (void *)(uintptr_t)kind, NULL, "wb"); // NOLINT(performance-no-int-to-ptr)

	if (stream != NULL)
		stream->flags |= PHP_STREAM_FLAG_NO_BUFFER;
	return stream;
}

php_stream *weir_php_stdio_body(const struct weir_php_call *running)
{
	return php_stream_memory_open(TEMP_STREAM_READONLY,
				      running->body != NULL ? running->body : ZSTR_EMPTY_ALLOC());
}

static php_stream *wrapper_open(php_stream_wrapper *wrapper, const char *path, const char *mode,
				int options, zend_string **opened_path,
				php_stream_context *context STREAMS_DC)
{
	const struct weir_php_call *const running = SG(server_context);
	php_stream_wrapper *const own = (php_stream_wrapper *)(uintptr_t)&php_stream_php_wrapper;

	(void)wrapper;
	if (running != NULL && strcasecmp(path, "php://stdin") == 0)
		return weir_php_stdio_body(running);
	if (running != NULL && strcasecmp(path, "php://stdout") == 0)
		return output_open(WEIR_RUNTIME_STDOUT);
	if (running != NULL && strcasecmp(path, "php://stderr") == 0)
		return output_open(WEIR_RUNTIME_STDERR);
	return own->wops->stream_opener(own, path, mode, options, opened_path,
					context STREAMS_REL_CC);
}

static const php_stream_wrapper_ops wrapper_ops = {
	.stream_opener = wrapper_open,
	.label = "PHP",
};

static php_stream_wrapper wrapper = {.wops = &wrapper_ops};

int weir_php_stdio_open(void)
{
	wrapper.is_url = php_stream_php_wrapper.is_url;
	if (php_unregister_url_stream_wrapper("php") != SUCCESS ||
	    php_register_url_stream_wrapper("php", &wrapper) != SUCCESS)
		return -EIO;
	return 0;
}

static void constant_define(const char *name, size_t name_bytes, php_stream *stream)
{
	zend_constant constant;

	if (stream == NULL)
		return;
	stream->flags |= PHP_STREAM_FLAG_NO_RSCR_DTOR_CLOSE;
	php_stream_to_zval(stream, &constant.value);
	Z_CONSTANT_FLAGS(constant.value) = 0;
	ZEND_CONSTANT_SET_FLAGS(&constant, CONST_CS, 0);
	constant.name = zend_string_init_interned(name, name_bytes, 0);
	(void)zend_register_constant(&constant); /* says itself what was wrong */
}

void weir_php_stdio_define(void)
{
	const struct weir_php_call *const running = SG(server_context);

	constant_define("STDIN", 5, weir_php_stdio_body(running));
	constant_define("STDOUT", 6, output_open(WEIR_RUNTIME_STDOUT));
	constant_define("STDERR", 6, output_open(WEIR_RUNTIME_STDERR));
}

bool weir_php_stdio_is_named(const char *path)
{
	static const char *const names[] = {"STDIN", "STDOUT", "STDERR"};
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	bool found = false;
	void *text = NULL;

	if (fd == -1 || fstat(fd, &status) != 0 || status.st_size <= 0)
		return false;
	text = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		return false;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]) && !found; i++)
		found = memmem(text, (size_t)status.st_size, names[i], strlen(names[i])) != NULL;
	(void)munmap(text, (size_t)status.st_size);
	return found;
}
