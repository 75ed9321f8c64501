#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "ctrl/code/code.h"
#include "tests/base/base_test.h"

struct code_test {
	char directory[64];
	struct weir_code *code;
	struct weir_code_error error;
	char hash[WEIR_CODE_HASH_BYTES];
};

/* One entry of an archive: a file with text, a link (target), or a folder (neither). */
struct item {
	const char *name;
	const char *text;
	const char *link;
	mode_t type;
	mode_t mode;
};

static int setup(void **state)
{
	struct code_test *test = calloc(1, sizeof(*test));

	if (test == NULL)
		return -1;
	(void)snprintf(test->directory, sizeof(test->directory), "/tmp/test-code-XXXXXX");
	*state = test;
	return mkdtemp(test->directory) == NULL ? -1 : weir_code_open(test->directory, &test->code);
}

static int teardown(void **state)
{
	struct code_test *test = *state;
	char command[256];

	weir_code_close(test->code);
	(void)snprintf(command, sizeof(command), "chmod -R u+w '%s'; rm -rf '%s'", test->directory,
		       test->directory);
	(void)system(command);
	free(test);
	return 0;
}

static size_t archive_make_as(int (*format)(struct archive *), const struct item *items, size_t count, char *out,
			      size_t max)
{
	struct archive *archive = archive_write_new();
	size_t used = 0;

	assert_int_equal(format(archive), ARCHIVE_OK);
	assert_int_equal(archive_write_open_memory(archive, out, max, &used), ARCHIVE_OK);
	for (size_t i = 0; i < count; i++) {
		struct archive_entry *entry = archive_entry_new();
		const size_t bytes = items[i].text == NULL ? 0 : strlen(items[i].text);

		archive_entry_set_pathname(entry, items[i].name);
		archive_entry_set_filetype(entry, (unsigned)items[i].type);
		archive_entry_set_perm(entry, items[i].mode);
		archive_entry_set_size(entry, (la_int64_t)bytes);
		if (items[i].type == AE_IFLNK)
			archive_entry_set_symlink(entry, items[i].link);
		else if (items[i].link != NULL)
			archive_entry_set_hardlink(entry, items[i].link);
		assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
		assert_int_equal(archive_write_data(archive, items[i].text, bytes), bytes);
		archive_entry_free(entry);
	}
	assert_int_equal(archive_write_free(archive), ARCHIVE_OK);
	return used;
}

static size_t archive_make(const struct item *items, size_t count, char *out, size_t max)
{
	return archive_make_as(archive_write_set_format_pax_restricted, items, count, out, max);
}

static int upload(struct code_test *test, const char *name, const char *data, size_t bytes)
{
	struct weir_code_upload *uploaded = NULL;

	assert_int_equal(weir_code_upload_begin(test->code, name, &uploaded), 0);
	assert_int_equal(weir_code_upload_append(uploaded, data, bytes / 2), 0);
	assert_int_equal(weir_code_upload_append(uploaded, data + bytes / 2, bytes - bytes / 2), 0);
	test->error.text[0] = '\0';
	return weir_code_upload_finish(uploaded, test->hash, &test->error);
}

static void hash_is_known_without_uploading(void **state)
{
	struct code_test *test = *state;
	char hash[WEIR_CODE_HASH_BYTES];
	char data[16384];
	const struct item item = {.name = "f", .type = AE_IFREG, .mode = 0644, .text = "x"};
	const size_t bytes = archive_make(&item, 1, data, sizeof(data));

	assert_int_equal(upload(test, "a.py", "x = 1", 5), 0);
	weir_code_hash_upload("a.py", "x = 1", 5, hash);
	assert_string_equal(hash, test->hash);
	weir_code_hash_upload("b.py", "x = 1", 5, hash);
	assert_string_not_equal(hash, test->hash);
	assert_int_equal(upload(test, NULL, data, bytes), 0);
	weir_code_hash_upload(NULL, data, bytes, hash);
	assert_string_equal(hash, test->hash);
}

static int archive_upload(struct code_test *test, const struct item *items, size_t count)
{
	static char data[1 << 20];

	return upload(test, NULL, data, archive_make(items, count, data, sizeof(data)));
}

