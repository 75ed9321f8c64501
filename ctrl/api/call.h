/* call: one API request inside the handlers, and what they share. Private to ctrl/api. */
#ifndef WEIR_CTRL_API_CALL_H
#define WEIR_CTRL_API_CALL_H

#include "ctrl/api/api.h"
#include "ctrl/publish/publish.h"
#include "ctrl/store/history.h"
#include "dataplane/http/http_credential.h"
#include "dataplane/http/http_request.h"

enum {
	WEIR_API_PARAMS_MAX = 2,
	WEIR_API_PARAM_BYTES_MAX = 1400, /* decoded */
};

enum weir_api_result {
	WEIR_API_DONE, /* call->status and call->answer are set */
	WEIR_API_WAIT, /* answer when call->generation is acknowledged, in the members of call->answer */
	WEIR_API_PENDING, /* something is under way (a build): run the handler again in a moment */
	WEIR_API_RETRY, /* a database is locked: run the handler again; call->answer says so if it never frees */
};

/* What a member of a body is. */
enum weir_api_kind {
	WEIR_API_TEXT,
	WEIR_API_NUMBER, /* whole, 0 to 4294967295 */
	WEIR_API_SWITCH, /* true or false */
	WEIR_API_LIST,
	WEIR_API_OBJECT,
	WEIR_API_ANY, /* its handler says */
};

/* Who may use an endpoint: which role (role.h) it takes, and in which namespace. */
enum weir_api_access {
	WEIR_API_UNSAID, /* somebody forgot: as MANAGES, and a test says so */
	WEIR_API_ANYBODY,
	WEIR_API_CALLS,        /* invokers; its handler shows what is theirs */
	WEIR_API_CALLS_THERE,  /* invokers, in the namespace that the path begins with */
	WEIR_API_MAKES,        /* developers, in no namespace in particular */
	WEIR_API_MAKES_THERE,  /* developers, in the namespace that the path begins with */
	WEIR_API_MAKES_NAMED,  /* ... that the body names */
	WEIR_API_MAKES_DEFAULT, /* ... `default` */
	WEIR_API_MANAGES,      /* administrators */
};

struct weir_api_member {
	const char *name;
	enum weir_api_kind kind;
};

/* Who asks. */
struct weir_api_caller {
	struct weir_http_credential credential; /* as it was sent */
	char token[WEIR_TOKEN_BYTES_MAX];       /* of a TOKEN */
	enum weir_role role;
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1]; /* empty: every namespace */
	bool is_admitted;
};

struct weir_api_call {
	const struct weir_api_owner *owner;
	enum weir_api_door door;
	enum weir_api_access access; /* of the endpoint */
	struct weir_api_caller caller;
	enum weir_http_method method;
	struct weir_span query; /* undecoded */
	char param[WEIR_API_PARAMS_MAX]
		  [WEIR_API_PARAM_BYTES_MAX]; /* what '*' of the endpoint's path stood for */
	struct weir_span text;                /* the body in canonical form (model_json.h) */
	cJSON *body;                          /* it parsed: an object, or NULL */
	const struct weir_api_member *members; /* of the body, up to one without a name; NULL: it has none */
	const char *what;                  /* how history calls it; NULL: it changes nothing */
	struct weir_history_author author; /* who asks; what: weir_api_author_complete() */
	char code[WEIR_CODE_HASH_BYTES];      /* of an upload: where it is now */
	struct weir_backup_upload *backup;    /* of an upload that is one: the call's until a job takes it */
	uint64_t backup_job;                  /* dropped with the call; 0: none */
	bool is_half_published;               /* of a restore: weir.db is done, the public table is tried again */
	int file_fd;                          /* the answer is this file, told of by `answer`; -1: it is `answer` */
	bool is_rerun;  /* the handler ran before, and waits */
	uint64_t trial; /* of a deployment: the version is being tried */
	bool is_tried;  /* and passed */
	uint64_t examination; /* that is asked for */
	uint16_t status;
	cJSON *answer;
	uint64_t generation;
	uint64_t committed_ns;
	uint64_t mark; /* of what is kept; 0 = not asked for yet */
	void *state; /* of a handler that waits; NULL at first */
	void (*state_release)(void *state);
};

