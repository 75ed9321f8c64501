#include "dataplane/runtime/wasm/build_glue.h"

#include <errno.h>
#include <stdarg.h>

#include "dataplane/runtime/wasm/imports.h"

/* One line of imports.h. */
struct offer {
	const char *module;
	const char *name;
	const char *signature;
};

#define OFFER(module, name, signature, function, what) {module, #name, signature},
static const struct offer offers_weir[] = {WEIR_WASM_IMPORTS(OFFER)};
static const struct offer offers_quickjs[] = {
	WEIR_WASM_IMPORTS_WASI(OFFER) WEIR_WASM_IMPORTS_QUICKJS(OFFER)};
#undef OFFER

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct offer *offers = offers_weir;
static size_t offer_count = COUNT_OF(offers_weir);

bool weir_wasm_glue_imports(const char *name)
{
	if (strcmp(name, "weir") == 0) {
		offers = offers_weir;
		offer_count = COUNT_OF(offers_weir);
		return true;
	}
	if (strcmp(name, "quickjs") != 0)
		return false;
	offers = offers_quickjs;
	offer_count = COUNT_OF(offers_quickjs);
	return true;
}

/* "iiI:i" of a type; cut where too long, which no offer is. */
static void signature_write(const struct weir_wasm_type *type, char *out, size_t bytes)
{
	(void)snprintf(out, bytes, "%.*s:%.*s", type->params, type->kind, type->results,
		       type->kind + type->params);
}

static const struct offer *offer_find(const struct weir_wasm_import *import)
{
	for (size_t i = 0; i < offer_count; i++)
		if (weir_span_equal(import->module, weir_span_of(offers[i].module)) &&
		    weir_span_equal(import->name, weir_span_of(offers[i].name)))
			return &offers[i];
	return NULL;
}

/* What Faasm's modules of 2018 import besides: "env" has their libc. */
static bool is_environment(const struct weir_wasm_import *import)
{
	return weir_span_equal(import->module, WEIR_SPAN("env"));
}

/* A module of theirs, by what the worker will call (wasm.c). */
static bool is_faasm(const struct weir_wasm_check *check)
{
	for (uint32_t i = 0; i < check->export_count; i++) {
		const struct weir_wasm_exported *const exported = &check->exports[i];

		if (exported->external == WEIR_WASM_EXTERN_FUNCTION &&
		    (weir_span_equal(exported->name, WEIR_SPAN("run")) ||
		     weir_span_equal(exported->name, WEIR_SPAN("_run"))))
			return true;
	}
	return false;
}

static bool has_references(const struct weir_wasm_type *type)
{
	for (uint32_t i = 0; i < (uint32_t)type->params + type->results; i++)
		if (type->kind[i] == 'r' || type->kind[i] == 'x')
			return true;
	return false;
}

static int refuse(struct weir_wasm_check *check, const struct weir_wasm_import *import,
		  const char *format, ...) __attribute__((format(printf, 3, 4)));

/* "the module imports env.x, WHY" */
static int refuse(struct weir_wasm_check *check, const struct weir_wasm_import *import,
		  const char *format, ...)
{
	char why[160];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(why, sizeof(why), format, arguments); /* cut where too long */
	va_end(arguments);
	(void)snprintf(check->reason, sizeof(check->reason), "the module imports %.*s.%.*s, %s",
		       (int)import->module.bytes, import->module.data, (int)import->name.bytes,
		       import->name.data, why); /* cut where too long */
	return -EINVAL;
}

static int function_check(struct weir_wasm_check *check, const struct weir_wasm_import *import)
{
	const struct weir_wasm_type *const type = check->types[import->type];
	const struct offer *const offer = offer_find(import);
	char signature[64];

	if (offer == NULL && is_environment(import) && is_faasm(check) && !has_references(type) &&
	    type->results <= 1)
		return 0; /* it may be called, and then the call ends */
	if (offer == NULL)
		return refuse(check, import,
			      "which Weir does not have (dataplane/runtime/wasm/imports.h)");
	signature_write(type, signature, sizeof(signature));
	if (strcmp(signature, offer->signature) != 0)
		return refuse(check, import, "with the signature %s; it is %s", signature,
			      offer->signature);
	return 0;
}

/* Was the same thing imported before, at a lower index? */
static bool is_repeated(const struct weir_wasm_check *check, uint32_t index)
{
	for (uint32_t i = 0; i < index; i++)
		if (weir_span_equal(check->imports[i].module, check->imports[index].module) &&
		    weir_span_equal(check->imports[i].name, check->imports[index].name))
			return true;
	return false;
}

