/* weir-build-wasm IN OUT.so: a WebAssembly module becomes a shared object that the wasm worker loads.
 *
 *   IN.c --clang--> source.wasm -.
 *                          IN ---'--check--> plain.wasm --wasm-validate, wasm2c--> m.c + glue.c --cc--> OUT
 *
 * C is compiled as a program (main, WASI). It needs wabt, a C compiler and its libc (of C source clang and
 * wasi-libc, too), its input and a directory to work in; no home, no network.
 * Everything it starts has limits of CPU time, memory and file size. OUT appears when it is complete, or
 * not at all. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"
#include "dataplane/runtime/wasm/build_glue.h"
#include "dataplane/runtime/wasm/build_run.h"
#include "dataplane/runtime/wasm/build_text.h"

enum {
	EXIT_MODULE = 1, /* the module is refused: its author can do something about it */
	EXIT_USAGE = 2,
	EXIT_MACHINE = 3, /* something is missing here: a program, room, rights */
	EXIT_LIMIT = 4,   /* the build took more time, memory or room than it may */
	SAID_BYTES = 2048,
};

struct build {
	const char *input;
	const char *output;
	const char *work; /* where the working directory is made */
	const char *level;
	struct weir_wasm_limits limits;
	char directory[PATH_MAX];
};

static const char usage[] =
	"usage: weir-build-wasm [options] IN OUT.so\n"
	"\n"
	"Build a shared object that weir-worker-wasm loads from a WebAssembly module, or from\n"
	"IN.c, a program in C.\n"
	"\n"
	"  --work DIR        where temporary files go (default: the directory of OUT.so)\n"
	"  --cpu-seconds N   CPU time that each step may take (default 120)\n"
	"  --memory-mb N     address space that each step may have (default 2048)\n"
	"  --optimize N      0, 1 or 2 as in cc -ON (default 2)\n"
	"  --imports NAME    what it may import besides WASI: weir (the default), or quickjs:\n"
	"                    then only the js worker can load it\n"
	"\n"
	"Exit status: 0 built; 1 the module is refused, and why is on standard error; 2 wrong\n"
	"usage; 3 something is missing on this machine; 4 a limit was reached.\n";

static int say(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int say(int status, const char *format, ...)
{
	va_list arguments;

	(void)fputs("weir-build-wasm: ", stderr);
	va_start(arguments, format);
	(void)vfprintf(stderr, format, arguments);
	va_end(arguments);
	(void)fputc('\n', stderr);
	return status;
}

static bool number_option(const char *text, uint64_t max, uint64_t *out)
{
	char *end = NULL;
	unsigned long long value = 0;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || *text == '-' || value == 0 || value > max)
		return false;
	*out = value;
	return true;
}

static int options_read(int argc, char **argv, struct build *build)
{
	static const struct option options[] = {{"work", required_argument, NULL, 'w'},
						{"cpu-seconds", required_argument, NULL, 'c'},
						{"memory-mb", required_argument, NULL, 'm'},
						{"optimize", required_argument, NULL, 'O'},
						{"imports", required_argument, NULL, 'i'},
						{"help", no_argument, NULL, 'h'},
						{"version", no_argument, NULL, 'V'},
						{0}};
	int option = 0;

	/* NOLINTNEXTLINE(concurrency-mt-unsafe): this program has one thread */
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		uint64_t number = 0;
		bool is_right = true;

		switch (option) {
		case 'w':
			build->work = optarg;
			break;
		case 'c':
			is_right = number_option(optarg, 3600, &build->limits.cpu_seconds);
			break;
		case 'm':
			is_right = number_option(optarg, 65536, &number);
			build->limits.memory_bytes = number << 20;
			break;
		case 'O':
			is_right = strlen(optarg) == 1 && strchr("012", *optarg) != NULL;
			build->level = optarg;
			break;
		case 'i':
			is_right = weir_wasm_glue_imports(optarg);
			break;
		case 'h':
			(void)fputs(usage, stdout);
			exit(EXIT_SUCCESS); /* NOLINT(concurrency-mt-unsafe) */
		case 'V':
			(void)puts(WEIR_VERSION);
			exit(EXIT_SUCCESS); /* NOLINT(concurrency-mt-unsafe) */
		default:
			is_right = false;
			break;
		}
		if (!is_right) {
			(void)fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}
	if (argc - optind != 2) {
		(void)fputs(usage, stderr);
		return EXIT_USAGE;
	}
	build->input = argv[optind];
	build->output = argv[optind + 1];
	return 0;
}

static bool is_source(const char *path)
{
	const size_t bytes = strlen(path);

	return bytes > 2 && strcmp(path + bytes - 2, ".c") == 0;
}

