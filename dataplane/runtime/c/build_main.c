/* weir-build-c IN.c OUT.so: a C source becomes a shared object that the native worker loads.
 *
 *   with weir_function.h     IN.c --cc--> OUT.so
 *   one function of ints     IN.c --cc, objcopy--> user.o --.
 *                            glue.c (single.inc) --cc-------'--> OUT.so with weir_handle
 *   both                     as the second; the function of ints goes by its own name only
 *
 * The compiler works in the source's folder, so that its messages name the file as its author does,
 * and headers beside it are found. Temporary files lie beside OUT. OUT appears when it is complete, or
 * not at all. Exit status as of weir-build-wasm: 1 the source is refused, 2 usage, 3 the machine lacks
 * something, 4 a limit was reached. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/runtime/c/source.h"

enum {
	EXIT_SOURCE = 1,
	EXIT_USAGE = 2,
	EXIT_MACHINE = 3,
	EXIT_LIMIT = 4,
	SOURCE_BYTES_MAX = 1 << 20,
	ARGUMENTS_MAX = 40,
};

/* The build of Weir passes the paths; the assembler reads the files. */
#define TEXT(name, file)                                                            \
	extern const char weir_c_##name##_begin[], weir_c_##name##_end[];           \
	__asm__(".pushsection .rodata\n"                                            \
		".globl weir_c_" #name "_begin\n.hidden weir_c_" #name "_begin\n"   \
		".globl weir_c_" #name "_end\n.hidden weir_c_" #name "_end\n"       \
		"weir_c_" #name "_begin:\n.incbin \"" file "\"\n"                   \
		"weir_c_" #name "_end:\n.popsection\n")

TEXT(header, WEIR_C_HEADER);
TEXT(call, WEIR_C_CALL);
TEXT(json, WEIR_C_JSON);
TEXT(single, WEIR_C_SINGLE);

struct build {
	char input[PATH_MAX]; /* the file's name within its folder, where the compiler works */
	char output[PATH_MAX];
	char work[PATH_MAX - 64]; /* temporary files */
	struct weir_c_source source;
};

static int say(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int say(int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fputc('\n', stderr);
	return status;
}

static const char *work_path(const struct build *build, const char *name, char out[PATH_MAX])
{
	(void)snprintf(out, PATH_MAX, "%s/%s", build->work, name); /* fits */
	return out;
}

static int file_write(const struct build *build, const char *name, const char *text, size_t bytes)
{
	char path[PATH_MAX];
	FILE *file = fopen(work_path(build, name, path), "we");
	bool whole = false;

	if (file == NULL)
		return say(EXIT_MACHINE, "cannot write %s: %s", path, strerror(errno));
	whole = fwrite(text, 1, bytes, file) == bytes;
	if (fclose(file) != 0 || !whole)
		return say(EXIT_MACHINE, "cannot write %s: the disk is full", path);
	return 0;
}

/* Run a program; what it says goes where ours does. 0 or an exit status of ours. */
static int run(const char *const *arguments)
{
	pid_t pid = 0;
	int status = 0;
	/* The cast: posix_spawnp() changes nothing. */
	const int error = posix_spawnp(&pid, arguments[0], NULL, NULL,
				       (char *const *)(uintptr_t)arguments, environ);

	if (error != 0)
		return say(EXIT_MACHINE, "cannot start %s: %s; is its package installed?", arguments[0],
			   strerror(error));
	while (waitpid(pid, &status, 0) == -1) {
		if (errno != EINTR)
			return EXIT_MACHINE;
	}
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFSIGNALED(status))
		return say(EXIT_LIMIT, "%s was stopped by signal %d", arguments[0], WTERMSIG(status));
	return EXIT_SOURCE;
}

/* cc with what every step has, then `more` (NULL at the end). */
static int compile(const struct build *build, const char *const *more)
{
	char include[PATH_MAX + 2];
	const char *arguments[ARGUMENTS_MAX] = {
		"cc", "-std=gnu17", "-O2", "-fPIC", "-fvisibility=hidden", "-fdiagnostics-color=never",
		"-Wall", "-Werror=implicit-function-declaration", "-Werror=return-type",
		"-Werror=incompatible-pointer-types", "-Werror=int-conversion", include,
	};
	size_t count = 12;

	(void)snprintf(include, sizeof(include), "-I%s", build->work); /* fits */
	for (size_t i = 0; more[i] != NULL && count + 1 < ARGUMENTS_MAX; i++)
		arguments[count++] = more[i];
	arguments[count] = NULL;
	return run(arguments);
}

static int build_handler(const struct build *build, const char *output)
{
	const char *const more[] = {"-shared", "-Wl,-z,defs", "-Wl,-z,now", "-o", output,
				    build->input, "-lm", "-pthread", NULL};

	return compile(build, more);
}

/* What stands around the function, by its name and parameters. */
static int glue_write(const struct build *build)
{
	const struct weir_c_source *source = &build->source;
	const char *const handle = source->has_handler ? "weir_single_handle" : "weir_handle";
	char *text = NULL;
	size_t bytes = 0;
	FILE *glue = open_memstream(&text, &bytes);
	int result = 0;

	if (glue == NULL)
		return say(EXIT_MACHINE, "no memory");
	/* Weak: where the preprocessor takes the function out, the handler beside it is still good. */
	(void)fprintf(glue,
		      "#define weir_handle %s\n#define WEIR_SINGLE_NAME \"%s\"\n"
		      "enum { WEIR_SINGLE_COUNT = %zu };\n"
		      "extern __attribute__((weak)) int weir_single_function(",
		      handle, source->name, source->param_count);
	for (size_t i = 0; i < source->param_count; i++)
		(void)fprintf(glue, "%sint", i == 0 ? "" : ", ");
	(void)fprintf(glue, "%s);\nstatic const char *const weir_single_names[] = {",
		      source->param_count == 0 ? "void" : "");
	for (size_t i = 0; i < source->param_count; i++)
		(void)fprintf(glue, "\"%s\", ", source->param[i]);
	(void)fprintf(glue, "0};\nstatic int weir_single_call(const int *values)\n{\n\t(void)values;\n"
			    "\treturn weir_single_function(");
	for (size_t i = 0; i < source->param_count; i++)
		(void)fprintf(glue, "%svalues[%zu]", i == 0 ? "" : ", ", i);
	/* The function's own name leads to the handler too: as a handler people may give either. */
	(void)fprintf(glue,
		      ");\n}\n#include \"single.inc\"\nWEIR_FUNCTION_EXPORT int "
		      "weir_single_alias(const struct weir_request *request, struct weir_response "
		      "*response) __asm__(\"%s\") __attribute__((alias(\"%s\")));\n",
		      source->name, handle);
	if (fclose(glue) != 0)
		result = say(EXIT_MACHINE, "no memory");
	if (result == 0)
		result = file_write(build, "glue.c", text, bytes);
	free(text);
	return result;
}

static int build_single(const struct build *build, const char *output)
{
	char object[PATH_MAX];
	char glue[PATH_MAX];
	char renamed[2 * WEIR_C_NAME_BYTES];
	const char *const first[] = {"-Dvirtine=", "-c", "-o", work_path(build, "user.o", object),
				     build->input, NULL};
	const char *const rename_it[] = {"objcopy", "--redefine-sym", renamed, object, NULL};
	const char *const second[] = {"-shared", "-Wl,-z,defs", "-Wl,-z,now", "-o", output,
				      work_path(build, "glue.c", glue), object, "-lm", "-pthread",
				      NULL};
	int result = compile(build, first);

	(void)snprintf(renamed, sizeof(renamed), "%s=weir_single_function", build->source.name);
	if (result == 0)
		result = run(rename_it);
	if (result == 0)
		result = glue_write(build);
	return result == 0 ? compile(build, second) : result;
}

static int source_look(struct build *build)
{
	WEIR_CLEANUP(weir_free) char *text = calloc(1, SOURCE_BYTES_MAX + 1);
	WEIR_CLEANUP(weir_fd_close) int fd = open(build->input, O_RDONLY | O_CLOEXEC);
	char problem[WEIR_C_PROBLEM_BYTES];
	size_t bytes = 0;
	ssize_t got = 0;

	if (text == NULL)
		return say(EXIT_MACHINE, "no memory");
	if (fd == -1)
		return say(EXIT_SOURCE, "cannot read %s: %s", build->input, strerror(errno));
	while (bytes <= SOURCE_BYTES_MAX &&
	       (got = read(fd, text + bytes, SOURCE_BYTES_MAX + 1 - bytes)) > 0)
		bytes += (size_t)got;
	if (bytes > SOURCE_BYTES_MAX)
		return say(EXIT_SOURCE, "%s: larger than 1 MiB", build->input);
	text[bytes] = '\0';
	if (weir_c_source_scan(text, &build->source, problem) != 0)
		return say(EXIT_SOURCE, "%s:%u: error: %s", build->input, build->source.line, problem);
	return 0;
}

/* The paths: input as its folder and name, output absolute, and a folder for what lies between. */
static int build_open(struct build *build, const char *input, const char *output)
{
	char folder[PATH_MAX];
	char name[PATH_MAX];
	char whole[PATH_MAX];

	(void)snprintf(folder, sizeof(folder), "%s", output);
	(void)snprintf(name, sizeof(name), "%s", output);
	if (realpath(dirname(folder), whole) == NULL || strlen(whole) + 96 > sizeof(build->work))
		return say(EXIT_USAGE, "cannot write %s: no such folder, or its path is too long", output);
	(void)snprintf(build->output, sizeof(build->output), "%.3900s/%.180s", whole, basename(name));
	(void)snprintf(build->work, sizeof(build->work), "%.3900s/.weir-build-c-XXXXXX", whole);
	(void)snprintf(folder, sizeof(folder), "%s", input);
	(void)snprintf(name, sizeof(name), "%s", input);
	(void)snprintf(build->input, sizeof(build->input), "%s", basename(name));
	if (chdir(dirname(folder)) != 0)
		return say(EXIT_SOURCE, "cannot read %s: %s", input, strerror(errno));
	if (build->input[0] == '-')
		return say(EXIT_SOURCE, "a source's name does not begin with '-'");
	if (mkdtemp(build->work) == NULL)
		return say(EXIT_MACHINE, "cannot make %s: %s", build->work, strerror(errno));
	return 0;
}

static void build_close(const struct build *build)
{
	static const char *const names[] = {"weir_function.h", "weir_call.h", "weir_json.h", "single.inc",
					    "glue.c", "user.o", "function.so"};
	char path[PATH_MAX];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlink(work_path(build, names[i], path)); /* it may not be there */
	(void)rmdir(build->work);
}

/* What a source may include without bringing it. */
static int headers_write(const struct build *build)
{
	static const struct {
		const char *name, *begin, *end;
	} files[] = {
		{"weir_function.h", weir_c_header_begin, weir_c_header_end},
		{"weir_call.h", weir_c_call_begin, weir_c_call_end},
		{"weir_json.h", weir_c_json_begin, weir_c_json_end},
		{"single.inc", weir_c_single_begin, weir_c_single_end},
	};
	int result = 0;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) && result == 0; i++)
		result = file_write(build, files[i].name, files[i].begin,
				    (size_t)(files[i].end - files[i].begin));
	return result;
}

static int build(struct build *build)
{
	char output[PATH_MAX];
	int result = source_look(build);

	if (result == 0)
		result = headers_write(build);
	(void)work_path(build, "function.so", output);
	if (result == 0)
		result = build->source.name[0] == '\0' ? build_handler(build, output)
						       : build_single(build, output);
	if (result == 0 && rename(output, build->output) != 0)
		result = say(EXIT_MACHINE, "cannot write %s: %s", build->output, strerror(errno));
	return result;
}

int main(int argc, char **argv)
{
	static struct build state;
	int result = 0;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		(void)printf("weir-build-c %s\n", WEIR_VERSION);
		return EXIT_SUCCESS;
	}
	if (argc != 3)
		return say(EXIT_USAGE, "usage: weir-build-c IN.c OUT.so");
	result = build_open(&state, argv[1], argv[2]);
	if (result != 0)
		return result;
	result = build(&state);
	build_close(&state);
	return result;
}
