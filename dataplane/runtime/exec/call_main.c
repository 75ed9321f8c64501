/* weir-call NAME: a program of `exec` calls another function, in the way that exec_nested.h draws.
 *
 *   weir-call hello                       GET without a body
 *   weir-call hello -d '{"name":"Ada"}'   POST; -d @FILE, -d @- for standard input
 *   weir-call hello --one-way -d ...      nobody waits: it runs when this program has answered
 *
 * The answer's body goes to standard output. Exit status: 0 it is 2xx, 1 another one (said on standard
 * error), 2 wrong usage, 3 there was no answer. */
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/base/cleanup.h"

enum { EXIT_STATUS = 1, EXIT_USAGE = 2, EXIT_NO_ANSWER = 3, PIECE_BYTES = 65536 };

static const char usage[] =
	"usage: weir-call NAME [options]\n"
	"Call another function of the namespace from a program that Weir runs, and print its answer.\n"
	"  -d, --data TEXT   the body; @FILE or @- (standard input) for one from elsewhere\n"
	"  -X, --method M    default: GET without a body, else POST\n"
	"      --path P      default: /\n"
	"      --query Q     without '?'\n"
	"      --type T      the body's content type\n"
	"      --one-way     do not wait: it runs after this program's end\n"
	"      --status      print the answer's status on a line of its own before the answer\n"
	"Exit status: 0 answered with 2xx, 1 with another status, 2 usage, 3 no answer.\n";

struct options {
	const char *name;
	const char *data;
	const char *method;
	const char *path;
	const char *query;
	const char *type;
	bool is_one_way;
	bool prints_status;
};

static int say(int status, const char *what, const char *why)
{
	(void)fprintf(stderr, "weir-call: %s%s%s\n", what, why[0] != '\0' ? ": " : "", why);
	return status;
}

/* ---- the way to the worker ---- */

/* A connection: a pair of sockets, of which the worker gets one. -1: there is no worker. */
static int connect_worker(void)
{
	const char *const text = getenv("WEIR_CALL_FD"); /* NOLINT(concurrency-mt-unsafe): one thread */
	const int worker = text != NULL ? (int)strtol(text, NULL, 10) : -1;
	int ends[2];
	char byte = 0;
	struct iovec piece = {.iov_base = &byte, .iov_len = 1};
	union {
		struct cmsghdr header; /* for its alignment */
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct msghdr message = {.msg_iov = &piece,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	ssize_t sent = -1;

	if (worker < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return -1;
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.header), &ends[1], sizeof(int));
	do
		sent = sendmsg(worker, &message, MSG_NOSIGNAL);
	while (sent == -1 && errno == EINTR);
	(void)close(ends[1]);
	if (sent != 1) {
		(void)close(ends[0]);
		return -1;
	}
	return ends[0];
}

/* All of it. False: the worker reads no more, which its answer explains. */
static bool write_all(int fd, const char *data, size_t bytes)
{
	while (bytes != 0) {
		const ssize_t sent = send(fd, data, bytes, MSG_NOSIGNAL);

		if (sent == -1 && errno != EINTR)
			return false;
		if (sent > 0) {
			data += sent;
			bytes -= (size_t)sent;
		}
	}
	return true;
}

/* ---- the request ---- */

static bool line_write(int fd, const char *word, const char *value)
{
	return value == NULL || value[0] == '\0' || (write_all(fd, word, strlen(word)) && write_all(fd, " ", 1) &&
				 write_all(fd, value, strlen(value)) && write_all(fd, "\n", 1));
}

static bool is_one_line(const char *text)
{
	return text == NULL || strchr(text, '\n') == NULL;
}

/* The body from a file; -errno if it cannot be read. */
static int file_send(int fd, const char *path)
{
	static char piece[PIECE_BYTES];
	FILE *const file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	size_t got = 0;
	int result = 0;

	if (file == NULL)
		return -errno;
	while ((got = fread(piece, 1, sizeof(piece), file)) != 0 && write_all(fd, piece, got))
		;
	if (ferror(file))
		result = -EIO;
	if (file != stdin)
		(void)fclose(file); /* read only */
	return result;
}

static int request_send(int fd, const struct options *options)
{
	const char *const end = options->is_one_way ? "one-way\n\n" : "\n";
	int result = 0;

	(void)(line_write(fd, "name", options->name) && line_write(fd, "method", options->method) &&
	       line_write(fd, "path", options->path) && line_write(fd, "query", options->query) &&
	       line_write(fd, "content-type", options->type) &&
	       write_all(fd, end, strlen(end))); /* the answer says what failed */
	if (options->data != NULL && options->data[0] == '@')
		result = file_send(fd, options->data + 1);
	else if (options->data != NULL)
		(void)write_all(fd, options->data, strlen(options->data));
	(void)shutdown(fd, SHUT_WR);
	return result;
}

/* ---- the answer ---- */

static int answer_print(int fd, const struct options *options)
{
	static char piece[PIECE_BYTES];
	WEIR_CLEANUP(weir_free) char *line = NULL;
	FILE *const file = fdopen(fd, "r");
	size_t room = 0, got = 0;
	long status = 0;

	if (file == NULL)
		return say(EXIT_NO_ANSWER, "no memory", "");
	while (getline(&line, &room, file) > 0 && line[0] != '\n') {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "error ", 6) == 0)
			return say(EXIT_NO_ANSWER, options->name, line + 6);
		if (strncmp(line, "status ", 7) == 0)
			status = strtol(line + 7, NULL, 10);
	}
	if (status == 0)
		return say(EXIT_NO_ANSWER, options->name, "the worker has let go of the call");
	if (options->prints_status)
		(void)printf("%ld\n", status);
	while ((got = fread(piece, 1, sizeof(piece), file)) != 0)
		(void)fwrite(piece, 1, got, stdout); /* told by fflush() */
	if (fflush(stdout) != 0)
		return say(EXIT_NO_ANSWER, "cannot write the answer", strerror(errno)); /* NOLINT(concurrency-mt-unsafe) */
	if (status >= 200 && status < 300)
		return EXIT_SUCCESS;
	(void)fprintf(stderr, "weir-call: %s answered with status %ld\n", options->name, status);
	return EXIT_STATUS;
}

