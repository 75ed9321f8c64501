/* Runs a fuzzer's function over files, without libFuzzer:  NAME_seeds DIRECTORY|FILE ... */
#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

enum { FILE_BYTES_MAX = 1 << 20 };

static bool replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	char *data = malloc(FILE_BYTES_MAX);
	size_t bytes;

	if (file == NULL || data == NULL) {
		fprintf(stderr, "%s: cannot be read\n", path);
		if (file != NULL)
			fclose(file);
		free(data);
		return false;
	}
	bytes = fread(data, 1, FILE_BYTES_MAX, file);
	fclose(file);
	char *exact = fuzz_copy(data, bytes);
	free(data);
	fprintf(stderr, "%s\n", path); /* the last one named is the one that failed */
	(void)LLVMFuzzerTestOneInput((const uint8_t *)exact,
				     bytes); /* always 0, or it aborts */
	free(exact);
	return true;
}

/* Replay every file of a directory. Returns how many, or -1. */
static int replay_directory(const char *path)
{
	DIR *directory = opendir(path);
	struct dirent *entry;
	int count = 0;

	if (directory == NULL)
		return -1;
	while ((entry = readdir(directory)) != NULL) {
		char name[PATH_MAX];

		if (entry->d_name[0] == '.')
			continue;
		if (snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) >=
			    (int)sizeof(name) ||
		    !replay_file(name)) {
			count = -1;
			break;
		}
		count++;
	}
	closedir(directory);
	return count;
}

int main(int argc, char **argv)
{
	int count = 0;

	for (int i = 1; i < argc; i++) {
		struct stat status;
		int found = -1;

		if (stat(argv[i], &status) == 0)
			found = S_ISDIR(status.st_mode) ? replay_directory(argv[i])
							: replay_file(argv[i]);
		if (found < 0) {
			fprintf(stderr, "%s: cannot be replayed\n", argv[i]);
			return 1;
		}
		count += found;
	}
	printf("%d inputs replayed\n", count);
	return count > 0 ? 0 : 1;
}