static void path_make(const struct code_test *test, const char *name, char path[8192])
{
	char folder[WEIR_CODE_PATH_BYTES_MAX];

	(void)snprintf(path, 8192, "%s/%s", weir_code_path(test->code, test->hash, folder), name);
}

static mode_t mode_of(const struct code_test *test, const char *name)
{
	char path[8192];
	struct stat info;

	path_make(test, name, path);
	return lstat(path, &info) == 0 ? info.st_mode : 0;
}

static void a_file_lies_under_the_hash_of_its_name_and_bytes(void **state)
{
	struct code_test *test = *state;
	char first[WEIR_CODE_HASH_BYTES];
	char text[16] = "";
	char path[8192];

	assert_int_equal(upload(test, "main.c", "int x;\n", 7), 0);
	assert_true(weir_code_hash_sound(test->hash));
	assert_true(weir_code_has(test->code, test->hash));
	assert_int_equal(mode_of(test, "main.c"), S_IFREG | 0444);
	assert_int_equal(mode_of(test, "."), S_IFDIR | 0555);
	path_make(test, "main.c", path);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(read(fd, text, sizeof(text)), 7);
	(void)close(fd);
	assert_string_equal(text, "int x;\n");
	memcpy(first, test->hash, sizeof(first));
	assert_int_equal(upload(test, "main.c", "int x;\n", 7), 0);
	assert_string_equal(test->hash, first); /* the same again */
	assert_int_equal(upload(test, "main.c", "int y;\n", 7), 0);
	assert_string_not_equal(test->hash, first);
	assert_int_equal(upload(test, "mein.c", "int x;\n", 7), 0);
	assert_string_not_equal(test->hash, first);
	assert_int_equal(upload(test, "run", "#!/bin/sh\n", 10), 0);
	assert_int_equal(mode_of(test, "run"), S_IFREG | 0555);
}

/* 32,768 files may lie there, and everybody waits meanwhile. */
static void how_large_code_is_is_counted_once(void **state)
{
	static const struct item items[] = {
		{"a.py", "12345", NULL, AE_IFREG, 0644},
		{"b/c.py", "123", NULL, AE_IFREG, 0644},
	};
	struct code_test *test = *state;
	char command[1024];
	char path[8192];

	assert_int_equal(archive_upload(test, items, 2), 0);
	assert_int_equal(weir_code_bytes(test->code, test->hash), 8);
	path_make(test, "b", path);
	(void)snprintf(command, sizeof(command), "chmod 755 %.400s && rm -f %.400s/c.py", path, path);
	assert_int_equal(system(command), 0);
	assert_int_equal(weir_code_bytes(test->code, test->hash), 8);
	weir_code_close(test->code);
	assert_int_equal(weir_code_open(test->directory, &test->code), 0);
	assert_int_equal(weir_code_bytes(test->code, test->hash), 5);
	test->hash[0] = test->hash[0] == '0' ? '1' : '0';
	assert_int_equal(weir_code_bytes(test->code, test->hash), 0);
}

static void names_that_are_no_plain_file_names_are_refused(void **state)
{
	static const char *const wrong[] = {"", ".hidden", "a/b", "..", "x\ny", "-rf", "\x7f"};
	struct code_test *test = *state;
	struct weir_code_upload *uploaded = NULL;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(weir_code_upload_begin(test->code, wrong[i], &uploaded), -EINVAL);
	assert_false(weir_code_hash_sound("../../../../etc/passwd"));
	assert_false(weir_code_has(test->code, ""));
}

