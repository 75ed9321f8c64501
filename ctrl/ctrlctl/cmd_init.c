#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ctrl/ctrlctl/ctl.h"
#include "ctrl/ctrlctl/output.h"
#include "ctrl/model/model.h"
#include "dataplane/base/assert.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

/* fn init: the files of lib/weir/sdk/skeletons/RUNTIME, beside this program's folder, with the
 * function's name, its directory and the SDK's put in for @NAME@, @DIR@ and @SDK@. What is indented in
 * its README.md is what to do next. */

#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

enum { TEXT_BYTES_MAX = 65536 };

struct skeleton {
	char sdk[PATH_MAX];
	char folder[PATH_MAX + 64]; /* of the runtime */
	char directory[PATH_MAX];   /* to write to: "hello", or "." */
	char shown[PATH_MAX + 2];   /* the same, as a shell takes it */
	char name[WEIR_MODEL_NAME_BYTES_MAX + 1];
	struct dirent **files;
	int file_count;
};

static int file_wanted(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static int sdk_find(char out[PATH_MAX])
{
	char program[PATH_MAX];
	char path[PATH_MAX + 32];
	const ssize_t bytes = readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (bytes <= 0)
		return -errno;
	program[bytes] = '\0';
	(void)snprintf(path, sizeof(path), "%s/../lib/weir/sdk", dirname(program)); /* cut ones are not there */
	return realpath(path, out) == NULL ? -errno : 0;
}

/* "c, exec, node": the runtimes that there are skeletons of. */
static void runtimes_list(const char *sdk, char *out, size_t max)
{
	char path[PATH_MAX + 32];
	struct dirent **names = NULL;
	int count = 0;
	size_t used = 0;

	(void)snprintf(path, sizeof(path), "%s/skeletons", sdk); /* fits */
	count = scandir(path, &names, file_wanted, alphasort);
	out[0] = '\0';
	for (int i = 0; i < count; i++) {
		if (used + strlen(names[i]->d_name) + 3 < max)
			used += (size_t)snprintf(out + used, max - used, "%s%s", i == 0 ? "" : ", ",
						 names[i]->d_name);
		free(names[i]);
	}
	free(names);
}

/* Which files there are to write. */
static enum weir_ctl_exit skeleton_find(const char *runtime, struct skeleton *skeleton)
{
	char known[512];
	char hint[640];
	const int code = sdk_find(skeleton->sdk);

	if (code != 0)
		return weir_ctl_fail(WEIR_CTL_FAILED, "it is installed with the programs",
				     "lib/weir/sdk beside the programs' directory cannot be found: %s",
				     strerror(-code));
	runtimes_list(skeleton->sdk, known, sizeof(known));
	(void)snprintf(hint, sizeof(hint), "ctrlctl fn init hello --runtime python; there is: %s", known);
	if (runtime == NULL)
		return weir_ctl_fail(WEIR_CTL_USAGE, hint, "--runtime is missing");
	if (runtime[strspn(runtime, "abcdefghijklmnopqrstuvwxyz0123456789-")] != '\0' || runtime[0] == '\0' ||
	    strlen(runtime) > 32)
		return weir_ctl_fail(WEIR_CTL_INVALID, hint, "there is no runtime '%.80s'", runtime);
	(void)snprintf(skeleton->folder, sizeof(skeleton->folder), "%s/skeletons/%s", skeleton->sdk,
		       runtime); /* fits */
	skeleton->file_count = scandir(skeleton->folder, &skeleton->files, file_wanted, alphasort);
	if (skeleton->file_count <= 0)
		return weir_ctl_fail(WEIR_CTL_INVALID, hint, "there is no skeleton for the runtime '%s'",
				     runtime);
	return WEIR_CTL_OK;
}

/* A function's name is its directory's. */
static enum weir_ctl_exit place_find(const char *argument, struct skeleton *skeleton)
{
	char whole[PATH_MAX];
	char space[WEIR_MODEL_NAME_BYTES_MAX + 1];
	struct weir_model_error wrong;
	const char *name = NULL;

	if (argument != NULL && strlen(argument) >= sizeof(whole) - 1)
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "the name is too long");
	if (argument == NULL && getcwd(whole, sizeof(whole)) == NULL)
		return weir_ctl_fail(WEIR_CTL_FAILED, NULL, "this directory: %s", strerror(errno));
	if (argument != NULL)
		(void)snprintf(whole, sizeof(whole), "%s", argument); /* fits */
	name = basename(whole);
	/* Other names are sound, too, but would have to be quoted wherever they are written. */
	if (name[strspn(name, NAME_LETTERS)] != '\0')
		return weir_ctl_fail(WEIR_CTL_INVALID, "ctrlctl fn init hello --runtime python",
				     "the name of a new function holds letters, digits, '-', '_' and '.', "
				     "not '%.80s'",
				     name);
	if (weir_model_name_parse(name, space, skeleton->name, &wrong) != 0)
		return weir_ctl_fail(WEIR_CTL_INVALID, "ctrlctl fn init hello --runtime python",
				     "'%.80s' cannot be a function's name: %s %s", name, wrong.field,
				     wrong.reason);
	(void)snprintf(skeleton->directory, sizeof(skeleton->directory), "%s",
		       argument == NULL ? "." : argument);
	if (strchr(skeleton->directory, '\'') != NULL)
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "a path with a ' in it is not taken");
	(void)snprintf(skeleton->shown, sizeof(skeleton->shown),
		       strpbrk(skeleton->directory, " \t\n\"\\$`&|;<>()*?[]{}#~!") == NULL ? "%s" : "'%s'",
		       skeleton->directory);
	return WEIR_CTL_OK;
}

