#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/base/assert.h"
#include "dataplane/base/log.h"
#include "dataplane/base/memory_events.h"
#include "dataplane/gateway/gateway.h"

enum { PREFAULT_SMALL_CHUNKS = 64 }; /* per pair: what light load uses */

static void destroy(struct weir_gateway_link *link)
{
	for (uint32_t i = 0; i < WEIR_SHARDS_MAX; i++) {
		free(link->part[i]);
		weir_fd_close(&link->event_fd[i]);
	}
	weir_fd_close(&link->pid_fd);
	weir_fd_close(&link->memory_fd);
	weir_segment_detach(&link->segment);
	free(link);
}

/* Take over the descriptors and build every shard's part. NULL: refused, nothing kept. */
static struct weir_gateway_link *create(struct weir_gateway *gateway, const struct weir_control *control,
					struct weir_control_fds *fds)
{
	struct weir_gateway_link *link = calloc(1, sizeof(*link));
	int result;

	if (!link)
		return NULL;
	memset(link->event_fd, -1, sizeof(link->event_fd));
	link->pid_fd = fds->fd[1];
	fds->fd[1] = -1;
	link->memory_fd = -1;
	if (fds->count > 2 + gateway->shard_count) {
		link->memory_fd = fds->fd[2 + gateway->shard_count];
		fds->fd[2 + gateway->shard_count] = -1;
	}
	for (uint32_t i = 0; i < gateway->shard_count; i++) {
		link->event_fd[i] = fds->fd[2 + i];
		fds->fd[2 + i] = -1;
	}
	result = weir_segment_attach(fds->fd[0], &link->segment);
	if (result != 0 || link->segment.shard_count != gateway->shard_count ||
	    control->link_open.home >= gateway->shard_count) {
		weir_log(WEIR_LOG_ERROR, "link refused", "worker=%lu error=\"%s\"",
			 (unsigned long)control->link_open.worker_id,
			 result ? strerror(-result) : "other number of shards");
		destroy(link);
		return NULL;
	}
	for (uint32_t i = 0; i < gateway->shard_count; i++) {
		weir_segment_prefault_pair(&link->segment, i, PREFAULT_SMALL_CHUNKS);
		weir_gateway_memory_enter(gateway, i);
		link->part[i] = weir_link_create(&link->segment, i, control->link_open.pool_key,
						 link->event_fd[i]);
		weir_gateway_memory_leave(gateway);
		if (!link->part[i]) {
			destroy(link);
			return NULL;
		}
		link->part[i]->owner = link;
		link->part[i]->home = i == control->link_open.home;
		link->part[i]->remote = control->link_open.remote[i];
		link->part[i]->room = &link->room;
	}
	return link;
}

static void tell_all(struct weir_gateway *gateway, struct weir_gateway_link *link,
		     enum weir_letter_kind kind)
{
	for (uint32_t i = 0; i < gateway->shard_count; i++) {
		const struct weir_letter letter = {
			.kind = kind, .object = link->part[i], .value = link->is_out_of_memory};

		/* An inbox holds more letters than links, listeners and snapshots can make. */
		WEIR_ASSERT(weir_mailbox_put(&gateway->shard[i]->inbox, &letter));
	}
}

static void report(struct weir_gateway *gateway, const struct weir_gateway_link *link,
		   enum weir_control_kind kind)
{
	const struct weir_control control = {
		.kind = kind,
		.link = {.link_id = link->segment.link_id, .worker_id = link->segment.worker_id},
	};

	weir_gateway_tell(gateway, &control);
}

void weir_gateway_link_open(struct weir_gateway *gateway, const struct weir_control *control,
			    struct weir_control_fds *fds)
{
	struct weir_gateway_link *link = NULL;

	if (fds->count >= 2 + gateway->shard_count && fds->count <= 3 + gateway->shard_count && gateway->link_count < WEIR_GATEWAY_LINKS_MAX)
		link = create(gateway, control, fds);
	if (!link) {
		const struct weir_control gone = {
			.kind = WEIR_CONTROL_LINK_GONE,
			.link = {.link_id = control->link_open.link_id,
				 .worker_id = control->link_open.worker_id},
		};

		weir_gateway_tell(gateway, &gone);
		return;
	}
	gateway->link[gateway->link_count++] = link;
	tell_all(gateway, link, WEIR_LETTER_LINK_OPEN);
}

static void forget(struct weir_gateway *gateway, struct weir_gateway_link *link)
{
	for (uint32_t i = 0; i < gateway->link_count; i++) {
		if (gateway->link[i] == link) {
			gateway->link[i] = gateway->link[--gateway->link_count];
			break;
		}
	}
	report(gateway, link, WEIR_CONTROL_LINK_GONE);
	destroy(link);
}

void weir_gateway_link_letter(struct weir_gateway *gateway, const struct weir_letter *letter)
{
	const struct weir_shard_link *part = letter->object;
	struct weir_gateway_link *link = part->owner;

	switch ((int)letter->kind) { /* not every kind: the others are for shards or other readers */
	case WEIR_LETTER_LINK_OPENED:
		if (++link->opened_count == gateway->shard_count)
			report(gateway, link, WEIR_CONTROL_LINK_READY);
		break;
	case WEIR_LETTER_LINK_GONE:
		link->gone_count++;
		if (link->gone_count == gateway->shard_count) {
			tell_all(gateway, link, WEIR_LETTER_LINK_BURY);
		} else if (!link->dead && !link->refused &&
			   link->opened_count < gateway->shard_count) {
			link->refused = true; /* one shard has no room: the others let go too */
			tell_all(gateway, link, WEIR_LETTER_LINK_DRAIN);
		}
		break;
	case WEIR_LETTER_LINK_BURIED:
		if (++link->buried_count == gateway->shard_count)
			forget(gateway, link);
		break;
	default:
		WEIR_ASSERT(!"not a link letter");
	}
}

void weir_gateway_link_close(struct weir_gateway *gateway, uint64_t link_id)
{
	for (uint32_t i = 0; i < gateway->link_count; i++) {
		struct weir_gateway_link *link = gateway->link[i];

		if (link->segment.link_id == link_id && link->gone_count < gateway->shard_count)
			tell_all(gateway, link, WEIR_LETTER_LINK_DRAIN);
	}
}

void weir_gateway_link_died(struct weir_gateway *gateway, struct weir_gateway_link *link)
{
	if (link->dead || link->gone_count == gateway->shard_count)
		return; /* buried: its shards may have echoed that already */
	link->dead = true;
	link->is_out_of_memory =
		weir_memory_events_kills(link->memory_fd) > 0 ||
		atomic_load_explicit(&link->segment.header->out_of_memory, memory_order_relaxed) != 0;
	tell_all(gateway, link, WEIR_LETTER_LINK_DEAD);
}
