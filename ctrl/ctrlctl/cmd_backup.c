#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "ctrl/ctrlctl/client.h"
#include "ctrl/ctrlctl/output.h"
#include "ctrl/ctrlctl/progress.h"
#include "dataplane/base/cleanup.h"
#include "dataplane/base/fd.h"

/* The instance works on it without a byte of an answer. */
enum { PATIENCE_MS = 600000 };

/* Where a backup goes: under another name until it is complete. */
static struct {
	int fd;
	const char *path;               /* "-": standard output */
	char fresh[WEIR_CTL_PATH_MAX]; /* empty: none */
	uint64_t bytes;
} output = {.fd = -1};

/* Ended by a signal: half a backup is not left behind. */
static void output_abandon(int number)
{
	if (output.fresh[0] != '\0')
		(void)unlink(output.fresh);
	_exit(128 + number);
}

static void output_remove(void)
{
	if (output.fresh[0] != '\0')
		(void)unlink(output.fresh);
	output.fresh[0] = '\0';
	if (output.fd != STDOUT_FILENO)
		weir_fd_close(&output.fd);
}

static enum weir_ctl_exit output_failed(const char *what)
{
	const int cause = errno;

	output_remove();
	return weir_ctl_fail(WEIR_CTL_FAILED, NULL, "cannot %s %s: %s", what, output.path, strerror(cause));
}

static enum weir_ctl_exit output_open(const char *path)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	const struct sigaction abandon = {.sa_handler = output_abandon};
	const char *slash = strrchr(path, '/');
	const int folder_bytes = slash == NULL ? 0 : (int)(slash - path) + 1;

	output.path = path;
	if (strcmp(path, "-") == 0) {
		output.fd = STDOUT_FILENO;
		return isatty(STDOUT_FILENO) == 1
			       ? weir_ctl_fail(WEIR_CTL_USAGE, "ctrlctl backup FILE", "a backup is nothing for a terminal")
			       : WEIR_CTL_OK;
	}
	if ((size_t)snprintf(output.fresh, sizeof(output.fresh), "%.*s.%s.XXXXXX", folder_bytes, path,
			     path + folder_bytes) >= sizeof(output.fresh))
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "the path is too long");
	output.fd = mkostemp(output.fresh, O_CLOEXEC); /* mode 0600: it may hold secrets */
	if (output.fd == -1) {
		output.fresh[0] = '\0';
		return output_failed("write");
	}
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		(void)sigaction(signals[i], &abandon, NULL); /* the numbers are sound */
	return WEIR_CTL_OK;
}

static bool output_write(void *context, const void *data, size_t bytes, uint64_t bytes_all)
{
	const char *at = data;

	(void)context;
	output.bytes += bytes;
	while (bytes > 0) {
		const ssize_t written = write(output.fd, at, bytes);

		if (written == -1 && errno == EINTR)
			continue;
		if (written == -1) {
			weir_ctl_progress_clear();
			(void)output_failed("write");
			return false;
		}
		at += written;
		bytes -= (size_t)written;
	}
	weir_ctl_progress_download((size_t)output.bytes, (size_t)bytes_all);
	return true;
}

/* All is there: it gets its name once it is on the disk. */
static enum weir_ctl_exit output_finish(void)
{
	WEIR_CLEANUP(weir_fd_close) int folder = -1;
	char path[WEIR_CTL_PATH_MAX];
	char *slash = NULL;

	if (output.fd == STDOUT_FILENO)
		return WEIR_CTL_OK;
	if (fsync(output.fd) != 0 || rename(output.fresh, output.path) != 0)
		return output_failed("write");
	(void)snprintf(path, sizeof(path), "%s", output.fresh); /* fits */
	output.fresh[0] = '\0';
	output_remove();
	slash = strrchr(path, '/');
	if (slash != NULL)
		slash[slash == path ? 1 : 0] = '\0';
	folder = open(slash == NULL ? "." : path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder != -1)
		(void)fsync(folder); /* not every filesystem can; the file itself is safe */
	return WEIR_CTL_OK;
}

static void contents_print(FILE *file, const cJSON *json)
{
	const time_t created = (time_t)weir_ctl_json_number(json, "created");
	char when[64];
	struct tm parts;

	(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", localtime_r(&created, &parts));
	(void)fprintf(file,
		      "generation %.0f of %s: %.0f functions, %.0f routes, %.0f rows, %.0f code objects (%.1f MiB); %.1f MiB\n",
		      weir_ctl_json_number(json, "generation"), when, weir_ctl_json_number(json, "functions"),
		      weir_ctl_json_number(json, "routes"), weir_ctl_json_number(json, "rows"),
		      weir_ctl_json_number(json, "codes"), weir_ctl_json_number(json, "code_bytes") / (1 << 20),
		      weir_ctl_json_number(json, "bytes") / (1 << 20)); /* a failure shows at the end */
}

/* What came stands in a field of the head; with '-' it is told on standard error. */
static void backup_tell(const struct weir_ctl_call *call, const struct weir_ctl_answer *answer)
{
	const char *report = weir_ctl_answer_field(answer, "x-weir-report");
	cJSON *json = report == NULL ? NULL : cJSON_ParseWithLength(report, strcspn(report, "\n"));

	weir_ctl_progress_clear();
	if (output.path[0] == '-' && output.path[1] == '\0')
		contents_print(stderr, json);
	else if (call->json)
		weir_ctl_print_json(json);
	else
		contents_print(stdout, json);
	if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(json, "key")))
		(void)fprintf(stderr, "warning: the key of secrets is in it; whoever can read the file can read them\n");
	cJSON_Delete(json);
}