typedef enum weir_api_result weir_api_handler(struct weir_api_call *call);

/* One row of the table of what the API offers (call.c), from which /weir/endpoints and /weir/openapi.json are made.
 * `query` and `answer` name what may stand in the query and what stands in the answer where all goes well, as
 * "text number# switch! list[] object{} any* optional?"; "+": and what every published change tells (describe.c);
 * "@": the answer is a file. */
struct weir_api_endpoint {
	enum weir_http_method method;
	const char *path; /* '*' stands for one segment */
	weir_api_handler *handler;
	const char *what; /* how history calls it, with what it is about behind; NULL: it changes nothing */
	const struct weir_api_member *members; /* NULL where there is no JSON in the body */
	const char *query;
	const char *answer;
	enum weir_api_access access; /* whoever adds an endpoint says who may use it */
};

/* Row `i`, or NULL behind the last. */
const struct weir_api_endpoint *weir_api_endpoint_at(size_t i);

/* Find the endpoint of call->method and `path` in the one table and fill call->param, `members` and `what`. NULL: the
 * answer (404 or 405) is set. */
weir_api_handler *weir_api_endpoint_find(struct weir_api_call *call, const char *path);

/* Path, query and body are read: say in call->author what is asked for. */
void weir_api_author_complete(struct weir_api_call *call);

/* ---- admit.c ---- */

/* The role that an endpoint takes. */
enum weir_role weir_api_access_role(enum weir_api_access access);

/* Keep what the head says of who asks. */
void weir_api_caller_read(struct weir_api_caller *caller, struct weir_span authorization);

/* Find out who asks, and whether they may. True: run the handler. False: *out_result is the call's. */
bool weir_api_admit(struct weir_api_call *call, enum weir_api_result *out_result);

/* Whose token it is; handle_user.c. False: *out_result is the call's. */
bool weir_api_token_user(struct weir_api_call *call, const char *token, struct weir_model_user *out_user,
			 int64_t *out_expires_s, enum weir_api_result *out_result);

/* Is what is in this namespace the caller's to see? And the one namespace that is; NULL: all are. */
bool weir_api_sees(const struct weir_api_call *call, const char *space);
const char *weir_api_space_of(const struct weir_api_call *call);

/* "namespace/name" of a function that the caller may see? */
bool weir_api_sees_function(const struct weir_api_call *call, const char *function);

/* Must everybody be somebody, on routes that do not say otherwise? By the setting and what the instance was started
 * with. 0 or store.h. */
int weir_api_auth_is_required(const struct weir_api_owner *owner, bool *out_is_required, struct weir_store_error *error);

/* Handlers, by the endpoint table. */
weir_api_handler weir_api_function_list, weir_api_function_get, weir_api_function_add,
	weir_api_function_remove;
weir_api_handler weir_api_code_get, weir_api_code_add, weir_api_function_deploy, weir_api_function_versions,
	weir_api_function_rollback, weir_api_function_change, weir_api_function_code;
weir_api_handler weir_api_variable_list, weir_api_variable_change;
weir_api_handler weir_api_row_add, weir_api_route_list, weir_api_route_add, weir_api_route_update,
	weir_api_route_remove;
weir_api_handler weir_api_setting_list, weir_api_setting_read, weir_api_setting_write,
	weir_api_setting_unset;
