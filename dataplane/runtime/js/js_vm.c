#include "dataplane/runtime/js/js_vm.h"

#include <string.h>

struct weir_js_vm weir_js_vm;

bool weir_js_vm_bind(const struct weir_wasm_module *module, const char **out_missing)
{
	struct weir_js_exports *const exports = &weir_js_vm.exports;
	const struct {
		const struct weir_wasm_export **place;
		const char *name;
		const char *signature;
	} wanted[] = {
#define WANTED(member, name, signature) {&exports->member, name, signature},
		WEIR_JS_EXPORTS(WANTED)
#undef WANTED
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		*wanted[i].place =
			weir_wasm_export_find(module, wanted[i].name, wanted[i].signature);
		*out_missing = wanted[i].name;
		if (*wanted[i].place == NULL)
			return false;
	}
	return true;
}

uint64_t weir_js_do(struct weir_wasm_instance *instance, const struct weir_wasm_export *function,
		    const uint64_t *cells)
{
	uint64_t result = 0;

	weir_wasm_instance_reenter(instance, function, cells, &result);
	return result;
}

uint32_t weir_js_place(struct weir_wasm_instance *instance, struct weir_span text)
{
	uint32_t address = 0;
	uint8_t *at = NULL;

	if (text.bytes >= UINT32_MAX)
		return 0;
	address = (uint32_t)WEIR_JS_DO(instance, malloc, text.bytes + 1);
	at = address != 0 ? weir_wasm_at(instance, address, text.bytes + 1) : NULL;
	if (at == NULL)
		return 0;
	if (text.bytes != 0)
		memcpy(at, text.data, text.bytes);
	at[text.bytes] = '\0';
	return address;
}

uint64_t weir_js_string(struct weir_wasm_instance *instance, struct weir_span text)
{
	const uint32_t address = weir_js_place(instance, text);
	uint64_t value = WEIR_JS_EXCEPTION;

	if (address == 0)
		return value;
	value = WEIR_JS_DO(instance, new_string, weir_js_vm.context, address, text.bytes);
	(void)WEIR_JS_DO(instance, free, address);
	return value;
}

uint32_t weir_js_u32(const struct weir_wasm_instance *instance, uint32_t address)
{
	const uint8_t *const at = weir_wasm_at(instance, address, sizeof(uint32_t));
	uint32_t value = 0;

	if (at != NULL)
		memcpy(&value, at, sizeof(value));
	return value;
}

/* `address` and the number at weir_js_vm.scratch are a run of bytes. */
static uint8_t *run_at(const struct weir_wasm_instance *instance, uint32_t address,
		       size_t *out_bytes)
{
	*out_bytes = weir_js_u32(instance, weir_js_vm.scratch);
	return weir_wasm_at(instance, address, *out_bytes);
}

bool weir_js_text(struct weir_wasm_instance *instance, uint64_t value, struct weir_span *out_text,
		  uint32_t *out_address)
{
	const uint32_t address = (uint32_t)WEIR_JS_DO(instance, to_text, weir_js_vm.context,
						      weir_js_vm.scratch, value, 0);

	*out_address = address;
	*out_text = (struct weir_span){.data = ""};
	if (address == 0)
		return false;
	out_text->data = (const char *)run_at(instance, address, &out_text->bytes);
	return out_text->data != NULL;
}

bool weir_js_bytes(struct weir_wasm_instance *instance, uint64_t value, uint8_t **out_data,
		   size_t *out_bytes)
{
	uint32_t address = 0;

	if (value >> 32 != UINT32_MAX) /* no object */
		return false;
	address = (uint32_t)WEIR_JS_DO(instance, bytes, weir_js_vm.context, weir_js_vm.scratch,
				       value);
	if (address == 0) {
		/* Of an empty one, too; else it threw. */
		*out_bytes = 0;
		*out_data = weir_wasm_at(instance, 0, 0);
		return weir_js_u32(instance, weir_js_vm.scratch) == 0;
	}
	*out_data = run_at(instance, address, out_bytes);
	return *out_data != NULL;
}

double weir_js_double(struct weir_wasm_instance *instance, uint64_t value)
{
	const uint8_t *at = NULL;
	double number = 0;

	if (value >> 32 == 0)
		return (int32_t)(uint32_t)value;
	if (WEIR_JS_DO(instance, to_number, weir_js_vm.context, weir_js_vm.scratch, value) != 0)
		return 0;
	at = weir_wasm_at(instance, weir_js_vm.scratch, sizeof(number));
	if (at != NULL)
		memcpy(&number, at, sizeof(number));
	return number;
}

uint64_t weir_js_call(struct weir_wasm_instance *instance, uint64_t function, uint32_t count,
		      const uint64_t *arguments)
{
	/* Not in a place of all calls: QuickJS uses the arguments where they lie. */
	const struct weir_span values = {.data = (const char *)arguments,
					 .bytes = count * sizeof(*arguments)};
	const uint32_t address = count != 0 ? weir_js_place(instance, values) : 0;
	uint64_t result = WEIR_JS_EXCEPTION;

	if (count != 0 && address == 0)
		return result;
	result = WEIR_JS_DO(instance, call, weir_js_vm.context, function, WEIR_JS_UNDEFINED,
			    count, address);
	if (address != 0)
		(void)WEIR_JS_DO(instance, free, address);
	return result;
}

uint64_t weir_js_property(struct weir_wasm_instance *instance, uint64_t object,
			  const char *name)
{
	const uint32_t address = weir_js_place(instance, weir_span_of(name));

	return WEIR_JS_DO(instance, get, weir_js_vm.context, object, address);
}
