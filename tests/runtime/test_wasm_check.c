/* The check that a module passes before any other program sees it. */
/* cmocka.h leaves these to be included before it. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <errno.h>
#include <stdlib.h>

#include "dataplane/runtime/wasm/build_check.h"
#include "dataplane/runtime/wasm/build_glue.h"

/* A module that is being made. */
struct module {
	uint8_t data[4096];
	size_t bytes;
};

static void add(struct module *module, const void *data, size_t bytes)
{
	assert_true(module->bytes + bytes <= sizeof(module->data));
	memcpy(module->data + module->bytes, data, bytes);
	module->bytes += bytes;
}

#define ADD(module, literal) add((module), (literal), sizeof(literal) - 1)

static void section(struct module *module, uint8_t id, const struct module *content)
{
	assert_true(content->bytes < 4000);
	add(module,
	    (uint8_t[]){id, (uint8_t)(content->bytes & 0x7f) | 0x80,
			(uint8_t)(content->bytes >> 7)},
	    3);
	add(module, content->data, content->bytes);
}

static void name(struct module *module, const char *text)
{
	const size_t bytes = strlen(text);

	add(module, (uint8_t[]){(uint8_t)(bytes & 0x7f) | 0x80, (uint8_t)(bytes >> 7)}, 2);
	add(module, text, bytes);
}

static const char header[] = "\0asm\1\0\0\0";

/* (import FROM WHAT (func (param i32 i32 i32 i32) (result i32))) (memory 1) (func) (export NAME (func 1)) */
static struct module module_make(const char *from, const char *what, const char *exported)
{
	struct module module = {.bytes = 0};
	struct module content = {.bytes = 0};

	add(&module, header, 8);
	ADD(&content, "\2\x60\4\x7f\x7f\x7f\x7f\1\x7f\x60\0\0");
	section(&module, 1, &content);
	content.bytes = 0;
	ADD(&content, "\1");
	name(&content, from);
	name(&content, what);
	ADD(&content, "\0\0");
	section(&module, 2, &content);
	content.bytes = 0;
	ADD(&content, "\1\1");
	section(&module, 3, &content);
	content.bytes = 0;
	ADD(&content, "\1\0\1");
	section(&module, 5, &content);
	content.bytes = 0;
	ADD(&content, "\1");
	name(&content, exported);
	ADD(&content, "\0\1");
	section(&module, 7, &content);
	content.bytes = 0;
	ADD(&content, "\1\2\0\x0b");
	section(&module, 10, &content);
	return module;
}

/* 0 or what refuses it, and why. */
static int check(const struct module *module, char *out_reason)
{
	/* A copy that ends where the module does, so that a sanitizer sees a byte too many. */
	char *const data = malloc(module->bytes + 1);
	struct weir_wasm_check found;
	int result = 0;

	assert_non_null(data);
	memcpy(data, module->data, module->bytes);
	result = weir_wasm_check((struct weir_span){.data = data, .bytes = module->bytes},
				 &found);
	if (result == 0)
		result = weir_wasm_glue_check(&found);
	memcpy(out_reason, found.reason, sizeof(found.reason));
	weir_wasm_check_close(&found);
	free(data);
	return result;
}

static void good_module_is_taken(void **state)
{
	const struct module module =
		module_make("wasi_snapshot_preview1", "fd_write", "a-name/of:letters_$1.x");
	char reason[WEIR_WASM_REASON_BYTES];

	(void)state;
	assert_int_equal(check(&module, reason), 0);
}

static void names_that_leave_a_comment_are_refused(void **state)
{
	static const char *const names[] = {
		"*/ int evil(void){return 42;} /*",
		"*/\n#ifndef Q1\n#define Q1\n__attribute__((constructor)) static void "
		"evil(void){}\n"
		"#endif\n/*",
		"*/",
		"*",
		"a b",
		"a\nb",
		"a\\",
		"a\"b",
		"a?b",
		"gr\xc3\xbc\xc3\x9f",
	};
	char reason[WEIR_WASM_REASON_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct module module =
			module_make("wasi_snapshot_preview1", "fd_write", names[i]);

		assert_int_equal(check(&module, reason), -EINVAL);
		assert_non_null(strstr(reason, "name of an export"));
		module = module_make("wasi_snapshot_preview1", names[i], "run");
		assert_int_equal(check(&module, reason), -EINVAL);
		assert_non_null(strstr(reason, "name of an import"));
		module = module_make(names[i], "fd_write", "run");
		assert_int_equal(check(&module, reason), -EINVAL);
		assert_non_null(strstr(reason, "name of an import"));
	}
}

