
#include <locale.h>

#include "ctrl/ctrlctl/ctl.h"
#include "ctrl/ctrlctl/output.h"

enum weir_ctl_exit weir_ctl_version(const struct weir_ctl_call *call)
{
	if (call->json) {
		weir_ctl_print("{\"version\":\"%s\"}\n", WEIR_VERSION);
	} else {
		weir_ctl_print("ctrlctl %s\n", WEIR_VERSION);
	}
	return WEIR_CTL_OK;
}

int main(int argc, char **argv)
{
	struct weir_ctl_call call;
	int code = 0;

	(void)setlocale(LC_CTYPE, "C.UTF-8"); /* libarchive's names are UTF-8 */
	code = weir_ctl_parse(argc, argv, &call);

	if (code == -1)
		code = (int)call.command->run(&call);
	if (!weir_ctl_print_flush() && code == WEIR_CTL_OK)
		code = (int)weir_ctl_fail(WEIR_CTL_FAILED, NULL, "cannot write the output");
	return code;
}