enum weir_ctl_exit weir_ctl_backup(const struct weir_ctl_call *call)
{
	struct weir_ctl_answer answer = {0};
	const struct weir_ctl_request request = {
		.socket_name = "api.sock",
		.method = "GET",
		.target = weir_ctl_option(call, "--with-key") != NULL ? "/weir/backup?key=1" : "/weir/backup",
		.host = "weir",
		.patience_ms = PATIENCE_MS,
		.sink = output_write,
	};
	enum weir_ctl_exit code = output_open(call->arguments[0]);
	cJSON *json = NULL;

	if (code != WEIR_CTL_OK)
		return code;
	weir_ctl_progress_open(call->json);
	weir_ctl_progress_say("making it ...");
	code = weir_ctl_request(call, &request, &answer);
	if (code == WEIR_CTL_OK && answer.status != 200)
		code = weir_ctl_answer_json(&answer, &json);
	else if (code == WEIR_CTL_OK)
		code = output_finish();
	if (code == WEIR_CTL_OK)
		backup_tell(call, &answer);
	output_remove();
	weir_ctl_progress_clear();
	cJSON_Delete(json);
	free(answer.body);
	return code;
}

/* ---- restore ---- */

struct mapping {
	char *data; /* NULL: none */
	size_t bytes;
};

static void mapping_close(struct mapping *mapping)
{
	if (mapping->data != NULL)
		(void)munmap(mapping->data, mapping->bytes);
}

static enum weir_ctl_exit mapping_open(const char *path, struct mapping *mapping)
{
	WEIR_CLEANUP(weir_fd_close) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat info;
	void *data = NULL;

	if (fd == -1 || fstat(fd, &info) != 0)
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "the backup '%s' cannot be read: %s", path, strerror(errno));
	if (!S_ISREG(info.st_mode) || info.st_size == 0)
		return weir_ctl_fail(WEIR_CTL_INVALID, NULL, "'%s' is no backup: it is %s", path,
				     S_ISREG(info.st_mode) ? "empty" : "no file");
	data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return weir_ctl_fail(WEIR_CTL_FAILED, NULL, "the backup '%s' cannot be read: %s", path, strerror(errno));
	mapping->data = data;
	mapping->bytes = (size_t)info.st_size;
	return WEIR_CTL_OK;
}

static void restore_progress(size_t sent, size_t bytes)
{
	weir_ctl_progress_upload(sent, bytes);
	if (sent == bytes)
		weir_ctl_progress_say("checking it ...");
}

static void changes_print(const cJSON *changes)
{
	static const char *const titles[] = {"", "ADDED", "CHANGED", "REMOVED", NULL};
	struct weir_ctl_table table = {.titles = titles};
	const cJSON *part = NULL;

	cJSON_ArrayForEach(part, changes)
	{
		weir_ctl_table_cell(&table, strcmp(part->string, "pool_settings") == 0 ? "settings of pools" : part->string);
		weir_ctl_table_number(&table, weir_ctl_json_number(part, "added"));
		weir_ctl_table_number(&table, weir_ctl_json_number(part, "changed"));
		weir_ctl_table_number(&table, weir_ctl_json_number(part, "removed"));
	}
	weir_ctl_table_print(&table);
}

/* What is to be done about some functions is worth a sentence, whatever the output. */
static void functions_tell(const cJSON *json, const char *member, const char *before, const char *after)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, member);
	const cJSON *names = cJSON_GetObjectItemCaseSensitive(item, "functions");
	const double count = weir_ctl_json_number(item, "count");
	const cJSON *name = NULL;

	if (count <= 0)
		return;
	(void)fprintf(stderr, "warning: %s", before);
	cJSON_ArrayForEach(name, names)
		(void)fprintf(stderr, "%s %s", name == names->child ? "" : ",", cJSON_IsString(name) ? name->valuestring : "?");
	if (count > cJSON_GetArraySize(names))
		(void)fprintf(stderr, " and %.0f more", count - cJSON_GetArraySize(names));
	(void)fprintf(stderr, " %s\n", after);
}

enum weir_ctl_exit weir_ctl_restore(const struct weir_ctl_call *call)
{
	WEIR_CLEANUP(mapping_close) struct mapping mapping = {.data = NULL};
	const bool dry_run = weir_ctl_option(call, "--dry-run") != NULL;
	struct weir_ctl_answer answer = {0};
	enum weir_ctl_exit code = mapping_open(call->arguments[0], &mapping);
	const struct weir_ctl_request request = {
		.socket_name = "api.sock",
		.method = "POST",
		.target = dry_run ? "/weir/restore?dry-run=1" : "/weir/restore",
		.host = "weir",
		.content_type = "application/octet-stream",
		.body = mapping.data,
		.body_bytes = mapping.bytes,
		.patience_ms = PATIENCE_MS,
		.progress = restore_progress,
	};
	cJSON *json = NULL;

	if (code != WEIR_CTL_OK)
		return code;
	weir_ctl_progress_open(call->json);
	code = weir_ctl_request(call, &request, &answer);
	weir_ctl_progress_clear();
	if (code == WEIR_CTL_OK)
		code = weir_ctl_answer_json(&answer, &json);
	if (code != WEIR_CTL_OK)
		return code;
	functions_tell(json, "unopened",
		       "the backup came without its key, and this instance has another: the secrets of",
		       "cannot be opened; set them again with `ctrlctl fn env set`");
	functions_tell(json, "missing", "the code of", "lies outside of the data directory, and is not here");
	if (!call->json) {
		contents_print(stdout, cJSON_GetObjectItemCaseSensitive(json, "backup"));
		changes_print(cJSON_GetObjectItemCaseSensitive(json, "changes"));
	}
	if (!dry_run)
		return weir_ctl_change_end(call, json);
	if (call->json)
		weir_ctl_print_json(json);
	cJSON_Delete(json);
	return WEIR_CTL_OK;
}