/* The whole input, as malloc'd bytes. */
static int input_read(const char *path, char **out_data, size_t *out_bytes)
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat status;
	char *data = NULL;
	size_t bytes = 0;

	if (fd == -1 || fstat(fd, &status) != 0)
		return say(EXIT_MACHINE, "cannot read '%s': %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode) || status.st_size > WEIR_WASM_MODULE_BYTES_MAX)
		return say(EXIT_MODULE, "'%s' is not a file of at most %d MiB", path,
			   WEIR_WASM_MODULE_BYTES_MAX >> 20);
	data = malloc((size_t)status.st_size + 1);
	if (data == NULL)
		return say(EXIT_MACHINE, "no memory to read '%s'", path);
	while (bytes < (size_t)status.st_size) {
		const ssize_t got = read(fd, data + bytes, (size_t)status.st_size - bytes);

		if (got <= 0) {
			free(data);
			return say(EXIT_MACHINE, "cannot read '%s': %s", path,
				   got == 0 ? "it became shorter" : strerror(errno));
		}
		bytes += (size_t)got;
	}
	*out_data = data;
	*out_bytes = bytes;
	return 0;
}

static FILE *work_open(const struct build *build, const char *name)
{
	char path[PATH_MAX + 32];

	(void)snprintf(path, sizeof(path), "%s/%s", build->directory, name); /* fits */
	return fopen(path, "we");
}

static int work_close(const struct build *build, FILE *file)
{
	const bool is_bad = ferror(file) != 0;

	if (fclose(file) != 0 || is_bad)
		return say(EXIT_MACHINE, "cannot write to '%s': %s", build->directory,
			   strerror(errno));
	return 0;
}

static int work_write(const struct build *build, const char *name, struct weir_span text)
{
	FILE *const file = work_open(build, name);

	if (file == NULL)
		return say(EXIT_MACHINE, "cannot write to '%s': %s", build->directory,
			   strerror(errno));
	(void)fwrite(text.data, 1, text.bytes, file); /* work_close() sees it */
	return work_close(build, file);
}

/* The module without custom sections: nothing but what was looked at. */
static int plain_write(const struct build *build, const struct weir_wasm_check *check)
{
	static const uint8_t order[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11};
	FILE *const file = work_open(build, "plain.wasm");

	if (file == NULL)
		return say(EXIT_MACHINE, "cannot write to '%s': %s", build->directory,
			   strerror(errno));
	(void)fwrite("\0asm\1\0\0\0", 1, 8, file);
	for (size_t i = 0; i < sizeof(order); i++) {
		const struct weir_span section = check->section[order[i]];

		if (section.bytes != 0)
			(void)fwrite(section.data, 1, section.bytes, file);
	}
	return work_close(build, file);
}

static int step(const struct build *build, const char *const *arguments, const char *what)
{
	char said[SAID_BYTES];

	switch (weir_wasm_run(arguments, build->directory, &build->limits, said,
			      sizeof(said))) {
	case WEIR_WASM_RAN_WELL:
		return 0;
	case WEIR_WASM_RAN_BADLY:
		return say(EXIT_MODULE, "%s: %s", what, said);
	case WEIR_WASM_RAN_OUT:
		return say(EXIT_LIMIT, "%s; it may take %llu s of CPU time and %llu MiB: %s",
			   what, (unsigned long long)build->limits.cpu_seconds,
			   (unsigned long long)(build->limits.memory_bytes >> 20), said);
	case WEIR_WASM_RAN_NOT:
		break;
	}
	return say(EXIT_MACHINE, "%s: %s", what, said);
}

static int glue_write(const struct build *build, const struct weir_wasm_check *check)
{
	FILE *const file = work_open(build, "glue.c");

	if (file == NULL)
		return say(EXIT_MACHINE, "cannot write to '%s': %s", build->directory,
			   strerror(errno));
	(void)weir_wasm_glue_write(check, file); /* work_close() sees it */
	return work_close(build, file);
}

/* The module that the input is, or was compiled to, in `out`. */
static int source_compile(const struct build *build, char out[PATH_MAX + 32])
{
	char input[PATH_MAX];
	char level[4];
	const char *const compiler[] = {"clang", "--target=wasm32-wasi", level, "-std=gnu17", "-Wl,-s", "-o",
					"source.wasm", input, "-lm", NULL};

	(void)snprintf(level, sizeof(level), "-O%s", build->level); /* fits, as the next */
	(void)snprintf(out, PATH_MAX + 32, "%s/source.wasm", build->directory);
	if (realpath(build->input, input) == NULL)
		return say(EXIT_MACHINE, "cannot read '%s': %s", build->input, strerror(errno));
	return step(build, compiler, "the C compiler does not take the source");
}

/* Signalling NaNs and calls that are not turned into jumps are WebAssembly's semantics; each page of a
 * frame is touched, so that no frame jumps over the stack's guard page. */
