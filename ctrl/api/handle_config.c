#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctrl/api/config_plan.h"
#include "ctrl/model/model_number.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fault.h"

enum { NAMESPACE_BYTES = 8192 /* longer targets are refused */ };

/* A function whose code is built and tried before anything is written. */
struct trial {
	const struct weir_config_item *item;
	cJSON *variables; /* that come with it */
	bool is_asked;
	bool is_built;
	bool is_over; /* passed, or a problem was noted */
	uint64_t id;
};

/* What is kept while an application waits for builds, trials and locks. */
struct application {
	struct weir_config wanted;
	struct weir_config_problems problems;
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1]; /* "": all */
	bool prune;
	bool dry_run;
	bool no_trial;
	struct trial *trial;
	size_t trial_count;
};

static int no_memory(struct weir_store_error *error)
{
	(void)snprintf(error->text, sizeof(error->text), "not enough memory for the configuration"); /* fits */
	return -ENOMEM;
}

/* Export */

enum weir_api_result weir_api_config_export(struct weir_api_call *call)
{
	WEIR_CLEANUP(weir_config_release) struct weir_config config = {0};
	char space[NAMESPACE_BYTES] = "";
	const bool is_one = weir_api_query(call, "namespace", space, sizeof(space));
	struct weir_store_error error = {.text = "not enough memory for the configuration"};
	struct weir_model_error wrong;
	int code = 0;

	if (is_one && weir_model_space_check(space, &wrong) != 0)
		return weir_api_refuse_field(call, &wrong);
	code = weir_config_present(call, is_one ? space : NULL, &config, &error);
	if (code != 0)
		return weir_api_refuse_store(call, code, &error);
	call->answer = cJSON_CreateObject();
	if (!cJSON_AddItemToObject(call->answer, "document", weir_config_json(&config, is_one ? space : NULL)))
		return weir_api_refuse_store(call, -ENOMEM, &error);
	if (config.left_out != NULL && cJSON_AddItemToObject(call->answer, "left_out", config.left_out))
		config.left_out = NULL;
	call->status = 200;
	return WEIR_API_DONE;
}

/* Application: reading */

static void application_release(void *state)
{
	struct application *application = state;

	weir_config_release(&application->wanted);
	weir_config_problems_release(&application->problems);
	for (size_t i = 0; i < application->trial_count; i++)
		cJSON_Delete(application->trial[i].variables);
	free(application->trial);
	free(application);
}

static enum weir_api_result refuse_problems(struct weir_api_call *call, struct application *application)
{
	struct weir_config_problems *problems = &application->problems;
	const cJSON *first = cJSON_GetArrayItem(problems->list, 0);
	const char *told = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(first, "place"));
	const char *place = told == NULL || told[0] == '\0' ? "document" : told; /* of the whole */
	const char *reason = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(first, "reason"));
	char sentence[1024 + WEIR_CONFIG_PLACE_BYTES + 128];
	char more[64] = "";

	if (problems->count > 1)
		(void)snprintf(more, sizeof(more), " (and %zu more)", problems->count - 1); /* fits */
	(void)snprintf(sentence, sizeof(sentence), "%s %s%s; nothing was changed", place,
		       reason == NULL ? "is wrong" : reason, more); /* cut is fine */
	(void)weir_api_refuse(call, 422, "invalid", place, sentence);
	(void)cJSON_AddNumberToObject(call->answer, "problem_count", (double)problems->count); /* or members lack */
	if (problems->list != NULL && cJSON_AddItemToObject(call->answer, "problems", problems->list))
		problems->list = NULL;
	return WEIR_API_DONE;
}

static bool is_set(const struct weir_api_call *call, const char *name)
{
	return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(call->body, name)) != 0;
}