static const char *value_of(const struct skeleton *skeleton, const char *text, size_t *out_bytes)
{
	const struct {
		const char *name;
		const char *value;
	} values[] = {
		{"@NAME@", skeleton->name}, {"@DIR@", skeleton->shown}, {"@SDK@", skeleton->sdk}};

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		*out_bytes = strlen(values[i].name);
		if (strncmp(text, values[i].name, *out_bytes) == 0)
			return values[i].value;
	}
	return NULL;
}

/* A file's text, filled in; released with free(). NULL: said why. */
static char *text_make(const struct skeleton *skeleton, const char *file)
{
	char path[PATH_MAX + NAME_MAX + 66];
	WEIR_CLEANUP(weir_free) char *raw = calloc(1, TEXT_BYTES_MAX);
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	FILE *in = NULL;

	WEIR_ASSERT(raw != NULL && out != NULL); /* a command line that has no memory left cannot go on */
	(void)snprintf(path, sizeof(path), "%s/%s", skeleton->folder, file); /* fits */
	in = fopen(path, "re");
	if (in == NULL || (fread(raw, 1, TEXT_BYTES_MAX - 1, in) == 0 && ferror(in) != 0)) {
		(void)weir_ctl_fail(WEIR_CTL_FAILED, NULL, "cannot read %s: %s", path, strerror(errno));
		if (in != NULL)
			(void)fclose(in);
		(void)fclose(out);
		free(text);
		return NULL;
	}
	(void)fclose(in); /* it was only read */
	for (const char *at = raw; *at != '\0';) {
		size_t taken = 1;
		const char *value = *at == '@' ? value_of(skeleton, at, &taken) : NULL;

		if (value != NULL)
			(void)fputs(value, out);
		else
			(void)fputc(*at, out);
		at += value != NULL ? taken : 1;
	}
	WEIR_ASSERT(fclose(out) == 0);
	return text;
}

static bool file_write(const struct skeleton *skeleton, const char *file, const char *path)
{
	char from[PATH_MAX + NAME_MAX + 66];
	WEIR_CLEANUP(weir_free) char *text = text_make(skeleton, file);
	struct stat info = {.st_mode = 0};

	if (text == NULL)
		return false;
	(void)snprintf(from, sizeof(from), "%s/%s", skeleton->folder, file); /* fits */
	(void)stat(from, &info); /* it was read just now */
	WEIR_CLEANUP(weir_fd_close)
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, (info.st_mode & 0100) != 0 ? 0777 : 0666);
	if (fd == -1 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		(void)weir_ctl_fail(WEIR_CTL_FAILED, NULL, "cannot write %s: %s", path, strerror(errno));
		return false;
	}
	return true;
}