/* ---- start ---- */

/* 0, or the exit status plus one. */
static int options_read(struct options *options, int argc, char **argv)
{
	static const struct option known[] = {
		{"data", required_argument, NULL, 'd'},	  {"method", required_argument, NULL, 'X'},
		{"path", required_argument, NULL, 'p'},	  {"query", required_argument, NULL, 'q'},
		{"type", required_argument, NULL, 't'},	  {"one-way", no_argument, NULL, 'o'},
		{"status", no_argument, NULL, 's'},	  {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},	  {NULL, 0, NULL, 0},
	};
	int option = 0;

	while ((option = getopt_long(argc, argv, "d:X:h", known, NULL)) != -1) { /* NOLINT(concurrency-mt-unsafe) */
		switch (option) {
		case 'd':
			options->data = optarg;
			break;
		case 'X':
			options->method = optarg;
			break;
		case 'p':
			options->path = optarg;
			break;
		case 'q':
			options->query = optarg;
			break;
		case 't':
			options->type = optarg;
			break;
		case 'o':
			options->is_one_way = true;
			break;
		case 's':
			options->prints_status = true;
			break;
		case 'h':
			(void)fputs(usage, stdout);
			return EXIT_SUCCESS + 1;
		case 'v':
			(void)puts("weir-call " WEIR_VERSION);
			return EXIT_SUCCESS + 1;
		default:
			(void)fputs(usage, stderr);
			return EXIT_USAGE + 1;
		}
	}
	options->name = optind < argc ? argv[optind] : NULL;
	if (options->name == NULL || options->name[0] == '\0' || optind + 1 != argc || !is_one_line(options->name) ||
	    !is_one_line(options->method) || !is_one_line(options->path) || !is_one_line(options->query) ||
	    !is_one_line(options->type)) {
		(void)fputs(usage, stderr);
		return EXIT_USAGE + 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct options options = {.name = NULL};
	int result = options_read(&options, argc, argv);
	int fd = -1;

	if (result != 0)
		return result - 1;
	fd = connect_worker();
	if (fd == -1)
		return say(EXIT_NO_ANSWER, "this works in a program that Weir runs", "there is no WEIR_CALL_FD");
	result = request_send(fd, &options);
	if (result != 0)
		return say(EXIT_USAGE, options.data, strerror(-result)); /* NOLINT(concurrency-mt-unsafe) */
	return answer_print(fd, &options);
}