/* The request's document, checked. False: the answer is set. */
static bool application_begin(struct weir_api_call *call)
{
	struct application *application = calloc(1, sizeof(*application));

	if (application == NULL) {
		(void)weir_api_refuse(call, 503, "memory", NULL, "not enough memory for the document");
		return false;
	}
	call->state = application;
	call->state_release = application_release;
	if (weir_model_numbers_keep(call->body, call->text.data, call->text.bytes) != 0) {
		(void)weir_api_refuse(call, 503, "memory", NULL, "not enough memory for the document");
		return false;
	}
	application->prune = is_set(call, "prune");
	application->dry_run = is_set(call, "dry_run");
	application->no_trial = cJSON_HasObjectItem(call->body, "trial") && !is_set(call, "trial");
	weir_config_read(call, cJSON_GetObjectItemCaseSensitive(call->body, "document"),
			 cJSON_GetObjectItemCaseSensitive(call->body, "secrets"), &application->wanted,
			 application->space, &application->problems);
	if (application->problems.count == 0)
		return true;
	(void)refuse_problems(call, application);
	return false;
}

/* Application: builds and trials */

static bool is_tried(const struct application *application, const struct weir_config_item *item)
{
	for (size_t i = 0; i < application->trial_count; i++) {
		if (application->trial[i].item == item)
			return true;
	}
	return false;
}

/* New code of the plan joins what is tried. 0 or -ENOMEM. */
static int trials_add(struct application *application, const struct weir_config_plan *plan,
		      struct weir_store_error *error)
{
	struct trial *grown = NULL;
	size_t added = 0;

	for (size_t i = 0; i < plan->count; i++)
		added += weir_config_needs_trial(&plan->change[i]) && !is_tried(application, plan->change[i].to);
	if (added == 0)
		return 0;
	grown = reallocarray(application->trial, application->trial_count + added, sizeof(*grown));
	if (grown == NULL)
		return no_memory(error);
	application->trial = grown;
	for (size_t i = 0; i < plan->count; i++) {
		const struct weir_config_change *change = &plan->change[i];

		if (weir_config_needs_trial(change) && !is_tried(application, change->to))
			grown[application->trial_count++] = (struct trial){
				.item = change->to, .variables = weir_config_variables_json(change)};
	}
	return 0;
}

static void trial_fail(struct application *application, struct trial *trial, const char *what,
		       const char *why, const char *log)
{
	struct weir_config_problems *problems = &application->problems;
	char place[WEIR_CONFIG_PLACE_BYTES];
	cJSON *problem = NULL;

	trial->is_over = true;
	weir_config_problem(problems, weir_config_item_place(WEIR_CONFIG_FUNCTIONS, trial->item, place), "%s%s", what,
			    why);
	problem = cJSON_GetArrayItem(problems->list, cJSON_GetArraySize(problems->list) - 1);
	if (log != NULL && problems->count <= WEIR_CONFIG_PROBLEMS_MAX)
		(void)cJSON_AddStringToObject(problem, "log", log); /* or it lacks */
}

static void trial_build(struct weir_api_call *call, struct application *application, struct trial *trial,
			const struct weir_model_function *function)
{
	char *log = NULL;
	const int code = call->owner->build(call->owner->context, function->runtime, function->code_path,
					    !trial->is_asked, &log);

	trial->is_asked = true;
	trial->is_built = code == 0;
	if (code == -EINVAL)
		trial_fail(application, trial, "the code cannot be built", "", log == NULL ? "" : log);
	else if (code != 0 && code != -EINPROGRESS)
		trial_fail(application, trial, "the code cannot be built now: ", strerror(-code), NULL);
	free(log);
}

static void trial_run(struct weir_api_call *call, struct application *application, struct trial *trial,
		      struct weir_model_function *function)
{
	WEIR_CLEANUP(weir_api_variables_release)
	struct weir_api_variables variables = {.space = function->space, .name = function->name};
	char reason[WEIR_API_REASON_BYTES] = "";
	struct weir_api_trial wanted = {.path = ""};
	const char *why = NULL;
	int code = 0;

