/* A form's body behind its content-type (the first line). Whatever it holds, it is refused with a reason, or its
 * parts lie within it, in order, and none holds the boundary; put together again they make the same form. */
#include "ctrl/dialect/multipart.h"
#include "tests/fuzz/fuzz.h"

enum { NAME_BYTES_MAX = 900 }; /* or our line may be too long where theirs was not */

static const char rebuilt_type[] = "multipart/form-data; boundary=\"=weir fuzz=\"";

static void check_parts(const struct weir_multipart *form, struct weir_span body)
{
	const char *at = body.data;
	bool is_twice = false;

	FUZZ_CHECK(form->count <= WEIR_MULTIPART_PARTS_MAX);
	for (size_t i = 0; i < form->count; i++) {
		const struct weir_multipart_part *part = &form->part[i];

		FUZZ_CHECK(part->name.data > at && part->content.data > part->name.data + part->name.bytes);
		at = part->content.data + part->content.bytes;
		FUZZ_CHECK(at + 4 <= body.data + body.bytes && memcmp(at, "\r\n--", 4) == 0);
	}
	FUZZ_CHECK(weir_multipart_find(form, "\n", &is_twice) == NULL && !is_twice);
}

/* The same parts between boundaries of ours, where none of them holds one. */
static void check_again(const struct weir_multipart *form)
{
	char *text = NULL;
	size_t bytes = 0;
	FILE *out = open_memstream(&text, &bytes);
	struct weir_multipart again;
	bool is_long = false;

	FUZZ_CHECK(out != NULL);
	for (size_t i = 0; i < form->count; i++) {
		if (form->part[i].name.bytes > NAME_BYTES_MAX)
			is_long = true;
		(void)fprintf(out, "--=weir fuzz=\r\ncontent-disposition:form-data;NAME=\"");
		(void)fwrite(form->part[i].name.data, 1, form->part[i].name.bytes, out);
		(void)fprintf(out, "\"\r\n\r\n");
		(void)fwrite(form->part[i].content.data, 1, form->part[i].content.bytes, out);
		(void)fprintf(out, "\r\n");
	}
	(void)fprintf(out, "--=weir fuzz=--");
	FUZZ_CHECK(fclose(out) == 0);
	FUZZ_CHECK((weir_multipart_read(weir_span_of(rebuilt_type), (struct weir_span){text, bytes}, &again) == NULL) ||
		   is_long);
	FUZZ_CHECK(again.count == form->count || is_long);
	for (size_t i = 0; i < again.count; i++) {
		FUZZ_CHECK(weir_span_equal(again.part[i].name, form->part[i].name));
		FUZZ_CHECK(weir_span_equal(again.part[i].content, form->part[i].content));
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const uint8_t *const end = bytes == 0 ? NULL : memchr(data, '\n', bytes);
	const size_t type_bytes = end == NULL ? bytes : (size_t)(end - data);
	const size_t body_bytes = end == NULL ? 0 : bytes - type_bytes - 1;
	char *type = fuzz_copy(data, type_bytes);
	char *body = fuzz_copy(end == NULL ? data : end + 1, body_bytes);
	struct weir_multipart form;
	const char *const wrong = weir_multipart_read((struct weir_span){type, type_bytes},
						      (struct weir_span){body, body_bytes}, &form);

	FUZZ_CHECK(wrong == NULL || wrong[0] != '\0');
	if (wrong == NULL) {
		check_parts(&form, (struct weir_span){body, body_bytes});
		if (body_bytes == 0 || memmem(body, body_bytes, "--=weir fuzz=", 13) == NULL)
			check_again(&form);
	}
	free(type);
	free(body);
	return 0;
}