weir_api_handler weir_api_pool_list, weir_api_pool_change;
weir_api_handler weir_api_alias_list, weir_api_alias_set, weir_api_alias_remove;
weir_api_handler weir_api_user_list, weir_api_user_add, weir_api_user_remove, weir_api_login, weir_api_token_check;
weir_api_handler weir_api_key_list, weir_api_key_add, weir_api_key_remove;
weir_api_handler weir_api_function_scale, weir_api_function_workers;
weir_api_handler weir_api_activation_list, weir_api_activation_get, weir_api_activation_logs, weir_api_activation_answer,
	weir_api_function_logs;
weir_api_handler weir_api_history_list, weir_api_history_diff, weir_api_history_rollback;
weir_api_handler weir_api_config_export, weir_api_config_apply;
weir_api_handler weir_api_backup_get, weir_api_restore;
weir_api_handler weir_api_status_get, weir_api_route_test, weir_api_endpoint_list,
	weir_api_openapi_get, weir_api_check_get;

/* Variables of a request's body, and what they become. Starts zeroed; released after a failure too. */
struct weir_api_variables {
	const char *space; /* whose they are */
	const char *name;
	struct weir_store_variables sealed; /* for weir.db */
	char **plain;                       /* "K=V" and "K", for a trial; as many */
};

/* The members "environment" {K: V}, "secrets" {K: V} and "unset" [K] of call->body, for the function that the
 * path names; or of `json`, for the one that `variables` names. False: the answer is set. */
bool weir_api_variables_read(struct weir_api_call *call, struct weir_api_variables *variables);
bool weir_api_variables_of(struct weir_api_call *call, const cJSON *json, struct weir_api_variables *variables);
void weir_api_variables_release(struct weir_api_variables *variables);

/* Is the file of a function's code there for this process, which runs as the same user as the workers'
 * parent? 0 or -EINVAL with *error. */
int weir_api_file_check(const struct weir_model_function *function, struct weir_model_error *error);

/* One function as people see it. */
cJSON *weir_api_function_json(const struct weir_model_function *function);

/* The pools that the function of that id runs in, and how many workers each may have: the member "pools". */
void weir_api_function_pools_add(const struct weir_api_call *call, uint64_t id, cJSON *json);

/* Aliases of images that lead to no code, as problems of the status. */
void weir_api_alias_problems_add(const struct weir_api_call *call, cJSON *problems);

/* Whose code a function with an image runs: the member "runs", where that is set. 0 or store.h. */
int weir_api_alias_describe(const struct weir_api_call *call, const struct weir_model_function *function, cJSON *json,
			    struct weir_store_error *error);

/* The name of a pool of a snapshot; returns out. */
const char *weir_api_pool_name(const struct weir_snapshot *snapshot, const struct weir_snapshot_pool *row,
			       char out[WEIR_PUBLISH_POOL_NAME_BYTES]);

/* Change settings of the pool `name`, which is checked, and wait until that is published. */
enum weir_api_result weir_api_pool_put(struct weir_api_call *call, const char *name, bool reset,
				       const struct weir_store_pool_setting *changes, int count);

/* Rows of the public table, as routes. */
cJSON *weir_api_row_json(const struct weir_public_row *row);
enum weir_api_result weir_api_row_update(struct weir_api_call *call,
					 const struct weir_public_row *row);
enum weir_api_result weir_api_row_remove(struct weir_api_call *call,
					 const struct weir_public_row *row);

/* Before a change that writes weir.db and the public table together: what others did to the table is saved as
 * theirs. Trouble with it but for a lock shows where its rows are concerned. 0 or -EAGAIN. */
int weir_api_rows_settle(struct weir_api_call *call, struct weir_store_error *error);

/* And after it: memory has what weir.db has; what the table has otherwise is taken as others' change. 0 or
 * store.h. */
int weir_api_rows_reload(struct weir_api_call *call, struct weir_store_error *error);

/* Answer with an error; `code` is the word, `field` may be NULL. Returns WEIR_API_DONE. */
enum weir_api_result weir_api_refuse(struct weir_api_call *call, uint16_t status,
				     const char *code, const char *field, const char *sentence);