	if (trial->variables == NULL || !weir_api_variables_of(call, trial->variables, &variables)) {
		why = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(call->answer, "error"));
		trial_fail(application, trial, "", why == NULL ? "there is not enough memory" : why, NULL);
		return;
	}
	wanted.variables = variables.plain;
	wanted.variable_count = variables.sealed.count;
	function->version = weir_store_generation(call->owner->store) + 1;
	code = call->owner->try_version(call->owner->context, function, &wanted, &trial->id, reason);
	if (code == -EINPROGRESS || code == -EBUSY) /* each of the others ends some time */
		return;
	trial->is_over = true;
	if (code != 0)
		trial_fail(application, trial, "the new version failed its first call: ",
			   code == -EINVAL ? reason : strerror(-code), NULL);
}

/* Look at all. True: none is under way any more. */
static bool trials_run(struct weir_api_call *call, struct application *application)
{
	size_t left = 0;

	for (size_t i = 0; i < application->trial_count; i++) {
		struct trial *trial = &application->trial[i];
		struct weir_config_function config;

		if (trial->is_over)
			continue;
		weir_config_function_of(call, trial->item->json, &config);
		if (!trial->is_built)
			trial_build(call, application, trial, &config.function);
		if (trial->is_built && application->no_trial)
			trial->is_over = true;
		else if (trial->is_built)
			trial_run(call, application, trial, &config.function);
		left += !trial->is_over;
	}
	return left == 0;
}

/* Application: writing */

static bool has_rows(const struct weir_config_plan *plan)
{
	for (size_t i = 0; i < plan->count; i++) {
		if (plan->change[i].section == WEIR_CONFIG_ROWS)
			return true;
	}
	return false;
}

/* The rows in the public table, which others see once the edit is committed. */
static int rows_edit(const struct weir_api_call *call, const struct weir_config_plan *plan,
		     struct weir_public_table_edit *edit, struct weir_store_error *error)
{
	int code = has_rows(plan) ? weir_public_table_edit_begin(call->owner->table, edit, error) : 0;

	for (size_t i = 0; code == 0 && i < plan->count; i++) {
		const struct weir_config_change *change = &plan->change[i];
		char *value = NULL;

		if (change->section != WEIR_CONFIG_ROWS)
			continue;
		value = change->to == NULL ? NULL : weir_config_row_value(change->to->json);
		if (change->to != NULL && value == NULL)
			code = no_memory(error);
		else
			code = weir_public_table_edit_put(edit, change->to == NULL ? change->from->key : change->to->key,
							  value, error);
		cJSON_free(value);
	}
	return code;
}

/* One change of weir.db, which is undone again where the run is dry. */
static int store_change(struct weir_api_call *call, struct application *application,
			const struct weir_config_plan *plan, struct weir_store_error *error)
{
	struct weir_store *store = call->owner->store;
	int code = weir_store_begin(store, error);

	if (code != 0)
		return code;
	code = weir_config_write(call, plan, &application->problems, error);
	if (code == 0 && !application->dry_run)
		return weir_store_finish(store, error);
	weir_store_undo(store);
	return code;
}

/* What was done, or would be. */
static void changes_tell(struct weir_api_call *call, const struct application *application,
			 const struct weir_config_plan *plan, cJSON *changes)
{
	cJSON_Delete(call->answer);
	call->answer = cJSON_CreateObject();
	(void)cJSON_AddItemToObject(call->answer, "changes", changes); /* or members lack */
	(void)cJSON_AddNumberToObject(call->answer, "unchanged", (double)plan->unchanged);
	(void)cJSON_AddBoolToObject(call->answer, "dry_run", application->dry_run);
}

static enum weir_api_result unchanged_tell(struct weir_api_call *call, const struct application *application,
					   const struct weir_config_plan *plan, cJSON *changes)
{
	changes_tell(call, application, plan, changes);
	(void)cJSON_AddNumberToObject(call->answer, "generation",
				      (double)weir_store_generation(call->owner->store)); /* or it lacks */
	call->status = 200;
	return WEIR_API_DONE;
}

