#include "dataplane/supervisor/options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dataplane/base/cpu.h"

enum {
	NUMBER_DIGITS_MAX = 9,
	LONGEST_SOCKET_NAME_BYTES = sizeof("/run/supervisor.sock") - 1,
};

const char *weir_options_usage(void)
{
	return "usage: weir-keeper [--data DIR] [--listen ADDR:PORT]... [--cpus LIST] [--shards N]\n"
	       "                   [--sandbox on|required|off] [--probes on|off] [--numa on|off]\n"
	       "                   [--auth required|open-to-everyone]\n"
	       "\n"
	       "Starts Weir on a data directory and keeps it running until SIGINT or SIGTERM.\n"
	       "\n"
	       "  --data DIR          routes, functions, sockets (default: /var/lib/weir as root,\n"
	       "                      else $XDG_STATE_HOME/weir or ~/.local/state/weir)\n"
	       "  --listen ADDR:PORT  where to answer HTTP, up to 7 times (default: 127.0.0.1:8080);\n"
	       "                      IPv6 as [::1]:8080\n"
	       "  --cpus LIST         CPUs of the gateway's threads, such as 0,2-3 (default: all allowed, those of\n"
	       "                      all NUMA nodes in turn)\n"
	       "  --shards N          gateway threads, 1 to 64 (default: one per CPU, at most 8, and no more\n"
	       "                      than a control group's CPU quota is good for)\n"
	       "  --sandbox MODE      on: each worker gets every layer that this machine has, and status says\n"
	       "                      what is missing; required: do not start without all; off (default: on)\n"
	       "  --probes on|off     measure workers by eBPF where that is allowed, or by clocks (default: on)\n"
	       "  --numa on|off       keep connections, workers and their memory on one NUMA node (default: on)\n"
	       "  --auth MODE         required: calls need a key or a token, whatever the setting `auth` says;\n"
	       "                      open-to-everyone: that setting may be open although an address is reached\n"
	       "                      from other machines (default: as it says, but then not open)\n"
	       "  --version, --help\n";
}

/* A decimal number of at most NUMBER_DIGITS_MAX digits and nothing else; -1 otherwise. */
static long number_parse(const char *text, size_t bytes)
{
	long number = 0;

	if (bytes == 0 || bytes > NUMBER_DIGITS_MAX)
		return -1;
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		number = number * 10 + (text[i] - '0');
	}
	return number;
}

int weir_options_listen_parse(const char *text, struct weir_listen_address *out_address)
{
	struct weir_listen_address address = {.bytes = 0};
	const char *const colon = strrchr(text, ':');
	char host[sizeof(address.text)];
	size_t host_bytes = 0;
	long port = 0;

	if (colon == NULL || strlen(text) >= sizeof(address.text))
		return -EINVAL;
	host_bytes = (size_t)(colon - text);
	memcpy(host, text, host_bytes);
	host[host_bytes] = '\0';
	port = number_parse(colon + 1, strlen(colon + 1));
	if (port < 1 || port > UINT16_MAX)
		return -EINVAL;
	if (host_bytes > 2 && host[0] == '[' && host[host_bytes - 1] == ']') {
		host[host_bytes - 1] = '\0';
		if (inet_pton(AF_INET6, host + 1, &address.socket.ipv6.sin6_addr) != 1)
			return -EINVAL;
		address.socket.ipv6.sin6_family = AF_INET6;
		address.socket.ipv6.sin6_port = htons((uint16_t)port);
		address.bytes = sizeof(address.socket.ipv6);
	} else {
		if (inet_pton(AF_INET, host, &address.socket.ipv4.sin_addr) != 1)
			return -EINVAL;
		address.socket.ipv4.sin_family = AF_INET;
		address.socket.ipv4.sin_port = htons((uint16_t)port);
		address.bytes = sizeof(address.socket.ipv4);
	}
	(void)strcpy(address.text, text); /* length checked above */
	*out_address = address;
	return 0;
}

static int data_default(struct weir_options *options, char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	const char *const state = getenv("XDG_STATE_HOME");
	const char *const home = getenv("HOME");
	int length = 0;

	if (geteuid() == 0)
		length = snprintf(options->data, sizeof(options->data), "/var/lib/weir");
	else if (state != NULL && state[0] == '/')
		length = snprintf(options->data, sizeof(options->data), "%s/weir", state);
	else if (home != NULL && home[0] == '/')
		length = snprintf(options->data, sizeof(options->data), "%s/.local/state/weir", home);
	else
		length = -1;
	if (length >= 0 && (size_t)length < sizeof(options->data))
		return 0;
	(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES,
		       "neither XDG_STATE_HOME nor HOME names a directory; name one with --data DIR");
	return -EINVAL;
}

