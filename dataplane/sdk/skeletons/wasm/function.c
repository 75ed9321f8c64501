/* @NAME@: says hello. Deploy it with: make -C @DIR@ && ctrlctl fn deploy @DIR@/@NAME@.wasm
 *
 * A WASI program, run anew for each request: the body is standard input, standard output the answer, the
 * head in CGI's variables. Standard error is the log: ctrlctl fn logs @NAME@ */
#include <stdio.h>
#include <stdlib.h>

int main(void)
{
	const char *greeting = getenv("GREETING"); /* ctrlctl fn env set @NAME@ GREETING=Hi */
	char name[101];
	const size_t bytes = fread(name, 1, sizeof(name) - 1, stdin);

	name[bytes] = '\0';
	fprintf(stderr, "greeting %s\n", bytes == 0 ? "world" : name);
	printf("%s, %s!\n", greeting == NULL ? "Hello" : greeting, bytes == 0 ? "world" : name);
	return 0;
}