/* weir.db has it all; now the public table gets its rows, and memory both. */
static enum weir_api_result change_commit(struct weir_api_call *call, struct weir_public_table_edit *edit)
{
	struct weir_store_error error = {{0}};
	struct weir_store_error trouble = {{0}};
	const bool has_edit = edit->db != NULL;
	char sentence[sizeof(error.text) + 160];
	enum weir_api_result result = WEIR_API_DONE;
	int code = 0;
	int loaded = 0;

	WEIR_FAULT(apply_between_files);
	if (has_edit) {
		code = weir_public_table_edit_commit(edit, &error);
		loaded = weir_api_rows_reload(call, &trouble);
	}
	result = weir_api_committed(call, 200);
	if (code != 0) {
		(void)snprintf(sentence, sizeof(sentence),
			       "all else was changed, but the rows of the public table stay: %s; apply again for the rest",
			       error.text); /* fits */
		return weir_api_refuse(call, 500, "rows_not_written", "rows", sentence);
	}
	return loaded != 0 ? weir_api_refuse(call, 500, "not_published", NULL, trouble.text) : result;
}

static enum weir_api_result plan_do(struct weir_api_call *call, struct application *application,
				    const struct weir_config_plan *plan)
{
	WEIR_CLEANUP(weir_public_table_edit_drop) struct weir_public_table_edit edit = {.db = NULL};
	struct weir_store_error error = {{0}};
	enum weir_api_result result = WEIR_API_DONE;
	cJSON *changes = weir_config_plan_json(plan);
	int code = rows_edit(call, plan, &edit, &error);

	if (code == 0)
		code = store_change(call, application, plan, &error);
	if (code != 0) {
		cJSON_Delete(changes);
		return application->problems.count > 0 ? refuse_problems(call, application)
						       : weir_api_refuse_store(call, code, &error);
	}
	if (application->dry_run)
		return unchanged_tell(call, application, plan, changes);
	result = change_commit(call, &edit);
	if (result == WEIR_API_WAIT)
		changes_tell(call, application, plan, changes);
	else
		cJSON_Delete(changes);
	return result;
}

/* What is to be done, from what is there now. 0 or store.h; problems are noted. */
static int plan_make(struct weir_api_call *call, struct application *application, struct weir_config *present,
		     struct weir_config_plan *plan, struct weir_store_error *error)
{
	int code = weir_api_rows_settle(call, error);

	if (code == 0)
		code = weir_config_present(call, application->space[0] == '\0' ? NULL : application->space, present,
					   error);
	if (code == 0 && !weir_config_plan_make(plan))
		code = no_memory(error);
	return code == 0 ? weir_config_plan_check(call, plan, &application->problems, error) : code;
}

/* Each time anew, but for the document and its trials: meanwhile others may have changed things. */
static enum weir_api_result application_run(struct weir_api_call *call, struct application *application)
{
	WEIR_CLEANUP(weir_config_release) struct weir_config present = {0};
	WEIR_CLEANUP(weir_config_plan_release)
	struct weir_config_plan plan = {
		.present = &present, .wanted = &application->wanted, .prune = application->prune};
	struct weir_store_error error = {{0}};
	int code = plan_make(call, application, &present, &plan, &error);

	if (code == 0 && application->problems.count == 0 && !application->dry_run)
		code = trials_add(application, &plan, &error);
	if (code < 0)
		return weir_api_refuse_store(call, code, &error);
	if (application->problems.count == 0 && !trials_run(call, application))
		return WEIR_API_PENDING;
	if (application->problems.count > 0)
		return refuse_problems(call, application);
	if (plan.count == 0)
		return unchanged_tell(call, application, &plan, cJSON_CreateArray());
	return plan_do(call, application, &plan);
}

enum weir_api_result weir_api_config_apply(struct weir_api_call *call)
{
	if (call->state == NULL && !application_begin(call))
		return WEIR_API_DONE;
	if (!trials_run(call, call->state))
		return WEIR_API_PENDING;
	return application_run(call, call->state);
}