static void imports_that_are_not_offered_are_refused(void **state)
{
	struct module module = module_make("wasi_snapshot_preview1", "fd_wrote", "run");
	char reason[WEIR_WASM_REASON_BYTES];

	(void)state;
	assert_int_equal(check(&module, reason), -EINVAL);
	assert_non_null(strstr(reason, "wasi_snapshot_preview1.fd_wrote"));
	module = module_make("wasi_snapshot_preview1", "fd_close", "run");
	assert_int_equal(check(&module, reason), -EINVAL);
	assert_non_null(strstr(reason, "iiii:i"));
	module = module_make("libc", "system", "run");
	assert_int_equal(check(&module, reason), -EINVAL);
	/* Old modules import a whole libc and call little of it. */
	module = module_make("env", "_system", "run");
	assert_int_equal(check(&module, reason), 0);
	module = module_make("env", "_system", "_start");
	assert_int_equal(check(&module, reason), -EINVAL);
	assert_non_null(strstr(reason, "env._system"));
}

static void overlong_names_are_refused(void **state)
{
	char text[WEIR_WASM_NAME_BYTES_MAX + 2];
	char reason[WEIR_WASM_REASON_BYTES];
	struct module module;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[WEIR_WASM_NAME_BYTES_MAX] = '\0';
	module = module_make("wasi_snapshot_preview1", "fd_write", text);
	assert_int_equal(check(&module, reason), 0);
	text[WEIR_WASM_NAME_BYTES_MAX] = 'a';
	text[WEIR_WASM_NAME_BYTES_MAX + 1] = '\0';
	module = module_make("wasi_snapshot_preview1", "fd_write", text);
	assert_int_equal(check(&module, reason), -EINVAL);
}

/* Cut off anywhere inside a section, it is refused; between sections it is another module. */
static void every_beginning_is_read_to_its_end_only(void **state)
{
	const struct module whole = module_make("wasi_snapshot_preview1", "fd_write", "run");
	char reason[WEIR_WASM_REASON_BYTES];
	unsigned int taken = 0;

	(void)state;
	for (size_t bytes = 0; bytes < whole.bytes; bytes++) {
		struct module part = whole;

		part.bytes = bytes;
		if (check(&part, reason) == 0)
			taken++;
	}
	assert_int_equal(taken, 6); /* after the header and after five of the sections */
}

static void changed_bytes_do_no_harm(void **state)
{
	const struct module whole = module_make("wasi_snapshot_preview1", "fd_write", "run");
	char reason[WEIR_WASM_REASON_BYTES];

	(void)state;
	for (size_t at = 0; at < whole.bytes; at++) {
		for (unsigned int value = 0; value < 256; value++) {
			struct module changed = whole;

			changed.data[at] = (uint8_t)value;
			(void)check(&changed, reason); /* either answer; a sanitizer watches */
		}
	}
}

static void sections_stand_once_and_in_order(void **state)
{
	const struct module content = {.data = "\0", .bytes = 1};
	char reason[WEIR_WASM_REASON_BYTES];
	struct module module = {.bytes = 0};

	(void)state;
	add(&module, header, 8);
	section(&module, 1, &content);
	section(&module, 1, &content);
	assert_int_equal(check(&module, reason), -EINVAL);
	assert_non_null(strstr(reason, "twice or out of order"));
	module.bytes = 8;
	section(&module, 3, &content);
	section(&module, 1, &content);
	assert_int_equal(check(&module, reason), -EINVAL);
	module.bytes = 8;
	section(&module, 13, &content);
	assert_int_equal(check(&module, reason), -EINVAL);
}

static void custom_sections_are_passed_by(void **state)
{
	struct module module = {.bytes = 0};
	struct module content = {.bytes = 0};
	char reason[WEIR_WASM_REASON_BYTES];

	(void)state;
	add(&module, header, 8);
	name(&content, "name");
	ADD(&content, "*/ whatever /*");
	section(&module, 0, &content);
	assert_int_equal(check(&module, reason), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_module_is_taken),
		cmocka_unit_test(names_that_leave_a_comment_are_refused),
		cmocka_unit_test(imports_that_are_not_offered_are_refused),
		cmocka_unit_test(overlong_names_are_refused),
		cmocka_unit_test(every_beginning_is_read_to_its_end_only),
		cmocka_unit_test(changed_bytes_do_no_harm),
		cmocka_unit_test(sections_stand_once_and_in_order),
		cmocka_unit_test(custom_sections_are_passed_by),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
