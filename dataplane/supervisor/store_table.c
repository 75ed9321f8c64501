#include "dataplane/supervisor/store_table.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static void entry_destroy(struct weir_store_entry *entry)
{
	if (entry == NULL)
		return;
	weir_fd_close_all(entry->fds, entry->fd_count);
	free(entry->fds);
	free(entry);
}

static struct weir_store_entry *entry_create(const struct weir_store_message *message, const int *fds,
					     size_t fd_count)
{
	struct weir_store_entry *const entry = calloc(1, sizeof(*entry));

	if (entry == NULL)
		return NULL;
	entry->message = *message;
	entry->message.kind = WEIR_STORE_ENTRY;
	if (fd_count > 0) {
		entry->fds = calloc(fd_count, sizeof(*fds));
		if (entry->fds == NULL) {
			free(entry);
			return NULL;
		}
		memcpy(entry->fds, fds, fd_count * sizeof(*fds));
		entry->fd_count = fd_count;
	}
	return entry;
}

static size_t entry_find(const struct weir_store_table *table, const char *name)
{
	size_t i = 0;

	while (i < table->count && strcmp(table->entry[i]->message.name, name) != 0)
		i++;
	return i;
}

int weir_store_table_apply(struct weir_store_table *table, const struct weir_store_message *message,
			   const int *fds, size_t fd_count)
{
	const size_t at = entry_find(table, message->name);
	struct weir_store_entry *entry = NULL;

	if (message->kind == WEIR_STORE_DROP && fd_count == 0) {
		if (at == table->count)
			return 0;
		entry_destroy(table->entry[at]);
		table->count--;
		memmove(&table->entry[at], &table->entry[at + 1],
			(table->count - at) * sizeof(table->entry[0]));
		return 0;
	}
	if (message->kind != WEIR_STORE_STORE)
		return -EBADMSG;
	if (at == WEIR_STORE_ENTRIES_MAX)
		return -ENOSPC;
	entry = entry_create(message, fds, fd_count);
	if (entry == NULL)
		return -ENOMEM;
	if (at == table->count)
		table->count++;
	else
		entry_destroy(table->entry[at]);
	table->entry[at] = entry;
	return 0;
}

size_t weir_store_table_kill(const struct weir_store_table *table)
{
	size_t alive = 0;

	for (size_t i = 0; i < table->count; i++) {
		const struct weir_store_entry *const entry = table->entry[i];

		if (entry->message.pidfd_index < 0)
			continue;
		if (syscall(SYS_pidfd_send_signal, entry->fds[entry->message.pidfd_index], SIGKILL, NULL, 0) == 0)
			alive++;
	}
	return alive;
}

void weir_store_table_close(struct weir_store_table *table)
{
	for (size_t i = 0; i < table->count; i++)
		entry_destroy(table->entry[i]);
	table->count = 0;
}
