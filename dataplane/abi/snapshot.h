/* snapshot: everything the data path must know of the configuration, in one immutable memfd.
 *
 *   | header (settings inside) | functions | specs | pools | nodes | edges | hosts | targets | params | keys | strings |
 *
 * Built by ctrl/publish, sealed (write, shrink, grow), checked once by shm/snapshot.h on attach:
 * checksum, table bounds, every index and every string; readers then follow indices unchecked.
 * Position independent. Routes form one tree per host of path segments:
 *   node --literal edge (hash table of (parent node, segment))--> node
 *        --param_child--> node                     '{name}' matches one non-empty segment
 *        .label    literal segments ("items/list") that the path must go on with before anything else
 *                  of the node counts: a chain of nodes with one edge each is one node. Often most of
 *                  a pattern, and compared with bytes that lie together.
 *        .routes   targets of a pattern that ends here
 *        .wildcard targets of a pattern that ends here in '/ *': any rest, the empty one included
 * A target is one route for one method. Generations only grow.
 * Keys are sorted by id. Of a key the snapshot has the SHA-256 of 256 random bits, which tells nobody anything:
 * workers may see it. Secrets that something could be signed with have no place here.
 * A function has one spec or more, smallest first: what a worker of one of its pools has. A function that
 * names none has the one of its namespace's pool. */
#ifndef WEIR_DATAPLANE_ABI_SNAPSHOT_H
#define WEIR_DATAPLANE_ABI_SNAPSHOT_H

#include <assert.h>
#include <stdint.h>

#include "dataplane/abi/policies.h"
#include "dataplane/abi/runtimes.h"

#define WEIR_SNAPSHOT_MAGIC UINT64_C(0x31706e7372696577) /* "weirsnp1" */
#define WEIR_SNAPSHOT_NONE UINT32_MAX

enum {
	WEIR_SNAPSHOT_ABI_MAJOR = 7,
	WEIR_SNAPSHOT_SEGMENTS_MAX = 32, /* path segments of a pattern */
	WEIR_SNAPSHOT_METHOD_ANY = 255,
	WEIR_SNAPSHOT_FUNCTION_ENVIRONMENT = 1, /* function flag: it has variables (environment.h) */
	WEIR_SNAPSHOT_FUNCTION_SYSTEM = 2, /* function flag: Weir's own; it may call functions of every namespace,
					    * and only others of its kind may call it */
	WEIR_SNAPSHOT_POOL_ONE_TASK = 1, /* pool flag: a worker takes a call only while it has none */
	WEIR_SNAPSHOT_POOL_SPEC = 2,     /* pool flag: its CPU time and memory are a spec that functions name */
	WEIR_SNAPSHOT_SPECS_MAX = 8,     /* of one function */
	WEIR_SNAPSHOT_TARGET_LOCAL = 1, /* target flag: matches on the Unix socket only */
	WEIR_SNAPSHOT_TARGET_REQUIRED = 2, /* target flag: who calls must be somebody, but through the Unix socket */
	WEIR_SNAPSHOT_TARGET_ASKS = 4, /* target flag: the function, which is Weir's own, asks for it itself */
	WEIR_SNAPSHOT_KEYS_MAX = 16384,
};

struct weir_snapshot_string {
	uint32_t offset; /* into the string table; NUL-terminated there too, where nothing else is said */
	uint32_t bytes;  /* without the NUL */
};

struct weir_snapshot_table {
	uint64_t offset; /* from the snapshot's start, 8-aligned */
	uint32_t count;  /* rows (strings: bytes) */
	uint32_t stride; /* bytes of a row; must equal the reader's sizeof */
};

/* The limits that CONVENTIONS name, all settable. */
struct weir_settings {
	uint32_t target_bytes_max;
	uint32_t head_bytes_max;
	uint32_t headers_max;
	uint32_t connections_max; /* over all shards; 0 = what the descriptor limit allows */
	uint64_t body_bytes_max;
	uint32_t head_timeout_ms;
	uint32_t body_idle_ms;  /* a body of up to 16 KiB not whole, or silence in a larger one: 408 */
	uint32_t send_idle_ms;  /* less than 256 bytes a second taken for this long: close */
	uint32_t keep_alive_ms;
	uint32_t kill_grace_ms; /* a call this long past its deadline costs the worker its life */
	uint32_t pipeline_max;  /* requests in flight on one connection */
	uint64_t shared_memory_bytes_max; /* all segments of the instance; 0 = a quarter of RAM */
	uint32_t workers_max;   /* of the instance */
	uint32_t worker_cpu_millicores; /* CPU time of each worker, 1,000 = one CPU's; 0 = no limit */
	uint32_t queue_wait_ms; /* a queue that stands keeps nobody longer; 0 = only deadlines count */
	uint32_t auth_required; /* 1: calls of routes that do not say otherwise need a key; 0: they are open */
	uint64_t resident_bytes_max; /* memory of all workers; 0 = three quarters of RAM */
};
static_assert(sizeof(struct weir_settings) == 80, "settings layout");

struct weir_snapshot_function {
	uint64_t id;        /* stable for the function's life, over generations */
	uint64_t version;   /* grows with each change of code or handler */
	uint64_t timeout_ns;
	uint64_t memory_bytes; /* in workers of a pool that has no spec; else the spec's */
	uint32_t pool;      /* of its smallest spec, index into pools; WEIR_SNAPSHOT_NONE if runtime is MISSING */
	uint32_t runtime;   /* enum weir_runtime_kind */
	uint32_t queue_max; /* waiting requests per shard */
	uint32_t flags;     /* WEIR_SNAPSHOT_FUNCTION_...; the others are zero */
	uint32_t spec_first; /* into specs: first and count, 1 or more; 0 and 0 if runtime is MISSING */
	uint32_t spec_count;
	struct weir_snapshot_string space;       /* namespace */
	struct weir_snapshot_string name;
	struct weir_snapshot_string code_path;   /* absolute */
	struct weir_snapshot_string handler;
	struct weir_snapshot_string interpreter; /* exec: program that gets code_path as argument; empty = none */
	struct weir_snapshot_string reason;      /* MISSING: what is not there, for people */
};
static_assert(sizeof(struct weir_snapshot_function) == 104, "function layout");