static int listen_add(struct weir_options *options, const char *value,
		      char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	struct weir_listen_address address;

	if (options->listen_count == WEIR_OPTIONS_LISTEN_MAX) {
		(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES, "--listen %.100s: at most %d addresses",
			       value, WEIR_OPTIONS_LISTEN_MAX);
		return -EINVAL;
	}
	if (weir_options_listen_parse(value, &address) != 0) {
		(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES,
			       "--listen %.100s: give ADDR:PORT with a numeric address and a port of 1 to "
			       "65535, such as 127.0.0.1:8080 or [::1]:8080",
			       value);
		return -EINVAL;
	}
	for (size_t i = 0; i < options->listen_count; i++) {
		if (address.bytes == options->listen[i].bytes &&
		    memcmp(&address.socket, &options->listen[i].socket, address.bytes) == 0) {
			(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES,
				       "--listen %.100s is given twice", value);
			return -EINVAL;
		}
	}
	options->listen[options->listen_count++] = address;
	return 0;
}

static int sandbox_apply(struct weir_options *options, const char *value,
			 char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	if (strcmp(value, "on") == 0) {
		options->sandbox = WEIR_OPTIONS_SANDBOX_ON;
	} else if (strcmp(value, "required") == 0) {
		options->sandbox = WEIR_OPTIONS_SANDBOX_REQUIRED;
	} else if (strcmp(value, "off") == 0) {
		options->sandbox = WEIR_OPTIONS_SANDBOX_OFF;
	} else {
		(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES, "--sandbox %.100s: give on, required or off",
			       value);
		return -EINVAL;
	}
	return 0;
}

static int auth_apply(struct weir_options *options, const char *value, char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	if (strcmp(value, "required") == 0) {
		options->auth = WEIR_OPTIONS_AUTH_REQUIRED;
	} else if (strcmp(value, "open-to-everyone") == 0) {
		options->auth = WEIR_OPTIONS_AUTH_OPEN_TO_EVERYONE;
	} else {
		(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES,
			       "--auth %.100s: give required or open-to-everyone, or leave it out: then the setting auth holds",
			       value);
		return -EINVAL;
	}
	return 0;
}

static int switch_apply(bool *option, const char *name, const char *value, char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0) {
		(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES, "%s %.100s: give on or off", name, value);
		return -EINVAL;
	}
	*option = strcmp(value, "on") == 0;
	return 0;
}

/* Apply one option and its value. 0 or -EINVAL. */
static int option_apply(struct weir_options *options, const char *name, const char *value,
			char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	long number = 0;

	if (strcmp(name, "--listen") == 0)
		return listen_add(options, value, problem);
	if (strcmp(name, "--data") == 0) {
		if (value[0] != '\0' && strlen(value) < sizeof(options->data)) {
			(void)strcpy(options->data, value);
			return 0;
		}
		(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES, "--data needs the path of a directory");
		return -EINVAL;
	}
	if (strcmp(name, "--cpus") == 0) {
		const int count = weir_cpu_list_parse(value, options->cpu, WEIR_SHARDS_MAX);

		if (count > 0) {
			options->cpu_count = (size_t)count;
			return 0;
		}
		(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES,
			       "--cpus %.100s: give CPU numbers, each once and at most %d, such as 0,2-3", value,
			       WEIR_SHARDS_MAX);
		return -EINVAL;
	}
	if (strcmp(name, "--sandbox") == 0)
		return sandbox_apply(options, value, problem);
	if (strcmp(name, "--auth") == 0)
		return auth_apply(options, value, problem);
	if (strcmp(name, "--probes") == 0)
		return switch_apply(&options->probes, name, value, problem);
	if (strcmp(name, "--numa") == 0)
		return switch_apply(&options->numa, name, value, problem);
	number = number_parse(value, strlen(value));
	if (number >= 1 && number <= WEIR_SHARDS_MAX) {
		options->shard_count = (uint32_t)number;
		return 0;
	}
	(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES, "--shards %.100s: give a number of 1 to %d", value,
		       WEIR_SHARDS_MAX);
	return -EINVAL;
}