int weir_wasm_glue_check(struct weir_wasm_check *check)
{
	for (uint32_t i = 0; i < check->import_count; i++) {
		const struct weir_wasm_import *const import = &check->imports[i];
		int result = 0;

		if (is_repeated(check, i))
			return refuse(check, import, "twice");
		if (import->external == WEIR_WASM_EXTERN_FUNCTION)
			result = function_check(check, import);
		else if (!is_environment(import) ||
			 (import->external != WEIR_WASM_EXTERN_MEMORY &&
			  import->external != WEIR_WASM_EXTERN_TABLE))
			result = refuse(check, import,
					"which is no function, and no memory or table of env");
		if (result != 0)
			return result;
	}
	return 0;
}

/* A name as wasm2c writes it: what is not a letter other than Z, a digit or '_' becomes Z and hex. */
static void name_write(struct weir_span name, FILE *out)
{
	for (size_t i = 0; i < name.bytes; i++) {
		const char c = name.data[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c < 'Z') || (c >= '0' && c <= '9') ||
		    c == '_')
			(void)fputc(c, out);
		else
			(void)fprintf(out, "Z%02X", (unsigned int)(unsigned char)c);
	}
}

static const char *c_type(char kind)
{
	switch (kind) {
	case 'i':
		return "u32";
	case 'I':
		return "u64";
	case 'f':
		return "f32";
	default:
		return "f64";
	}
}

/* TYPE Z_moduleZ_name(struct Z_module_instance_t *owner, TYPE a0, ...) */
static void import_head_write(const struct weir_wasm_import *import,
			      const struct weir_wasm_type *type, FILE *out)
{
	(void)fprintf(out, "%s Z_",
		      type->results == 0 ? "void" : c_type(type->kind[type->params]));
	name_write(import->module, out);
	(void)fputs("Z_", out);
	name_write(import->name, out);
	(void)fputs("(struct Z_", out);
	name_write(import->module, out);
	(void)fputs("_instance_t *owner", out);
	for (uint32_t i = 0; i < type->params; i++)
		(void)fprintf(out, ", %s a%u", c_type(type->kind[i]), i);
	(void)fputs(")\n{\n", out);
}

static void import_write(const struct weir_wasm_check *check,
			 const struct weir_wasm_import *import, FILE *out)
{
	const struct weir_wasm_type *const type = check->types[import->type];
	const struct offer *const offer = offer_find(import);

	import_head_write(import, type, out);
	if (offer == NULL) {
		(void)fprintf(out, "\tartifact_host->missing(owner, \"%.*s.%.*s\");\n}\n",
			      (int)import->module.bytes, import->module.data,
			      (int)import->name.bytes, import->name.data);
		return;
	}
	(void)fputs("\tconst uint64_t cells[] = {0", out);
	for (uint32_t i = 0; i < type->params; i++)
		(void)fprintf(out, ", artifact_cell_%c(a%u)", type->kind[i], i);
	(void)fputs("};\n\n\t", out);
	if (type->results != 0)
		(void)fprintf(out, "return artifact_value_%c(", type->kind[type->params]);
	(void)fprintf(out, "artifact_host->call(owner, %u, cells + 1)%s;\n}\n",
		      (unsigned int)(offer - offers), type->results != 0 ? ")" : "");
}

/* A memory or a table that the worker makes: what old modules import, which were linked for it. */
static void storage_write(const struct weir_wasm_import *import, FILE *out)
{
	const bool is_memory = import->external == WEIR_WASM_EXTERN_MEMORY;
	const char *kind = "memory";

	if (!is_memory)
		kind = import->value == 'x' ? "externref_table" : "funcref_table";
	(void)fprintf(out, "wasm_rt_%s_t *Z_", kind);
	name_write(import->module, out);
	(void)fputs("Z_", out);
	name_write(import->name, out);
	(void)fputs("(struct Z_", out);
	name_write(import->module, out);
	(void)fprintf(out,
		      "_instance_t *owner)\n{\n\treturn (void "
		      "*)artifact_host->%s_import(owner, %uU, %uU",
		      is_memory ? "memory" : "table", import->count, import->count_max);
	if (!is_memory)
		(void)fprintf(out, ", sizeof(wasm_rt_%.*s_t)",
			      (int)(strlen(kind) - strlen("_table")), kind);
	(void)fputs(");\n}\n", out);
}

/* The letters by which wasm2c calls kinds of values. */
static char multi_letter(char kind)
{
	switch (kind) {
	case 'i':
		return 'i';
	case 'I':
		return 'j';
	case 'f':
		return 'f';
	default:
		return 'd';
	}
}

static void call_write(const struct weir_wasm_type *type, struct weir_span name, FILE *out)
{
	(void)fputs("Z_" WEIR_WASM_GLUE_MODULE "Z_", out);
	name_write(name, out);
	(void)fputs("(instance", out);
	for (uint32_t i = 0; i < type->params; i++)
		(void)fprintf(out, ", artifact_value_%c(cells[%u])", type->kind[i], i);
	(void)fputs(")", out);
}