static void an_archive_is_unpacked_read_only(void **state)
{
	static const struct item items[] = {
		{"index.js", "exports.handler = 1", NULL, AE_IFREG, 0666},
		{"bin", NULL, NULL, AE_IFDIR, 0777},
		{"bin/tool", "#!/bin/sh\n", NULL, AE_IFREG, 04777},
		{"node_modules/.bin/x", NULL, "../x/cli.js", AE_IFLNK, 0777},
		{"node_modules/x/cli.js", "1", NULL, AE_IFREG, 0644},
	};
	struct code_test *test = *state;
	struct weir_code_kind kind = {.runtime = ""};

	assert_int_equal(archive_upload(test, items, 5), 0);
	assert_int_equal(mode_of(test, "index.js"), S_IFREG | 0444);
	assert_int_equal(mode_of(test, "bin"), S_IFDIR | 0555);
	assert_int_equal(mode_of(test, "bin/tool"), S_IFREG | 0555); /* no set-user-id */
	assert_true(S_ISLNK(mode_of(test, "node_modules/.bin/x")));
	assert_int_equal(weir_code_detect(test->code, test->hash, &kind, &test->error), 0);
	assert_string_equal(kind.runtime, "node");
	assert_string_equal(kind.entry, "index.js");
}

static void a_zip_archive_is_unpacked_by_the_same_rules(void **state)
{
	static const struct item items[] = {
		{"package.json", "{\"main\": \"lib/start.js\"}", NULL, AE_IFREG, 0600},
		{"lib/start.js", "exports.main = 1", NULL, AE_IFREG, 0666},
	};
	static const struct item climbs = {"../x", "x", NULL, AE_IFREG, 0644};
	static char data[1 << 20];
	struct code_test *test = *state;
	struct weir_code_kind kind = {.runtime = ""};
	const size_t bytes = archive_make_as(archive_write_set_format_zip, items, 2, data, sizeof(data));

	assert_int_equal(upload(test, NULL, data, bytes / 2), -EINVAL);
	assert_int_equal(upload(test, NULL, data, bytes), 0);
	assert_int_equal(mode_of(test, "lib/start.js"), S_IFREG | 0444);
	assert_int_equal(weir_code_detect(test->code, test->hash, &kind, &test->error), 0);
	assert_string_equal(kind.entry, "lib/start.js");
	assert_int_equal(upload(test, NULL, data,
				archive_make_as(archive_write_set_format_zip, &climbs, 1, data, sizeof(data))),
			 -EINVAL);
}

static void what_leads_out_of_the_folder_is_refused(void **state)
{
	static const struct item wrong[][3] = {
		{{"/etc/x", "x", NULL, AE_IFREG, 0644}},
		{{"../x", "x", NULL, AE_IFREG, 0644}},
		{{"a/../../x", "x", NULL, AE_IFREG, 0644}},
		{{"x", NULL, "/etc/passwd", AE_IFLNK, 0777}},
		{{"x", NULL, "..", AE_IFLNK, 0777}},
		{{"a/x", NULL, "../../..", AE_IFLNK, 0777}},
		{{"l", NULL, ".", AE_IFLNK, 0777}, {"q/s", NULL, "../l/..", AE_IFLNK, 0777}},
		{{"x", NULL, "/etc/passwd", AE_IFREG, 0644}}, /* hard link */
		{{"x", NULL, NULL, AE_IFIFO, 0644}},
		{{"x\x1b[2J", "x", NULL, AE_IFREG, 0644}},
	};
	struct code_test *test = *state;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		assert_int_equal(archive_upload(test, wrong[i], wrong[i][1].name == NULL ? 1 : 2),
				 -EINVAL);
		assert_string_not_equal(test->error.text, "");
	}
	assert_int_equal(upload(test, NULL, "no archive at all, but long enough", 34), -EINVAL);
	assert_int_equal(upload(test, NULL, "", 0), -EINVAL);
}

/* A link to a place within, then something behind it: the link gives way instead of being followed. */
static void nothing_is_written_through_a_link(void **state)
{
	static const struct item items[] = {
		{"a/l", NULL, "..", AE_IFLNK, 0777},
		{"a/l/m", NULL, "..", AE_IFLNK, 0777},
		{"a/l/m/evil", "x", NULL, AE_IFREG, 0644},
	};
	struct code_test *test = *state;
	char path[256];

	(void)archive_upload(test, items, 3); /* either is fine: refused, or kept within */
	(void)snprintf(path, sizeof(path), "%s/code/evil", test->directory);
	assert_int_equal(access(path, F_OK), -1);
	(void)snprintf(path, sizeof(path), "%s/evil", test->directory);
	assert_int_equal(access(path, F_OK), -1);
}

