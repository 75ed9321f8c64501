/* options: what weir-keeper and weir-supervisor are told on their command line. Both take the same
 * arguments: the keeper passes its own on. Parsing touches nothing but memory; messages for people
 * come back as text, one line, without newline. */
#ifndef WEIR_DATAPLANE_SUPERVISOR_OPTIONS_H
#define WEIR_DATAPLANE_SUPERVISOR_OPTIONS_H

#include <limits.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/abi/link.h"

enum {
	WEIR_OPTIONS_LISTEN_MAX = 7,    /* TCP addresses; with the Unix socket 8 LISTEN messages */
	WEIR_OPTIONS_SHARDS_DEFAULT_MAX = 8,
	WEIR_OPTIONS_PROBLEM_BYTES = 512,
	WEIR_OPTIONS_SOCKET_PATH_BYTES_MAX = 107, /* sockaddr_un.sun_path without its NUL */
};

struct weir_listen_address {
	union {
		struct sockaddr any;
		struct sockaddr_in ipv4;
		struct sockaddr_in6 ipv6;
	} socket;
	socklen_t bytes;
	char text[64]; /* as given: "127.0.0.1:8080", "[::1]:8080" */
};

/* ON: every layer that the machine gives, saying what is missing. REQUIRED: all of them, or no start. */
enum weir_options_sandbox { WEIR_OPTIONS_SANDBOX_ON, WEIR_OPTIONS_SANDBOX_REQUIRED, WEIR_OPTIONS_SANDBOX_OFF };

/* Must who calls be somebody? SET: as the setting `auth` says, which must not be open where an address is reached from
 * other machines. REQUIRED: whatever it says. OPEN_TO_EVERYONE: as it says, wherever. */
enum weir_options_auth { WEIR_OPTIONS_AUTH_SET, WEIR_OPTIONS_AUTH_REQUIRED, WEIR_OPTIONS_AUTH_OPEN_TO_EVERYONE };

struct weir_options {
	char data[PATH_MAX]; /* as given or the default; weir_options_data_open() makes it absolute */
	struct weir_listen_address listen[WEIR_OPTIONS_LISTEN_MAX];
	size_t listen_count; /* at least 1 */
	uint16_t cpu[WEIR_SHARDS_MAX]; /* --cpus, in the order given */
	size_t cpu_count;              /* 0 = all that this process may use */
	uint32_t shard_count;          /* --shards; 0 = one per CPU, at most 8 by default */
	enum weir_options_sandbox sandbox; /* --sandbox */
	enum weir_options_auth auth; /* --auth */
	bool probes; /* --probes: measure workers by eBPF where that is allowed */
	bool numa;   /* --numa: keep what belongs together on one node */
	bool help;
	bool version;
};

/* Text of --help for `program`, ending in a newline. */
const char *weir_options_usage(void);

/* Read argv[1 .. argc-1]; without --data the default is root's /var/lib/weir, a user's
 * $XDG_STATE_HOME/weir or ~/.local/state/weir. 0, or -EINVAL with the reason in `problem`. */
int weir_options_parse(int argc, char *const *argv, struct weir_options *out_options,
		       char problem[WEIR_OPTIONS_PROBLEM_BYTES]);

/* Read "ADDR:PORT" or "[IPV6]:PORT", port 1 .. 65535. 0 or -EINVAL. */
int weir_options_listen_parse(const char *text, struct weir_listen_address *out_address);

/* The first address that others than this machine's users reach; NULL: none. */
const struct weir_listen_address *weir_options_public(const struct weir_options *options);

/* Must everybody be somebody, whatever the setting `auth` says? */
bool weir_options_auth_is_forced(const struct weir_options *options);

/* Create DATA (with parents) and DATA/run (0700), make options->data absolute, and refuse a path
 * whose sockets would not fit. Blocks on disk. 0, or -errno with the reason in `problem`. */
int weir_options_data_open(struct weir_options *options, char problem[WEIR_OPTIONS_PROBLEM_BYTES]);

#endif