static void thunk_write(const struct weir_wasm_type *type, struct weir_span name,
			uint32_t index, FILE *out)
{
	(void)fprintf(out,
		      "static void artifact_call_%u(void *instance, const uint64_t *cells, "
		      "uint64_t *results)\n{\n",
		      index);
	if (type->results == 0) {
		(void)fputs("\t(void)results;\n\t(void)cells;\n\t", out);
		call_write(type, name, out);
		(void)fputs(";\n}\n", out);
		return;
	}
	if (type->results == 1)
		(void)fprintf(out, "\tconst %s value = ", c_type(type->kind[type->params]));
	else {
		(void)fputs("\tconst struct wasm_multi_", out);
		for (uint32_t i = 0; i < type->results; i++)
			(void)fputc(multi_letter(type->kind[type->params + i]), out);
		(void)fputs(" value = ", out);
	}
	call_write(type, name, out);
	(void)fputs(";\n\n\t(void)cells;\n", out);
	for (uint32_t i = 0; i < type->results; i++) {
		const char kind = type->kind[type->params + i];

		(void)fprintf(out, "\tresults[%u] = artifact_cell_%c(value", i, kind);
		if (type->results > 1)
			(void)fprintf(out, ".%c%u", multi_letter(kind), i);
		(void)fputs(");\n", out);
	}
	(void)fputs("}\n", out);
}

static bool is_callable(const struct weir_wasm_check *check,
			const struct weir_wasm_exported *exported)
{
	return exported->external == WEIR_WASM_EXTERN_FUNCTION &&
	       !has_references(weir_wasm_check_function(check, exported->index));
}

static uint32_t exports_write(const struct weir_wasm_check *check, FILE *out)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < check->export_count; i++)
		if (is_callable(check, &check->exports[i]))
			thunk_write(weir_wasm_check_function(check, check->exports[i].index),
				    check->exports[i].name, i, out);
	(void)fputs("static const struct weir_wasm_export artifact_exports[] = {\n", out);
	for (uint32_t i = 0; i < check->export_count; i++) {
		const struct weir_wasm_exported *const exported = &check->exports[i];
		const struct weir_wasm_type *type = NULL;

		if (!is_callable(check, exported))
			continue;
		type = weir_wasm_check_function(check, exported->index);
		(void)fprintf(out, "\t{\"%.*s\", \"%.*s:%.*s\", artifact_call_%u},\n",
			      (int)exported->name.bytes, exported->name.data, type->params,
			      type->kind, type->results, type->kind + type->params, i);
		count++;
	}
	(void)fputs("\t{0},\n};\n", out);
	return count;
}

/* wasm2c wants one pointer for each module that is imported from: they are all the same. */
static void instantiate_write(const struct weir_wasm_check *check, FILE *out)
{
	(void)fputs("static void artifact_instantiate(void *instance, void *owner)\n{\n"
		    "\t(void)owner;\n\tZ_" WEIR_WASM_GLUE_MODULE "_instantiate(instance",
		    out);
	for (uint32_t i = 0; i < check->import_count; i++) {
		bool is_seen = false;

		for (uint32_t k = 0; k < i && !is_seen; k++)
			is_seen = weir_span_equal(check->imports[i].module,
						  check->imports[k].module);
		if (!is_seen)
			(void)fputs(", owner", out);
	}
	(void)fputs(");\n}\n", out);
}

int weir_wasm_glue_write(const struct weir_wasm_check *check, FILE *out)
{
	uint32_t count = 0;

	(void)fputs(
		"#include \"module.h\"\n#include \"wasm-rt.h\"\n#include \"" WEIR_WASM_GLUE_CODE
		"\"\n",
		out);
	for (uint32_t i = 0; i < check->import_count; i++)
		if (check->imports[i].external == WEIR_WASM_EXTERN_FUNCTION)
			import_write(check, &check->imports[i], out);
		else
			storage_write(&check->imports[i], out);
	count = exports_write(check, out);
	instantiate_write(check, out);
	(void)fprintf(out,
		      "static void artifact_bind(const struct weir_wasm_host *host)\n{\n"
		      "\tartifact_host = host;\n"
		      "\tZ_" WEIR_WASM_GLUE_MODULE "_init_module();\n}\n"
		      "extern const struct weir_wasm_module weir_wasm_module;\n"
		      "__attribute__((visibility(\"default\"))) const struct weir_wasm_module "
		      "weir_wasm_module = {\n"
		      "\tWEIR_WASM_ABI, sizeof(Z_" WEIR_WASM_GLUE_MODULE "_instance_t), %u, 0, "
		      "artifact_exports, artifact_bind, artifact_instantiate,\n};\n",
		      count);
	return ferror(out) != 0 ? -EIO : 0;
}
