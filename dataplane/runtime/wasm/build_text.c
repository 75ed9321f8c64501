#include "dataplane/runtime/wasm/build_text.h"

/* The build passes the folder; the assembler reads the files. */
#define TEXT(name, file)                                                                \
	extern const char weir_wasm_##name##_begin[], weir_wasm_##name##_end[];         \
	__asm__(".pushsection .rodata\n"                                                \
		".globl weir_wasm_" #name "_begin\n.hidden weir_wasm_" #name "_begin\n" \
		".globl weir_wasm_" #name "_end\n.hidden weir_wasm_" #name "_end\n"     \
		"weir_wasm_" #name "_begin:\n"                                          \
		".incbin \"" WEIR_WASM_TEXTS "/" file "\"\n"                            \
		"weir_wasm_" #name "_end:\n"                                            \
		".popsection\n")

TEXT(module, "module.h");
TEXT(artifact, "artifact.h");

static struct weir_span text_between(const char *begin, const char *end)
{
	return (struct weir_span){.data = begin, .bytes = (size_t)(end - begin)};
}

struct weir_span weir_wasm_text_module(void)
{
	return text_between(weir_wasm_module_begin, weir_wasm_module_end);
}

struct weir_span weir_wasm_text_artifact(void)
{
	return text_between(weir_wasm_artifact_begin, weir_wasm_artifact_end);
}