/* One resource spec of a function; a function's stand together, by CPU time, then memory. */
struct weir_snapshot_spec {
	uint32_t cpu_millicores; /* 1,000 = one CPU's time; 0 = no limit, which holds any request */
	uint32_t memory_mb;
	uint32_t workers_min;    /* of this function; the pool has the largest of its functions */
	uint32_t workers_max;
	uint32_t pool;           /* index */
	uint32_t reserved;       /* zero */
};
static_assert(sizeof(struct weir_snapshot_spec) == 24, "spec layout");

/* Workers of one namespace, runtime and spec, or of one function and spec (runtimes.h says which). */
struct weir_snapshot_pool {
	uint64_t key;         /* stable: hash of namespace and runtime, of the function and the spec where there are */
	uint32_t runtime;
	uint32_t workers_min;
	uint32_t workers_max;
	uint16_t policy;      /* enum weir_policy_number */
	uint16_t flags;       /* WEIR_SNAPSHOT_POOL_...; the others are zero */
	uint64_t memory_bytes; /* the spec's, or the largest limit of its functions */
	struct weir_weights weights;
	uint32_t cpu_millicores; /* of each worker; 0 = no limit */
	struct weir_autoscale_rule scale;
	struct weir_snapshot_string space;
	struct weir_snapshot_string function; /* of a pool of one function: its name */
};
static_assert(sizeof(struct weir_snapshot_pool) == 72, "pool layout");

struct weir_snapshot_node {
	uint32_t param_child;    /* node, or WEIR_SNAPSHOT_NONE */
	uint32_t routes_first;   /* targets of the exact pattern: first and count */
	uint32_t wildcard_first; /* targets of pattern + '/ *' */
	uint16_t routes_count;
	uint16_t wildcard_count;
	uint32_t literal_count;  /* edges that leave this node: 0 saves the look-up */
	uint32_t label_segments; /* 0: no label */
	struct weir_snapshot_string label; /* no NUL behind it: a piece of a pattern */
};
static_assert(sizeof(struct weir_snapshot_node) == 32, "node layout");

/* Cell of the edge hash table: count is a power of two, at most half full, linear probing from
 * weir_snapshot_edge_hash(). child == WEIR_SNAPSHOT_NONE marks an empty cell. */
struct weir_snapshot_edge {
	uint32_t parent;
	uint32_t child;
	uint32_t hash; /* low 32 bits of the hash: compared before the string */
	struct weir_snapshot_string segment; /* no NUL behind it: a piece of a pattern */
};
static_assert(sizeof(struct weir_snapshot_edge) == 20, "edge layout");

/* Sorted by name (memcmp, then length), lower case, without port. */
struct weir_snapshot_host {
	struct weir_snapshot_string name;
	uint32_t root; /* node */
};
static_assert(sizeof(struct weir_snapshot_host) == 12, "host layout");

struct weir_snapshot_target {
	uint64_t route_id;
	uint32_t function; /* index */
	uint8_t method;    /* enum weir_http_method or WEIR_SNAPSHOT_METHOD_ANY */
	uint8_t flags;
	uint8_t param_count;
	uint8_t role;          /* enum weir_role: who is somebody must have at least this one */
	uint32_t params_first; /* into params: names in order of appearance */
	uint32_t timeout_ms;   /* 0 = the function's */
	struct weir_snapshot_string pattern;
};
static_assert(sizeof(struct weir_snapshot_target) == 32, "target layout");

/* An API key: http/http_credential.h. */
struct weir_snapshot_key {
	uint8_t id[16];
	uint8_t digest[32];
	uint64_t expires_s; /* since 1970; 0 = never */
	uint32_t role;      /* enum weir_role, not nobody */
	uint32_t reserved;  /* zero */
	struct weir_snapshot_string space; /* whose functions it opens */
};
static_assert(sizeof(struct weir_snapshot_key) == 72, "key layout");

struct weir_snapshot_header {
	uint64_t magic;
	uint32_t abi_major;
	uint32_t header_bytes;
	uint64_t bytes;      /* of the whole snapshot */
	uint64_t checksum;   /* XXH3-64 over everything, this field taken as zero */
	uint64_t generation; /* 1 or more */
	uint64_t hash_seed;  /* of the edge hash */
	uint64_t built_ns;   /* CLOCK_REALTIME */
	struct weir_settings settings;
	uint32_t root;       /* node of the tree without host */
	uint32_t reserved;   /* zero */
	struct weir_snapshot_table functions;
	struct weir_snapshot_table specs;
	struct weir_snapshot_table pools;
	struct weir_snapshot_table nodes;
	struct weir_snapshot_table edges;
	struct weir_snapshot_table hosts;
	struct weir_snapshot_table targets;
	struct weir_snapshot_table params; /* struct weir_snapshot_string */
	struct weir_snapshot_table keys;
	struct weir_snapshot_table strings; /* stride 1 */
};
static_assert(sizeof(struct weir_snapshot_header) == 56 + 80 + 8 + 10 * 16, "snapshot header layout");

#endif
