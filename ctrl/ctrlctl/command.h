/* command: the tables of commands, which are one list for everybody else (ctl.h): those about functions
 * stand in command_function.c, those about users in command_user.c. Private to command*.c. Constant data. */
#ifndef WEIR_CTRL_CTRLCTL_COMMAND_H
#define WEIR_CTRL_CTRLCTL_COMMAND_H

#include "ctrl/ctrlctl/ctl.h"

#define WEIR_CTL_TIMEOUT_OPTION                                    \
	{                                                 \
		.name = "--timeout", .value = "DURATION", \
		.help = "time of a call: 250ms, 5s, 2m"   \
	}

/* `ctrlctl fn ...` and `ctrlctl image ...`, in the order of their help. */
extern const struct weir_ctl_command weir_ctl_commands_of_functions[];
extern const size_t weir_ctl_commands_of_functions_count;

/* `ctrlctl user ...` and `ctrlctl key ...` */
extern const struct weir_ctl_command weir_ctl_commands_of_users[];
extern const size_t weir_ctl_commands_of_users_count;

/* `ctrlctl call result ...`, `ctrlctl dlq ...`, `ctrlctl queue ...` */
extern const struct weir_ctl_command weir_ctl_commands_of_async[];
extern const size_t weir_ctl_commands_of_async_count;

#endif