static void refused_uploads_leave_nothing_behind(void **state)
{
	struct code_test *test = *state;
	char command[256];

	what_leads_out_of_the_folder_is_refused(state);
	(void)snprintf(command, sizeof(command), "cd %s/code && [ -z \"$(ls -A)\" ]", test->directory);
	assert_int_equal(system(command), 0);
	/* What a process that died left. */
	(void)snprintf(command, sizeof(command),
		       "cd %s/code && touch .upload-7 && mkdir -p .unpack-7/a && touch .unpack-7/a/b && "
		       "chmod 555 .unpack-7/a",
		       test->directory);
	assert_int_equal(system(command), 0);
	weir_code_close(test->code);
	assert_int_equal(weir_code_open(test->directory, &test->code), 0);
	(void)snprintf(command, sizeof(command), "cd %s/code && [ -z \"$(ls -A)\" ]", test->directory);
	assert_int_equal(system(command), 0);
}

static bool used_is(void *context, const char *hash)
{
	return strcmp(context, hash) == 0;
}

static void a_sweep_condemns_what_nobody_uses_and_then_removes_it(void **state)
{
	struct code_test *test = *state;
	char first[WEIR_CODE_HASH_BYTES];
	char second[WEIR_CODE_HASH_BYTES];
	char path[8192];
	const int64_t now = (int64_t)time(NULL);
	const int64_t later = now + WEIR_CODE_SWEEP_AGE_S;

	assert_int_equal(upload(test, "a.py", "x", 1), 0);
	memcpy(first, test->hash, sizeof(first));
	assert_int_equal(upload(test, "b.py", "x", 1), 0);
	memcpy(second, test->hash, sizeof(second));
	assert_int_equal(weir_code_sweep(test->code, now, used_is, first), 0);
	assert_int_equal(weir_code_sweep(test->code, later - 1, used_is, first), 0); /* too soon */
	assert_int_equal(upload(test, "b.py", "x", 1), 0); /* wanted again */
	assert_int_equal(weir_code_sweep(test->code, later, used_is, first), 0);
	assert_int_equal(weir_code_sweep(test->code, later, used_is, second), 0);
	assert_int_equal(weir_code_sweep(test->code, later, used_is, first), 0);
	assert_int_equal(weir_code_sweep(test->code, later + WEIR_CODE_SWEEP_AGE_S, used_is, first), 1);
	assert_false(weir_code_has(test->code, second));
	assert_true(weir_code_has(test->code, first));
	(void)snprintf(path, sizeof(path), "%s/sums/%s", test->directory, second);
	assert_int_not_equal(access(path, F_OK), 0);
}

static int examine(const struct code_test *test)
{
	bool known = false;
	const int code = weir_code_examine(test->code, test->hash, NULL, &known);

	return code == 0 && !known ? -ENODATA : code;
}

/* Something wrote to what nobody writes to. */
static void alter(const struct code_test *test, const char *command)
{
	char text[8192 + 256];
	char folder[WEIR_CODE_PATH_BYTES_MAX];

	(void)snprintf(text, sizeof(text), "cd '%s' && chmod -R u+w . && %s && chmod -R a-w .",
		       weir_code_path(test->code, test->hash, folder), command);
	assert_int_equal(system(text), 0);
}

static bool stop_asked(void *context)
{
	(void)context;
	return true;
}

