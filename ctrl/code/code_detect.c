#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/code/code_internal.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

enum { MANIFEST_BYTES_MAX = 1 << 20 };

/* What a folder begins with, where it has a file of that name; the first that is there counts. JavaScript
 * without packages is small: it needs no Node, see needs_node(). */
static const struct {
	const char *name;
	const char *runtime;
} starts[] = {
	{"index.js", "js"},     {"index.mjs", "node"},  {"index.cjs", "node"},
	{"server.js", "node"},  {"app.py", "python"},   {"main.py", "python"},
	{"handler.py", "python"}, {"__main__.py", "python"}, {"function.py", "python"},
	{"index.php", "php"},   {"function.wasm", "wasm"}, {"main.wasm", "wasm"},
	{"function.c", "c"},    {"main.c", "c"},        {"handler.c", "c"},
	{"function.so", "native"}, {"function.js", "js"}, {"main.js", "js"},
	{"handler.js", "js"},   {"bootstrap", "exec"},
};

/* What a file's ending says. A lone script is small: it needs no Node. */
static const struct {
	const char *ending;
	const char *runtime;
} endings[] = {
	{".wasm", "wasm"}, {".js", "js"},    {".mjs", "node"},   {".cjs", "node"}, {".py", "python"},
	{".php", "php"},   {".c", "c"},      {".so", "native"},
};

/* A folder that is being looked at. */
struct look {
	const char *folder;
	const char *wanted; /* runtime, or "" */
	bool needs_node;    /* it has packages, or names some */
	struct weir_code_error *error;
};

static bool runtime_wanted(const struct look *look, const char *runtime)
{
	/* Node runs what QuickJS does. */
	return look->wanted[0] == '\0' || strcmp(look->wanted, runtime) == 0 ||
	       (strcmp(look->wanted, "js") == 0 && strcmp(runtime, "node") == 0) ||
	       (strcmp(look->wanted, "node") == 0 && strcmp(runtime, "js") == 0);
}

static bool file_there(const struct look *look, const char *name, struct stat *out_info)
{
	char path[WEIR_CODE_PATH_BYTES_MAX + WEIR_CODE_NAME_BYTES_MAX + 1];

	(void)snprintf(path, sizeof(path), "%s/%s", look->folder, name); /* fits */
	return stat(path, out_info) == 0 && S_ISREG(out_info->st_mode);
}

/* Shared objects and modules by their first bytes; a program by its right to be run. */
static const char *runtime_of(const struct look *look, const char *name)
{
	char path[WEIR_CODE_PATH_BYTES_MAX + WEIR_CODE_NAME_BYTES_MAX + 1];
	unsigned char start[18] = {0};
	const char *dot = strrchr(name, '.');
	struct stat info;
	ssize_t got = 0;

	if (!file_there(look, name, &info))
		return NULL;
	(void)snprintf(path, sizeof(path), "%s/%s", look->folder, name); /* fits */
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	got = fd == -1 ? -1 : read(fd, start, sizeof(start));
	if (got >= 4 && memcmp(start, "\0asm", 4) == 0)
		return "wasm";
	for (size_t i = 0; dot != NULL && i < sizeof(endings) / sizeof(endings[0]); i++) {
		if (strcmp(endings[i].ending, dot) == 0)
			return endings[i].runtime;
	}
	return (info.st_mode & 0111) != 0 ? "exec" : NULL;
}

static void kind_set(const struct look *look, struct weir_code_kind *kind, const char *runtime,
		     const char *entry)
{
	if (look->needs_node && strcmp(runtime, "js") == 0)
		runtime = "node";
	(void)snprintf(kind->entry, sizeof(kind->entry), "%s", entry); /* checked */
	(void)snprintf(kind->runtime, sizeof(kind->runtime), "%s",
		       look->wanted[0] != '\0' ? look->wanted : runtime);
}

/* The folder's package.json; NULL: there is none that can be read. */
static cJSON *manifest_read(const struct look *look)
{
	char path[WEIR_CODE_PATH_BYTES_MAX + WEIR_CODE_NAME_BYTES_MAX + 1];
	WEIR_CLEANUP(weir_free) char *text = malloc(MANIFEST_BYTES_MAX);

	(void)snprintf(path, sizeof(path), "%s/package.json", look->folder); /* fits */
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1 || text == NULL)
		return NULL;
	const ssize_t got = read(fd, text, MANIFEST_BYTES_MAX);

	return got <= 0 ? NULL : cJSON_ParseWithLength(text, (size_t)got);
}

static bool needs_node(const struct look *look)
{
	char path[WEIR_CODE_PATH_BYTES_MAX + WEIR_CODE_NAME_BYTES_MAX + 1];
	cJSON *json = manifest_read(look);
	const bool names_packages =
		cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(json, "dependencies")) > 0;

	cJSON_Delete(json);
	(void)snprintf(path, sizeof(path), "%s/node_modules", look->folder); /* fits */
	return names_packages || access(path, F_OK) == 0;
}

/* "main" of package.json. False: there is none, or it names no file. */
static bool manifest_look(const struct look *look, struct weir_code_kind *kind)
{
	cJSON *json = runtime_wanted(look, "node") ? manifest_read(look) : NULL;
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "main");
	const char *entry = cJSON_IsString(item) ? item->valuestring : "index.js";
	struct stat info;
	bool found = false;

	if (json == NULL)
		return false;
	if (strncmp(entry, "./", 2) == 0)
		entry += 2;
	if (strlen(entry) < sizeof(kind->entry) && strstr(entry, "..") == NULL &&
	    entry[0] != '/' && file_there(look, entry, &info)) {
		kind_set(look, kind, "js", entry);
		found = true;
	}
	cJSON_Delete(json);
	return found;
}

