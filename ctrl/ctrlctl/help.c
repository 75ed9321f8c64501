#include <stdio.h>
#include <string.h>

#include "ctrl/ctrlctl/ctl.h"
#include "ctrl/ctrlctl/output.h"

static void options_print(const struct weir_ctl_option *options, size_t max)
{
	for (size_t i = 0; i < max && options[i].name != NULL; i++) {
		char text[64];

		(void)snprintf(text, sizeof(text), "%s%s%s%s%s",
			       options[i].letter == NULL ? "" : options[i].letter,
			       options[i].letter == NULL ? "" : ", ", options[i].name,
			       options[i].value == NULL ? "" : " ",
			       options[i].value == NULL ? "" : options[i].value);
		weir_ctl_print("  %-30s %s\n", text, options[i].help);
	}
}

static void command_line_print(const struct weir_ctl_command *command)
{
	char text[96];

	(void)snprintf(text, sizeof(text), "%s%s%s%s%s", command->noun,
		       command->verb == NULL ? "" : " ",
		       command->verb == NULL ? "" : command->verb,
		       command->arguments[0] == '\0' ? "" : " ", command->arguments);
	weir_ctl_print("  %-30s %s\n", text, command->help);
}

int weir_ctl_help_all(void)
{
	const struct weir_ctl_command *command = NULL;

	weir_ctl_print("usage: ctrlctl NOUN [VERB] [ARGUMENTS] [OPTIONS]\n\n");
	for (size_t i = 0; (command = weir_ctl_command_at(i)) != NULL; i++)
		command_line_print(command);
	weir_ctl_print("\nEverywhere:\n");
	options_print(weir_ctl_options_global, WEIR_CTL_OPTIONS_MAX);
	weir_ctl_print("\nExit codes: 0 ok, 1 failed, 2 usage, 3 unreachable, 5 not found, 6 "
		       "exists, 7 invalid,\n"
		       "9 saved but not yet acknowledged by every shard.\n"
		       "More: ctrlctl NOUN --help, ctrlctl NOUN VERB --help\n");
	return WEIR_CTL_OK;
}

int weir_ctl_help_noun(const char *noun)
{
	const struct weir_ctl_command *command = NULL;

	weir_ctl_print("usage: ctrlctl %s VERB [ARGUMENTS] [OPTIONS]\n\n", noun);
	for (size_t i = 0; (command = weir_ctl_command_at(i)) != NULL; i++) {
		if (strcmp(command->noun, noun) == 0)
			command_line_print(command);
	}
	weir_ctl_print("\nEverywhere:\n");
	options_print(weir_ctl_options_global, WEIR_CTL_OPTIONS_MAX);
	return WEIR_CTL_OK;
}

int weir_ctl_help_command(const struct weir_ctl_command *command)
{
	weir_ctl_print(
		"usage: ctrlctl %s%s%s%s%s [OPTIONS]\n\n%s.\n", command->noun,
		command->verb == NULL ? "" : " ", command->verb == NULL ? "" : command->verb,
		command->arguments[0] == '\0' ? "" : " ", command->arguments, command->help);
	if (command->more != NULL)
		weir_ctl_print("%s", command->more);
	weir_ctl_print("\n");
	options_print(command->options, WEIR_CTL_OPTIONS_MAX);
	options_print(weir_ctl_options_global, WEIR_CTL_OPTIONS_MAX);
	return WEIR_CTL_OK;
}