static void code_that_is_not_what_was_stored_is_found(void **state)
{
	static const struct item items[] = {
		{"a", NULL, NULL, AE_IFDIR, 0755},
		{"a/index.js", "one", NULL, AE_IFREG, 0644},
		{"a/link", NULL, "index.js", AE_IFLNK, 0777},
		{"run", "#!/bin/sh", NULL, AE_IFREG, 0755},
	};
	static const char *const harms[][2] = {
		{"printf two >a/index.js", "printf one >a/index.js"}, /* and back */
		{"mv run walk", "mv walk run"},
		{"touch more", "rm more"},
		{"ln -sf ../run a/link", "ln -sf index.js a/link"},
		{"chmod a-x run", "chmod a+x run"},
		{"mkdir empty", "rmdir empty"},
	};
	const struct weir_code_stop stop = {.asked = stop_asked};
	struct code_test *test = *state;
	char path[WEIR_CODE_PATH_BYTES_MAX + 8];
	char folder[WEIR_CODE_PATH_BYTES_MAX];
	bool known = false;

	assert_int_equal(archive_upload(test, items, 4), 0);
	assert_int_equal(examine(test), 0);
	for (size_t i = 0; i < sizeof(harms) / sizeof(harms[0]); i++) {
		alter(test, harms[i][0]);
		assert_int_equal(examine(test), -EBADMSG);
		alter(test, harms[i][1]);
		assert_int_equal(examine(test), 0);
	}
	assert_int_equal(weir_code_examine(test->code, test->hash, &stop, &known), -ECANCELED);
	(void)weir_code_path(test->code, test->hash, folder);
	(void)snprintf(path, sizeof(path), "%s/sums/%s", test->directory, test->hash);
	assert_int_equal(truncate(path, 10), 0);
	assert_int_equal(examine(test), -ENODATA); /* nobody can tell */
	alter(test, "rm -r a run");
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(examine(test), -ENOENT);
}

static void the_runtime_is_seen_from_names_and_first_bytes(void **state)
{
	static const struct {
		const char *name;
		const char *text;
		const char *runtime;
	} files[] = {
		{"hello.js", "x", "js"},       {"hello.mjs", "x", "node"},
		{"hello.py", "x", "python"},   {"hello.php", "x", "php"},
		{"hello.c", "x", "c"},	       {"hello.so", "\177ELF", "native"},
		{"hello", "\177ELFx", "exec"}, {"hello.sh", "#!/bin/sh\n", "exec"},
		{"module.wasm", "x", "wasm"},
	};
	struct code_test *test = *state;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		struct weir_code_kind kind = {.runtime = ""};

		assert_int_equal(upload(test, files[i].name, files[i].text, strlen(files[i].text)), 0);
		assert_int_equal(weir_code_detect(test->code, test->hash, &kind, &test->error), 0);
		assert_string_equal(kind.runtime, files[i].runtime);
		assert_string_equal(kind.entry, files[i].name);
	}
	struct weir_code_kind kind = {.runtime = ""};

	assert_int_equal(upload(test, "blob", "\0asm\1\0\0\0", 8), 0);
	assert_int_equal(weir_code_detect(test->code, test->hash, &kind, &test->error), 0);
	assert_string_equal(kind.runtime, "wasm");
	assert_int_equal(upload(test, "notes.txt", "x", 1), 0);
	kind = (struct weir_code_kind){.runtime = ""};
	assert_int_equal(weir_code_detect(test->code, test->hash, &kind, &test->error), -EINVAL);
	assert_non_null(strstr(test->error.text, "--runtime"));
	kind = (struct weir_code_kind){.runtime = "ruby"}; /* it was said, and there is one file */
	assert_int_equal(weir_code_detect(test->code, test->hash, &kind, &test->error), 0);
	assert_string_equal(kind.entry, "notes.txt");
	kind = (struct weir_code_kind){.runtime = "python", .entry = "notes.txt"};
	assert_int_equal(weir_code_detect(test->code, test->hash, &kind, &test->error), 0);
	kind = (struct weir_code_kind){.runtime = "python", .entry = "../../x"};
	assert_int_equal(weir_code_detect(test->code, test->hash, &kind, &test->error), -EINVAL);
}

static void a_folder_says_by_its_files_what_it_is(void **state)
{
	static const struct item items[] = {
		{"package.json", "{\"main\": \"./lib/start.js\"}", NULL, AE_IFREG, 0644},
		{"lib/start.js", "1", NULL, AE_IFREG, 0644},
		{"app.py", "1", NULL, AE_IFREG, 0644},
	};
	struct code_test *test = *state;
	struct weir_code_kind kind = {.runtime = ""};

	assert_int_equal(archive_upload(test, items, 3), 0);
	assert_int_equal(weir_code_detect(test->code, test->hash, &kind, &test->error), 0);
	assert_string_equal(kind.runtime, "js"); /* it names no packages */
	assert_string_equal(kind.entry, "lib/start.js");
	kind = (struct weir_code_kind){.runtime = "python"};
	assert_int_equal(weir_code_detect(test->code, test->hash, &kind, &test->error), 0);
	assert_string_equal(kind.entry, "app.py");
}