/* The one file that there is, whatever it is called: for a runtime that was named. */
static int only_look(const struct look *look, struct weir_code_kind *kind)
{
	DIR *list = look->wanted[0] == '\0' ? NULL : opendir(look->folder);
	const struct dirent *entry = NULL;
	struct stat info;
	size_t count = 0;

	if (list == NULL)
		return -ENOENT;
	while ((entry = readdir(list)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		count++;
		if (file_there(look, entry->d_name, &info))
			kind_set(look, kind, look->wanted, entry->d_name);
	}
	(void)closedir(list);
	return count == 1 && kind->entry[0] != '\0' ? 0 : -ENOENT;
}

/* The one file of the wanted kind. Of several none is meant more than the others. */
static int single_look(const struct look *look, struct weir_code_kind *kind)
{
	DIR *list = opendir(look->folder);
	const struct dirent *entry = NULL;
	size_t count = 0;

	if (list == NULL)
		return -errno;
	while ((entry = readdir(list)) != NULL) {
		const char *runtime = runtime_of(look, entry->d_name);

		if (entry->d_name[0] == '.')
			continue;
		/* Said to be a program, so it is run, whatever it is called. */
		if (strcmp(look->wanted, "exec") == 0 && runtime != NULL)
			runtime = "exec";
		if (runtime == NULL || !runtime_wanted(look, runtime))
			continue;
		count++;
		kind_set(look, kind, runtime, entry->d_name);
	}
	(void)closedir(list);
	return count == 1 ? 0 : count == 0 ? only_look(look, kind) : -ENOENT;
}

static int folder_look(const struct look *look, struct weir_code_kind *kind)
{
	struct stat info;

	if (manifest_look(look, kind))
		return 0;
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		if (runtime_wanted(look, starts[i].runtime) &&
		    file_there(look, starts[i].name, &info)) {
			kind_set(look, kind, starts[i].runtime, starts[i].name);
			return 0;
		}
	}
	return single_look(look, kind);
}

static bool entry_sound(const char *entry)
{
	return entry[0] != '/' && strcmp(entry, "..") != 0 && strncmp(entry, "../", 3) != 0 &&
	       strstr(entry, "/../") == NULL;
}

/* "app.py, main.py or one file *.py": what a folder may begin with, of the wanted runtime or of any. */
static void starts_list(const struct look *look, char *out, size_t max)
{
	size_t used = 0;

	out[0] = '\0';
	if (runtime_wanted(look, "node"))
		used += (size_t)snprintf(out + used, max - used, "package.json, ");
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]) && used < max; i++) {
		if (runtime_wanted(look, starts[i].runtime))
			used += (size_t)snprintf(out + used, max - used, "%s, ", starts[i].name);
	}
	if (used < max)
		(void)snprintf(out + used, max - used, "or just one file%s",
			       look->wanted[0] == '\0' ? " whose name or first bytes say what it is"
							: "");
}

/* Nothing begins a function here, not of the wanted runtime: what was looked for, and what there is. */
static int nothing_found(const struct look *look)
{
	const struct look any = {.folder = look->folder, .wanted = "", .needs_node = look->needs_node};
	struct weir_code_kind other = {.runtime = ""};
	char wanted[384];

	starts_list(look, wanted, sizeof(wanted));
	if (look->wanted[0] == '\0')
		return weir_code_fail(look->error, -EINVAL,
				      "cannot see what begins a function in this code; it is looked for: %s; "
				      "say it with --entry FILE or --runtime RUNTIME",
				      wanted);
	if (folder_look(&any, &other) == 0)
		return weir_code_fail(look->error, -EINVAL,
				      "this code looks like %s (%.64s), not like %s; of %s it is looked for: %s; "
				      "name the file with --entry FILE if it is one",
				      other.runtime, other.entry, look->wanted, look->wanted, wanted);
	return weir_code_fail(look->error, -EINVAL,
			      "cannot see what begins a function of runtime %s in this code; it is looked for: "
			      "%s; name the file with --entry FILE",
			      look->wanted, wanted);
}

int weir_code_detect(const struct weir_code *code, const char *hash,
		     struct weir_code_kind *kind, struct weir_code_error *error)
{
	char folder[WEIR_CODE_PATH_BYTES_MAX];
	struct weir_code_kind found = {.runtime = ""};
	char wanted[sizeof(kind->runtime)];
	struct look look = {.folder = folder, .wanted = wanted, .error = error};
	struct stat info;

	(void)weir_code_path(code, hash, folder);
	look.needs_node = needs_node(&look);
	(void)snprintf(wanted, sizeof(wanted), "%s", kind->runtime); /* the same size */
	if (kind->entry[0] == '\0') {
		if (folder_look(&look, &found) == 0) {
			*kind = found;
			return 0;
		}
		return nothing_found(&look);
	}
	if (!entry_sound(kind->entry) || !file_there(&look, kind->entry, &info))
		return weir_code_fail(error, -EINVAL, "the code has no file '%.200s'",
				      kind->entry);
	if (wanted[0] != '\0')
		return 0;
	if (runtime_of(&look, kind->entry) == NULL)
		return weir_code_fail(error, -EINVAL,
				      "cannot see what runs '%.200s'; say it with --runtime",
				      kind->entry);
	(void)snprintf(kind->runtime, sizeof(kind->runtime), "%s",
		       runtime_of(&look, kind->entry));
	return 0;
}
