#include "dataplane/worker/variables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct weir_variables {
	struct weir_environment_header header;
	/* rows and text, as in the memfd */
};

static const char *bytes_of(const struct weir_variables *variables)
{
	return (const char *)variables;
}

static const struct weir_environment_row *rows_of(const struct weir_variables *variables)
{
	return (const struct weir_environment_row *)(const void *)(variables + 1);
}

/* Every row's text lies behind the rows, ends with a NUL and holds no more than a list takes. */
static bool is_sound(const struct weir_variables *variables, size_t bytes)
{
	const struct weir_environment_header *header = &variables->header;
	const struct weir_environment_row *rows = rows_of(variables);

	if (bytes < sizeof(*header) || header->magic != WEIR_ENVIRONMENT_MAGIC ||
	    header->bytes != bytes ||
	    header->count > (bytes - sizeof(*header)) / sizeof(struct weir_environment_row))
		return false;
	for (uint32_t i = 0; i < header->count; i++) {
		const size_t first = sizeof(*header) + header->count * sizeof(*rows);
		size_t count = 0;

		if (rows[i].offset < first || rows[i].offset > bytes ||
		    rows[i].bytes > bytes - rows[i].offset ||
		    rows[i].bytes > WEIR_ENVIRONMENT_TEXT_BYTES_MAX || rows[i].bytes == 0 ||
		    bytes_of(variables)[rows[i].offset + rows[i].bytes - 1] != '\0')
			return false;
		for (uint32_t k = 0; k < rows[i].bytes; k++)
			count += bytes_of(variables)[rows[i].offset + k] == '\0';
		if (count > WEIR_ENVIRONMENT_VARIABLES_MAX)
			return false;
	}
	return true;
}

int weir_variables_read(int fd, struct weir_variables **out_variables)
{
	struct weir_variables *variables = NULL;
	struct stat info;
	size_t done = 0;

	if (fstat(fd, &info) != 0)
		return -errno;
	if (info.st_size < (off_t)sizeof(struct weir_environment_header) ||
	    info.st_size > WEIR_ENVIRONMENT_BYTES_MAX)
		return -EBADMSG;
	variables = malloc((size_t)info.st_size);
	if (variables == NULL)
		return -ENOMEM;
	while (done < (size_t)info.st_size) {
		const ssize_t got = pread(fd, (char *)variables + done, (size_t)info.st_size - done,
					  (off_t)done);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			free(variables);
			return -EBADMSG;
		}
		done += (size_t)got;
	}
	if (!is_sound(variables, done)) {
		free(variables);
		return -EBADMSG;
	}
	*out_variables = variables;
	return 0;
}

void weir_variables_free(struct weir_variables *variables)
{
	if (variables != NULL)
		explicit_bzero(variables, variables->header.bytes);
	free(variables);
}

bool weir_variables_list(const struct weir_variables *variables, uint64_t id, uint64_t version,
			 const char *out_list[WEIR_ENVIRONMENT_VARIABLES_MAX + 1])
{
	size_t count = 0;
	uint32_t i = 0;

	if (variables == NULL)
		return false;
	const struct weir_environment_row *rows = rows_of(variables);

	while (i < variables->header.count && (rows[i].id != id || rows[i].version != version))
		i++;
	if (i == variables->header.count)
		return false;
	for (uint32_t at = 0; at < rows[i].bytes; count++) {
		out_list[count] = bytes_of(variables) + rows[i].offset + at;
		at += (uint32_t)strlen(out_list[count]) + 1;
	}
	out_list[count] = NULL;
	return true;
}