/* Only what would do is named, and what the code looks like instead. */
static void a_runtime_that_the_folder_has_nothing_of_is_refused(void **state)
{
	static const struct item python[] = {
		{"app.py", "1", NULL, AE_IFREG, 0644},
		{"notes.txt", "1", NULL, AE_IFREG, 0644},
	};
	static const struct item nothing[] = {
		{"a.txt", "1", NULL, AE_IFREG, 0644},
		{"b.txt", "1", NULL, AE_IFREG, 0644},
	};
	struct code_test *test = *state;
	struct weir_code_kind kind = {.runtime = "php"};

	assert_int_equal(archive_upload(test, python, 2), 0);
	assert_int_equal(weir_code_detect(test->code, test->hash, &kind, &test->error), -EINVAL);
	assert_non_null(strstr(test->error.text, "looks like python (app.py), not like php"));
	assert_non_null(strstr(test->error.text, "looked for: index.php, or just one file;"));
	assert_int_equal(archive_upload(test, nothing, 2), 0);
	assert_int_equal(weir_code_detect(test->code, test->hash, &kind, &test->error), -EINVAL);
	assert_non_null(strstr(test->error.text, "function of runtime php"));
	assert_null(strstr(test->error.text, "app.py"));
	kind = (struct weir_code_kind){.runtime = ""};
	assert_int_equal(weir_code_detect(test->code, test->hash, &kind, &test->error), -EINVAL);
	assert_non_null(strstr(test->error.text, "app.py"));
	assert_non_null(strstr(test->error.text, "--runtime RUNTIME"));
}

static void javascript_with_packages_is_for_node(void **state)
{
	static const struct {
		const char *manifest;
		const char *runtime;
	} cases[] = {
		{"{\"dependencies\": {\"x\": \"1\"}}", "node"}, {"{\"dependencies\": {}}", "js"},
		{"{\"devDependencies\": {\"x\": \"1\"}}", "js"}, {"no JSON", "js"},
	};
	struct code_test *test = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct item items[] = {
			{"package.json", cases[i].manifest, NULL, AE_IFREG, 0644},
			{"index.js", "1", NULL, AE_IFREG, 0644},
		};
		struct weir_code_kind kind = {.runtime = ""};

		assert_int_equal(archive_upload(test, items, 2), 0);
		assert_int_equal(weir_code_detect(test->code, test->hash, &kind, &test->error), 0);
		assert_string_equal(kind.runtime, cases[i].runtime);
		assert_string_equal(kind.entry, "index.js");
		kind = (struct weir_code_kind){.runtime = "node"};
		assert_int_equal(weir_code_detect(test->code, test->hash, &kind, &test->error), 0);
		assert_string_equal(kind.runtime, "node");
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(hash_is_known_without_uploading),
		TEST(a_file_lies_under_the_hash_of_its_name_and_bytes),
		TEST(how_large_code_is_is_counted_once),
		TEST(names_that_are_no_plain_file_names_are_refused),
		TEST(an_archive_is_unpacked_read_only),
		TEST(a_zip_archive_is_unpacked_by_the_same_rules),
		TEST(what_leads_out_of_the_folder_is_refused),
		TEST(nothing_is_written_through_a_link),
		TEST(refused_uploads_leave_nothing_behind),
		TEST(a_sweep_condemns_what_nobody_uses_and_then_removes_it),
		TEST(code_that_is_not_what_was_stored_is_found),
		TEST(the_runtime_is_seen_from_names_and_first_bytes),
		TEST(a_folder_says_by_its_files_what_it_is),
		TEST(a_runtime_that_the_folder_has_nothing_of_is_refused),
		TEST(javascript_with_packages_is_for_node),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