/* The known option that `argument` spells, alone or as OPTION=VALUE; NULL if none. */
static const char *option_find(const char *argument)
{
	static const char *const names[] = {"--data", "--listen", "--cpus", "--shards", "--sandbox",
					    "--probes", "--numa", "--auth"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const size_t bytes = strlen(names[i]);

		if (strncmp(argument, names[i], bytes) == 0 &&
		    (argument[bytes] == '\0' || argument[bytes] == '='))
			return names[i];
	}
	return NULL;
}

int weir_options_parse(int argc, char *const *argv, struct weir_options *out_options,
		       char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	struct weir_options *const options = out_options;

	memset(options, 0, sizeof(*options));
	options->probes = true;
	options->numa = true;
	for (int i = 1; i < argc; i++) {
		const char *const name = option_find(argv[i]);
		const char *value = NULL;

		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			options->help = true;
			continue;
		}
		if (strcmp(argv[i], "--version") == 0) {
			options->version = true;
			continue;
		}
		if (name == NULL) {
			(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES,
				       "unknown option '%.100s'; see --help", argv[i]);
			return -EINVAL;
		}
		if (argv[i][strlen(name)] == '=')
			value = argv[i] + strlen(name) + 1;
		else if (i + 1 < argc)
			value = argv[++i];
		if (value == NULL) {
			(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES, "%s needs a value; see --help", name);
			return -EINVAL;
		}
		if (option_apply(options, name, value, problem) != 0)
			return -EINVAL;
	}
	if (options->listen_count == 0 && listen_add(options, "127.0.0.1:8080", problem) != 0)
		return -EINVAL;
	return options->data[0] != '\0' ? 0 : data_default(options, problem);
}

static bool is_loopback(const struct weir_listen_address *address)
{
	static const uint8_t mapped[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127};
	const struct in6_addr *const wide = &address->socket.ipv6.sin6_addr;

	if (address->socket.any.sa_family == AF_INET)
		return ntohl(address->socket.ipv4.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(wide) || memcmp(wide, mapped, sizeof(mapped)) == 0;
}

const struct weir_listen_address *weir_options_public(const struct weir_options *options)
{
	for (size_t i = 0; i < options->listen_count; i++) {
		if (!is_loopback(&options->listen[i]))
			return &options->listen[i];
	}
	return NULL;
}

bool weir_options_auth_is_forced(const struct weir_options *options)
{
	return options->auth == WEIR_OPTIONS_AUTH_REQUIRED ||
	       (options->auth == WEIR_OPTIONS_AUTH_SET && weir_options_public(options) != NULL);
}

/* mkdir -p with mode 0700. 0 or -errno; `path` is changed on the way and restored. */
static int directory_create(char *path)
{
	for (char *slash = strchr(path + 1, '/');; slash = strchr(slash + 1, '/')) {
		int result = 0;

		if (slash != NULL)
			*slash = '\0';
		/* EEXIST may be a file: the next step says so then. */
		if (mkdir(path, 0700) != 0 && errno != EEXIST)
			result = -errno;
		if (slash != NULL)
			*slash = '/';
		if (result != 0 || slash == NULL)
			return result;
	}
}

int weir_options_data_open(struct weir_options *options, char problem[WEIR_OPTIONS_PROBLEM_BYTES])
{
	char absolute[PATH_MAX];
	char run[PATH_MAX + sizeof("/run")];
	int result = directory_create(options->data);

	if (result == 0 && realpath(options->data, absolute) == NULL)
		result = -errno;
	if (result == 0) {
		(void)snprintf(run, sizeof(run), "%s/run", absolute);
		if (mkdir(run, 0700) != 0 && errno != EEXIST)
			result = -errno;
		if (result == 0 && access(run, W_OK | X_OK) != 0)
			result = -errno;
	}
	if (result != 0) {
		(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES,
			       "cannot use the data directory %.300s: %s; choose another with --data DIR",
			       options->data, strerror(-result));
		return result;
	}
	if (strlen(absolute) + LONGEST_SOCKET_NAME_BYTES > WEIR_OPTIONS_SOCKET_PATH_BYTES_MAX) {
		(void)snprintf(problem, WEIR_OPTIONS_PROBLEM_BYTES,
			       "the path %.200s is too long: its sockets may have %d bytes, so the data "
			       "directory %d; choose a shorter one with --data DIR",
			       absolute, WEIR_OPTIONS_SOCKET_PATH_BYTES_MAX,
			       WEIR_OPTIONS_SOCKET_PATH_BYTES_MAX - (int)LONGEST_SOCKET_NAME_BYTES);
		return -ENAMETOOLONG;
	}
	(void)strcpy(options->data, absolute); /* both PATH_MAX */
	return 0;
}
