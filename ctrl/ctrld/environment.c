#include "ctrl/ctrld/environment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "dataplane/abi/environment.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/log.h"
#include "dataplane/shm/control.h"

/* One variable of one function, ready to be read. */
struct item {
	uint64_t id;
	uint64_t version;
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1]; /* of the function */
	char *text;                               /* "K=V"; NULL: its secret cannot be opened */
	const char *why;                          /* then: for people */
};

struct list {
	struct item *items;
	size_t count;
	size_t room;
};

/* What a namespace's workers were sent last. */
struct sent {
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	char *data;
	size_t bytes;
	bool is_seen; /* in this round */
};

struct weir_environments {
	char data[WEIR_STORE_PATH_BYTES_MAX];
	struct weir_secret *secret; /* NULL: not needed yet */
	struct sent *sent;
	size_t sent_count;
	/* While publishing. */
	struct list list;
};

static void text_free(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

static void list_release(struct list *list)
{
	for (size_t i = 0; i < list->count; i++)
		text_free(list->items[i].text);
	free(list->items);
	memset(list, 0, sizeof(*list));
}

int weir_environments_create(const char *data, struct weir_environments **out_environments)
{
	struct weir_environments *environments = calloc(1, sizeof(*environments));

	if (environments == NULL)
		return -ENOMEM;
	(void)snprintf(environments->data, sizeof(environments->data), "%s", data); /* checked */
	*out_environments = environments;
	return 0;
}

void weir_environments_destroy(struct weir_environments *environments)
{
	if (environments == NULL)
		return;
	for (size_t i = 0; i < environments->sent_count; i++) {
		explicit_bzero(environments->sent[i].data, environments->sent[i].bytes);
		free(environments->sent[i].data);
	}
	free(environments->sent);
	weir_secret_close(environments->secret);
	free(environments);
}

/* A key that is lost is not replaced by one that opens nothing: only sealing makes one. */
static int secret_need(struct weir_environments *environments, bool make)
{
	return environments->secret != NULL
		       ? 0
		       : weir_secret_open(environments->data, make, &environments->secret);
}

int weir_environments_seal(struct weir_environments *environments, const char *label,
			   const void *value, size_t bytes, uint8_t *out)
{
	const int code = secret_need(environments, true);

	if (code == 0)
		weir_secret_seal(environments->secret, label, value, bytes, out);
	return code;
}

static struct item *list_add(struct list *list)
{
	if (list->count == list->room) {
		const size_t room = list->room == 0 ? 64 : list->room * 2;
		struct item *grown = realloc(list->items, room * sizeof(*grown));

		if (grown == NULL)
			return NULL;
		list->items = grown;
		list->room = room;
	}
	memset(&list->items[list->count], 0, sizeof(*list->items));
	return &list->items[list->count++];
}

static const char *key_problem(int code)
{
	switch (code) {
	case -ENOENT:
		return "secret.key is missing. Put it back and restart";
	case -EACCES:
		return "others may read secret.key. chmod 600 it and restart";
	default:
		return "secret.key is not the one they were sealed with. Put that back and "
		       "restart";
	}
}

/* "K=V" of a variable, opened. NULL: it cannot be, for the reason *out_why. */
static char *text_make(struct weir_environments *environments,
		       const struct weir_model_function *function,
		       const struct weir_store_variable *variable, const char **out_why)
{
	const size_t extra = variable->is_secret ? WEIR_SECRET_EXTRA_BYTES : 0;
	const size_t name_bytes = strlen(variable->name);
	char label[WEIR_SECRET_LABEL_BYTES];
	char *text = NULL;
	int code = 0;

	*out_why = key_problem(-EBADMSG);
	if (variable->bytes < extra)
		return NULL;
	text = calloc(1, name_bytes + 1 + variable->bytes - extra + 1);
	if (text == NULL)
		return NULL;
	memcpy(text, variable->name, name_bytes);
	text[name_bytes] = '=';
	if (!variable->is_secret) {
		memcpy(text + name_bytes + 1, variable->value, variable->bytes);
		return text;
	}
	(void)weir_secret_label(function->space, function->name, variable->name, label);
	code = secret_need(environments, false);
	if (code == 0)
		code = weir_secret_unseal(environments->secret, label, variable->value, variable->bytes,
					  text + name_bytes + 1);
	if (code == 0)
		return text;
	*out_why = key_problem(code);
	free(text);
	return NULL;
}

static int variable_visit(void *context, const struct weir_model_function *function,
			  const struct weir_store_variable *variable)
{
	struct weir_environments *environments = context;
	struct item *item = list_add(&environments->list);

	if (item == NULL)
		return -ENOMEM;
	item->id = function->id;
	item->version = function->version;
	memcpy(item->space, function->space, sizeof(item->space));
	memcpy(item->name, function->name, sizeof(item->name));
	item->text = text_make(environments, function, variable, &item->why);
	return 0;
}

/* The name of "K=V" equals that of another? */
static bool same_name(const char *a, const char *b)
{
	const size_t bytes = strcspn(a, "=");

	return bytes == strcspn(b, "=") && memcmp(a, b, bytes) == 0;
}

static bool trial_has(const struct weir_trial_variables *own, const char *text)
{
	for (size_t i = 0; i < own->count; i++) {
		if (same_name(own->text[i], text))
			return true;
	}
	return false;
}

static int trial_item(struct list *list, const struct weir_model_function *trial, const char *text)
{
	struct item *item = list_add(list);

	if (item == NULL)
		return -ENOMEM;
	item->id = trial->id;
	item->version = trial->version;
	memcpy(item->space, trial->space, sizeof(item->space));
	memcpy(item->name, trial->name, sizeof(item->name));
	item->text = strdup(text);
	return item->text == NULL ? -ENOMEM : 0;
}

/* A trial has the variables of the function that it is of, and what its deployment brings. */
static int trials_list(struct list *list, const struct weir_trials *trials)
{
	const struct weir_model_function *trial = NULL;
	const size_t count = list->count;
	int code = 0;

	for (size_t i = 0; code == 0 && (trial = weir_trial_function(trials, i)) != NULL; i++) {
		const struct weir_trial_variables *own = weir_trial_variables(trials, i);

		for (size_t k = 0; code == 0 && k < count; k++) {
			const struct item item = list->items[k];

			if (item.text != NULL && strcmp(item.space, trial->space) == 0 &&
			    strcmp(item.name, own->name) == 0 && !trial_has(own, item.text))
				code = trial_item(list, trial, item.text);
		}
		for (size_t k = 0; code == 0 && k < own->count; k++) {
			if (own->text[k][strcspn(own->text[k], "=")] == '=')
				code = trial_item(list, trial, own->text[k]);
		}
	}
	return code;
}

static int item_compare(const void *left, const void *right)
{
	const struct item *a = left;
	const struct item *b = right;
	const int order = strcmp(a->space, b->space);

	if (order != 0)
		return order;
	return (a->id > b->id) - (a->id < b->id);
}

/* The table of items[0 .. count-1], all of one namespace. */
static char *table_make(const struct item *items, size_t count, size_t *out_bytes)
{
	size_t rows = 0;
	size_t bytes = sizeof(struct weir_environment_header);
	char *data = NULL;
	size_t at = 0;

	for (size_t i = 0; i < count; i++) {
		rows += i == 0 || items[i].id != items[i - 1].id;
		bytes += items[i].text == NULL ? 0 : strlen(items[i].text) + 1;
	}
	bytes += rows * sizeof(struct weir_environment_row);
	data = calloc(1, bytes);
	if (data == NULL)
		return NULL;
	*(struct weir_environment_header *)(void *)data = (struct weir_environment_header){
		.magic = WEIR_ENVIRONMENT_MAGIC, .bytes = (uint32_t)bytes};
	at = sizeof(struct weir_environment_header) + rows * sizeof(struct weir_environment_row);
	rows = 0;
	for (size_t i = 0; i < count; i++) {
		struct weir_environment_row *row =
			(struct weir_environment_row *)(void *)(data +
								sizeof(struct weir_environment_header));
		const size_t text_bytes = items[i].text == NULL ? 0 : strlen(items[i].text) + 1;

		if (text_bytes == 0)
			continue;
		if (rows == 0 || row[rows - 1].id != items[i].id)
			row[rows++] = (struct weir_environment_row){
				.id = items[i].id, .version = items[i].version, .offset = (uint32_t)at};
		memcpy(data + at, items[i].text, text_bytes);
		at += text_bytes;
		row[rows - 1].bytes += (uint32_t)text_bytes;
	}
	((struct weir_environment_header *)(void *)data)->count = (uint32_t)rows;
	*out_bytes = bytes;
	return data;
}

static int table_send(const char *space, const char *data, size_t bytes)
{
	struct weir_control control = {.kind = WEIR_CONTROL_ENVIRONMENT};
	WEIR_CLEANUP(weir_fd_close)
	int fd = memfd_create("weir-environment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	size_t done = 0;

	if (fd == -1)
		return -errno;
	while (done < bytes) {
		const ssize_t wrote = pwrite(fd, data + done, bytes - done, (off_t)done);

		if (wrote == -1)
			return -errno;
		done += (size_t)wrote;
	}
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
		return -errno;
	(void)snprintf(control.environment.space, sizeof(control.environment.space), "%s", space);
	return weir_control_send(WEIR_CONTROL_FD, &control, &fd, 1);
}

static struct sent *sent_find(struct weir_environments *environments, const char *space)
{
	struct sent *grown = NULL;

	for (size_t i = 0; i < environments->sent_count; i++) {
		if (strcmp(environments->sent[i].space, space) == 0)
			return &environments->sent[i];
	}
	grown = realloc(environments->sent, (environments->sent_count + 1) * sizeof(*grown));
	if (grown == NULL)
		return NULL;
	environments->sent = grown;
	grown = &grown[environments->sent_count++];
	memset(grown, 0, sizeof(*grown));
	(void)snprintf(grown->space, sizeof(grown->space), "%s", space); /* the same size */
	return grown;
}

/* Send a namespace's table, unless it is what was sent last. */
static int space_send(struct weir_environments *environments, const char *space,
		      const struct item *items, size_t count)
{
	struct sent *sent = sent_find(environments, space);
	size_t bytes = 0;
	char *data = sent == NULL ? NULL : table_make(items, count, &bytes);
	int code = 0;

	if (data == NULL)
		return -ENOMEM;
	sent->is_seen = true;
	if (sent->bytes == bytes && memcmp(sent->data, data, bytes) == 0) {
		explicit_bzero(data, bytes);
		free(data);
		return 0;
	}
	code = bytes > WEIR_ENVIRONMENT_BYTES_MAX ? -EFBIG : table_send(space, data, bytes);
	if (code != 0) {
		explicit_bzero(data, bytes);
		free(data);
		return code;
	}
	if (sent->data != NULL)
		explicit_bzero(sent->data, sent->bytes);
	free(sent->data);
	sent->data = data;
	sent->bytes = bytes;
	return 0;
}

static int spaces_send(struct weir_environments *environments)
{
	const struct list *list = &environments->list;
	size_t first = 0;
	int code = 0;

	for (size_t i = 0; i < environments->sent_count; i++)
		environments->sent[i].is_seen = false;
	for (size_t i = 1; code == 0 && i <= list->count; i++) {
		if (i < list->count && strcmp(list->items[i].space, list->items[first].space) == 0)
			continue;
		code = space_send(environments, list->items[first].space, &list->items[first], i - first);
		first = i;
	}
	/* Namespaces that have none any more. */
	for (size_t i = 0; code == 0 && i < environments->sent_count; i++) {
		if (!environments->sent[i].is_seen)
			code = space_send(environments, environments->sent[i].space, NULL, 0);
	}
	return code;
}

/* `list` is sorted: what a function has stands together. */
static void function_mark(struct list *list, struct weir_model_function *function)
{
	struct item key = {.id = function->id};
	struct item *item = NULL;

	memcpy(key.space, function->space, sizeof(key.space));
	item = bsearch(&key, list->items, list->count, sizeof(key), item_compare);
	if (item == NULL)
		return;
	function->has_environment = true;
	while (item > list->items && item_compare(item - 1, &key) == 0)
		item--;
	for (; item < list->items + list->count && item_compare(item, &key) == 0; item++) {
		item->version = function->version; /* as it is published: of an image it may be newer */
		if (item->text == NULL)
			(void)snprintf(function->problem, sizeof(function->problem),
				       "The function's secrets cannot be opened: %s, or set them anew: "
				       "ctrlctl fn env set NAME --secret VARIABLE",
				       item->why); /* fits */
	}
}

int weir_environments_publish(struct weir_environments *environments, struct weir_store *store,
			      const struct weir_trials *trials, struct weir_store_catalog *catalog,
			      struct weir_store_error *error)
{
	struct list *list = &environments->list;
	int code = weir_store_variable_each(store, variable_visit, environments, error);

	if (code == 0) {
		code = trials_list(list, trials);
		if (list->count > 0)
			qsort(list->items, list->count, sizeof(*list->items), item_compare);
		for (size_t i = 0; code == 0 && list->count > 0 && i < catalog->function_count; i++)
			function_mark(list, &catalog->functions[i]);
		if (code == 0)
			code = spaces_send(environments);
		if (code != 0)
			(void)snprintf(error->text, sizeof(error->text),
				       "cannot send the functions' variables to the supervisor: %s",
				       strerror(-code));
	}
	list_release(list);
	return code;
}