/* "hello/app.py", or only "app.py" in this directory. */
static void path_of(const struct skeleton *skeleton, const char *file, char out[PATH_MAX])
{
	const char *directory = skeleton->directory;
	const bool has_slash = directory[strlen(directory) - 1] == '/';

	if (strcmp(directory, ".") == 0)
		(void)snprintf(out, PATH_MAX, "%s", file);
	else if ((size_t)snprintf(out, PATH_MAX, "%s%s%s", directory, has_slash ? "" : "/", file) >= PATH_MAX)
		out[0] = '\0'; /* then it cannot be written */
}

/* All or nothing, as far as names are taken already. */
static enum weir_ctl_exit files_write(const struct skeleton *skeleton)
{
	char path[PATH_MAX];

	for (int i = 0; i < skeleton->file_count; i++) {
		path_of(skeleton, skeleton->files[i]->d_name, path);
		if (access(path, F_OK) == 0)
			return weir_ctl_fail(WEIR_CTL_EXISTS, "choose another name or directory",
					     "%s is there already; nothing was written", path);
	}
	if (mkdir(skeleton->directory, 0777) != 0 && errno != EEXIST)
		return weir_ctl_fail(WEIR_CTL_FAILED, errno == ENOENT ? "make what it lies in first" : NULL,
				     "cannot make the directory %s: %s",
				     skeleton->directory, strerror(errno));
	for (int i = 0; i < skeleton->file_count; i++) {
		path_of(skeleton, skeleton->files[i]->d_name, path);
		if (!file_write(skeleton, skeleton->files[i]->d_name, path))
			return WEIR_CTL_FAILED;
	}
	return WEIR_CTL_OK;
}

/* The lines of a README.md that are indented: commands. */
static void next_print(const struct skeleton *skeleton)
{
	WEIR_CLEANUP(weir_free) char *text = text_make(skeleton, "README.md");
	char *rest = NULL;

	weir_ctl_print("\nnext:\n");
	for (char *line = text == NULL ? NULL : strtok_r(text, "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, "    ", 4) == 0)
			weir_ctl_print("  %s\n", line + 4);
	}
}

static void done_print(const struct weir_ctl_call *call, const struct skeleton *skeleton)
{
	cJSON *json = cJSON_CreateObject();
	cJSON *files = cJSON_AddArrayToObject(json, "files");
	char path[PATH_MAX];

	(void)cJSON_AddStringToObject(json, "name", skeleton->name);
	(void)cJSON_AddStringToObject(json, "runtime", weir_ctl_option(call, "--runtime"));
	for (int i = 0; i < skeleton->file_count; i++) {
		path_of(skeleton, skeleton->files[i]->d_name, path);
		(void)cJSON_AddItemToArray(files, cJSON_CreateString(path));
		if (!call->json)
			weir_ctl_print("wrote %s\n", path);
	}
	if (call->json)
		weir_ctl_print_json(json);
	else
		next_print(skeleton);
	cJSON_Delete(json);
}

enum weir_ctl_exit weir_ctl_function_init(const struct weir_ctl_call *call)
{
	WEIR_CLEANUP(weir_free) struct skeleton *skeleton = calloc(1, sizeof(*skeleton));
	enum weir_ctl_exit code = WEIR_CTL_OK;

	WEIR_ASSERT(skeleton != NULL);
	code = skeleton_find(weir_ctl_option(call, "--runtime"), skeleton);
	if (code == WEIR_CTL_OK)
		code = place_find(call->argument_count == 0 ? NULL : call->arguments[0], skeleton);
	if (code == WEIR_CTL_OK)
		code = files_write(skeleton);
	if (code == WEIR_CTL_OK)
		done_print(call, skeleton);
	for (int i = 0; i < skeleton->file_count; i++)
		free(skeleton->files[i]);
	free(skeleton->files);
	return code;
}