enum weir_api_result weir_api_refuse_field(struct weir_api_call *call,
					   const struct weir_model_error *wrong);

/* Turn the store's -errno into an answer, or into WEIR_API_RETRY where a lock is in the way. */
enum weir_api_result weir_api_refuse_store(struct weir_api_call *call, int code,
					   const struct weir_store_error *error);

/* weir.db was changed: publish and wait. `status` is the answer's if all goes well. */
enum weir_api_result weir_api_committed(struct weir_api_call *call, uint16_t status);

/* The public table was changed: sync, publish and wait. */
enum weir_api_result weir_api_table_committed(struct weir_api_call *call, uint16_t status);

/* The value of a query parameter, decoded, to out[0 .. max-1]; false if it is not there or too long. */
bool weir_api_query(const struct weir_api_call *call, const char *name, char *out, size_t max);

/* A whole number of the query, at most `max`: true, and untouched where it is not given. False: the answer
 * is set. */
bool weir_api_query_number(struct weir_api_call *call, const char *name, uint64_t max,
			   uint64_t *out_value);

/* What of a listing is wanted. */
struct weir_api_page {
	uint64_t after;
	uint64_t since_ns;
	uint32_t limit;
	bool newest;
};

/* Read it from the query: "after" (a number of the listing), "since" (ns since 1970), "newest" (1: from the
 * end), "limit" (1 to `limit_max`). `page` starts with the default limit. False: the answer is set. */
bool weir_api_page_read(struct weir_api_call *call, struct weir_api_page *page, uint32_t limit_max);

/* Is everything in the store that was printed, or recorded, until the call came? False: WEIR_API_RETRY. */
bool weir_api_is_kept(struct weir_api_call *call, enum weir_api_kept kept);

/* "2026-01-02T03:04:05.678901234Z" (CLOCK_REALTIME, as OpenWhisk writes it) as a member. */
void weir_api_time_add(cJSON *json, const char *name, uint64_t time_ns);

/* An activation's id: 32 hex digits. False: the answer is set. */
bool weir_api_activation_parse(struct weir_api_call *call, const char *text, uint64_t *out_high,
			       uint64_t *out_low);

/* Decode %XX (and '+' as it is). False: bad escape, NUL or too long. */
bool weir_api_decode(struct weir_span text, char *out, size_t max);

/* Members of call->body. Absent: true and *out untouched. Wrong type, size or range: false, with the
 * answer set. */
bool weir_api_body_text(struct weir_api_call *call, const char *name, char *out, size_t max);
bool weir_api_body_number(struct weir_api_call *call, const char *name, uint32_t *out_value);

/* "specs" of call->body, a list of {cpu_millicores, memory_mb, min, max}, in place of those that the function
 * had. Absent: true and nothing changes. False: the answer is set. */
bool weir_api_body_specs(struct weir_api_call *call, struct weir_model_function *function);

/* Is the body there where call->members wants one, with these members only, each of its kind? False: the
 * answer is set. Handlers may rely on it. */
bool weir_api_body_check(struct weir_api_call *call);

/* "description", "parameters" and "annotations" of the body, each in place of what `function` carries. Those
 * are read to *details, which starts zeroed and is released by the caller; *out_given is NULL where the body
 * has none of them. False: *out_result is the handler's. */
bool weir_api_details_read(struct weir_api_call *call, const struct weir_model_function *function,
			   struct weir_model_details *details, const struct weir_model_details **out_given,
			   enum weir_api_result *out_result);

/* The same, as members of an answer. */
void weir_api_details_add(cJSON *json, const struct weir_model_details *details);

/* One JSON object of somebody else, in canonical form in `text` itself (room for a NUL behind it), *bytes
 * of it, and parsed (cJSON_Delete()). 0; -EINVAL with *error, whose field says where; -ENOMEM. */
int weir_api_json_parse(char *text, size_t *bytes, cJSON **out_json, struct weir_model_error *error);

#endif