static int compile(const struct build *build)
{
	char level[4];
	const char *const validate[] = {"wasm-validate", "--disable-simd", "plain.wasm", NULL};
	const char *const translate[] = {
		"wasm2c", "--no-debug-names",  "-n",         WEIR_WASM_GLUE_MODULE,
		"-o",     WEIR_WASM_GLUE_CODE, "plain.wasm", NULL};
	const char *const compiler[] = {"cc",
					level,
					"-std=gnu17",
					"-w",
					"-DNDEBUG",
					"-fPIC",
					"-shared",
					"-fvisibility=hidden",
					"-fno-strict-aliasing",
					"-fsignaling-nans",
					"-frounding-math",
					"-ffp-contract=off",
					"-fno-optimize-sibling-calls",
					"-fstack-clash-protection",
					"-fno-exceptions",
					"-fno-asynchronous-unwind-tables",
					"-Wl,-z,now",
					"-Wl,-z,relro",
					"-Wl,-z,noexecstack",
					"-Wl,-z,defs",
					"-Wl,--build-id=none",
					"-s",
					"-o",
					"module.so",
					"glue.c",
					"-lm",
					NULL};
	int result = 0;

	(void)snprintf(level, sizeof(level), "-O%s", build->level);
	result = step(build, validate, "the module is not valid");
	if (result == 0)
		result = step(build, translate, "wasm2c does not take the module");
	if (result == 0)
		result = step(build, compiler, "the C compiler does not take the module");
	return result;
}

/* Into place, in one step. */
static int output_place(const struct build *build)
{
	char built[PATH_MAX + 32];

	(void)snprintf(built, sizeof(built), "%s/module.so", build->directory); /* fits */
	if (chmod(built, 0755) != 0 || rename(built, build->output) != 0)
		return say(EXIT_MACHINE, "cannot write '%s': %s", build->output,
			   errno == EXDEV ? "--work is on another file system"
					  : strerror(errno));
	return 0;
}

static int build_module(struct build *build, const struct weir_wasm_check *check)
{
	int result = plain_write(build, check);

	if (result == 0)
		result = work_write(build, "module.h", weir_wasm_text_module());
	if (result == 0)
		result = work_write(build, "wasm-rt.h", weir_wasm_text_artifact());
	if (result == 0)
		result = glue_write(build, check);
	if (result == 0)
		result = compile(build);
	if (result == 0)
		result = output_place(build);
	return result;
}

static int directory_make(struct build *build)
{
	const char *const slash = strrchr(build->output, '/');
	char work[PATH_MAX];

	if (build->work != NULL)
		(void)snprintf(work, sizeof(work), "%s", build->work);
	else if (slash == NULL)
		(void)snprintf(work, sizeof(work), ".");
	else
		(void)snprintf(work, sizeof(work), "%.*s", (int)(slash - build->output + 1),
			       build->output);
	if (realpath(work, build->directory) == NULL)
		return say(EXIT_MACHINE, "cannot use the directory '%s': %s", work,
			   strerror(errno));
	if (strlen(build->directory) > PATH_MAX - 64)
		return say(EXIT_MACHINE, "the path of '%s' is too long", work);
	(void)strcat(build->directory, "/build-XXXXXX"); /* fits */
	if (mkdtemp(build->directory) == NULL)
		return say(EXIT_MACHINE, "cannot write to '%s': %s", work, strerror(errno));
	return 0;
}

/* What the steps may leave; the compiler's own temporary files it removes itself, or they are its. */
static void directory_remove(const struct build *build)
{
	const char *const remove[] = {"rm", "-rf", "--", build->directory, NULL};
	char said[SAID_BYTES];

	(void)weir_wasm_run(remove, "/", &build->limits, said, sizeof(said));
}

static int build_input(struct build *build)
{
	WEIR_CLEANUP(weir_free) char *data = NULL;
	char compiled[PATH_MAX + 32];
	struct weir_wasm_check check;
	size_t bytes = 0;
	int result = is_source(build->input) ? source_compile(build, compiled) : 0;

	if (result == 0)
		result = input_read(is_source(build->input) ? compiled : build->input, &data, &bytes);
	if (result != 0)
		return result;
	result = weir_wasm_check((struct weir_span){.data = data, .bytes = bytes}, &check);
	if (result == 0)
		result = weir_wasm_glue_check(&check);
	if (result == -EINVAL)
		result = say(EXIT_MODULE, "%s", check.reason);
	else if (result != 0)
		result = say(EXIT_MACHINE, "no memory to read the module");
	else
		result = build_module(build, &check);
	weir_wasm_check_close(&check);
	return result;
}

int main(int argc, char **argv)
{
	struct build build = {.level = "2",
			      .limits = {.cpu_seconds = 120,
					 .memory_bytes = UINT64_C(2048) << 20,
					 .file_bytes = UINT64_C(256) << 20}};
	int result = options_read(argc, argv, &build);

	if (result == 0)
		result = directory_make(&build);
	if (result != 0)
		return result;
	result = build_input(&build);
	directory_remove(&build);
	return result;
}
