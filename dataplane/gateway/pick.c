#include "dataplane/gateway/pick.h"

#include "dataplane/base/assert.h"
#include "dataplane/gateway/scores.h"
#include "dataplane/gateway/shard.h"

enum {
	LOOKS_MAX = 4, /* workers looked at in one pick before the best of these will do */
	LOAD_MARGIN = WEIR_SCHEDULE_UNIT / 20, /* of a score: not worth waking another worker */
	PARKED_RESERVE_PART = 4, /* of the places for calls that wait, one in so many is kept for calls that
				  * such calls wait for */
};

void weir_pick_open(struct weir_shard_pool *pool, uint64_t key)
{
	*pool = (struct weir_shard_pool){
		.key = key,
		.policy = weir_schedule_policy(WEIR_POLICY_SCORE),
		.weights = WEIR_WEIGHTS_DEFAULT,
		.turn = {.random = key},
		.far_turn = {.random = ~key},
	};
	pool->keeps = pool->policy->keeps;
}

static void move(struct weir_shard_pool *pool, uint32_t from, uint32_t to)
{
	if (from == to) /* what stands there may have moved on already */
		return;
	pool->link[to] = pool->link[from];
	pool->price[to] = pool->price[from];
	pool->link[to]->place = to;
}

void weir_pick_enter(struct weir_shard_pool *pool, struct weir_shard_link *link)
{
	uint32_t place = pool->link_count++;

	if (link->remote == 0) {
		move(pool, pool->near_count, place);
		place = pool->near_count++;
	}
	link->place = place;
	pool->link[place] = link;
	pool->price[place] = 0; /* worth a look */
}

void weir_pick_leave(struct weir_shard_pool *pool, const struct weir_shard_link *link)
{
	uint32_t hole = link->place;

	WEIR_ASSERT(pool->link[hole] == link);
	if (hole < pool->near_count) {
		move(pool, --pool->near_count, hole);
		hole = pool->near_count;
	}
	move(pool, --pool->link_count, hole);
	if (pool->last == link)
		pool->last = NULL;
	if (pool->kept == link)
		pool->kept = NULL;
}

/* How many calls the link has in flight, over all shards: the worker's word for those that started,
 * ours for those that have not. */
static uint32_t in_flight_estimate(const struct weir_shard_link *link)
{
	const uint64_t finished =
		atomic_load_explicit(&link->header->finished, memory_order_relaxed);
	const uint64_t accepted =
		atomic_load_explicit(&link->header->accepted, memory_order_relaxed);
	const uint64_t started = accepted - finished; /* wraps if the worker lies: capped below */

	if (started > WEIR_PAIR_CALLS * WEIR_SHARDS_MAX || started < link->in_flight)
		return link->in_flight;
	return (uint32_t)started;
}

/* Did a worker that lost its queue move since? Another shard's calls may be what it is stuck on, so
 * its own counts decide; or it was only late, and has read the recalled calls off its ring; or the call
 * that kept it waits now. */
static bool still_stalled(struct weir_shard_link *link)
{
	if (link->stalled &&
	    (atomic_load_explicit(&link->header->accepted, memory_order_relaxed) !=
		     link->watched_accepted ||
	     atomic_load_explicit(&link->header->finished, memory_order_relaxed) !=
		     link->watched_finished ||
	     atomic_load_explicit(&link->to_worker.shm->head, memory_order_relaxed) !=
		     link->watched_head ||
	     weir_link_is_at_rest(link)))
		link->stalled = false;
	return link->stalled;
}

/* Does one of its calls wait and have what all others need? */
static bool is_shut(const struct weir_shard_link *link)
{
	return atomic_load_explicit(&link->header->parked_max, memory_order_relaxed) == WEIR_LINK_PARKED_MAX_SHUT;
}

/* Do as many of its calls wait as may? It starts nothing then. */
static bool is_parked_full(const struct weir_shard_link *link)
{
	return is_shut(link) || atomic_load_explicit(&link->header->parked, memory_order_relaxed) >=
					atomic_load_explicit(&link->header->parked_max, memory_order_relaxed);
}

/* Are as many workers of a pool that may have no more shut that the others are for the calls which those
 * wait for? One in PARKED_RESERVE_PART, as of a worker's places, and at least one, if there are several. */
static bool is_kept_free(struct weir_shard_pool *pool)
{
	uint32_t shut = 0;

	if (!pool->has_shut)
		return false;
	for (uint32_t i = 0; i < pool->link_count; i++)
		shut += is_shut(pool->link[i]);
	pool->has_shut = shut > 0;
	return shut > 0 && pool->link_count >= pool->workers_max &&
	       pool->link_count - shut <= 1 + (pool->link_count - 1) / PARKED_RESERVE_PART;
}

/* Reads the worker's lines: for the worker that got the last call at most once a turn, see keep(). */
static struct weir_schedule_candidate candidate_of(struct weir_shard_link *link)
{
	struct weir_link_header *header = link->header;
	const uint32_t parked = atomic_load_explicit(&header->parked, memory_order_relaxed);
	const uint32_t parked_max = atomic_load_explicit(&header->parked_max, memory_order_relaxed);
	const uint32_t parked_limit = parked_max - parked_max / PARKED_RESERVE_PART;
	const uint64_t service_ns = atomic_load_explicit(&header->service_ns, memory_order_relaxed);

	return (struct weir_schedule_candidate){
		.in_flight = in_flight_estimate(link),
		.in_flight_limit = weir_schedule_ahead_max(service_ns),
		.parked = parked,
		.parked_limit = parked_limit,
		.load_price = link->load_price,
		.service_ns = service_ns,
		.usable = !link->dead && !link->draining && !link->condemned && !still_stalled(link) &&
			  !link->exclusive && !link->set_aside && link->free_call_count > 0 && parked < parked_limit &&
			  parked_max != WEIR_LINK_PARKED_MAX_SHUT && !weir_room_is_overdue(link->room),
		.one_task = link->pool->one_task,
		.home = link->home,
	};
}

/* The same for a call that a function waits for. The worker that runs the function stands still for it, so
 * its call does not count; being set aside or kept free does not either. */
static struct weir_schedule_candidate candidate_of_nested(struct weir_shard_link *link,
							  const struct weir_exchange *exchange)
{
	struct weir_schedule_candidate candidate = candidate_of(link);

	candidate.usable = !link->dead && !link->draining && !link->condemned && !link->stalled &&
			   !link->exclusive && link->free_call_count > 0 && !is_parked_full(link) && !weir_room_is_overdue(link->room);
	candidate.one_task = false; /* all workers may have one, and wait for this one */
	if (weir_nested_of(exchange->connection)->parent_link == link)
		candidate.in_flight_limit++;
	return candidate;
}

/* The worker that got the last call of the pool, if it may get another. What its lines said when it
 * was picked holds for the turn; its own calls are counted here. */
static struct weir_shard_link *keep(struct weir_shard *shard, struct weir_shard_pool *pool)
{
	struct weir_shard_link *link = pool->last;

	if (!link)
		return NULL;
	if (pool->last_ns != shard->now_ns) {
		pool->last_seen = candidate_of(link);
		pool->last_ns = shard->now_ns;
	}
	if (link->free_call_count == 0 || link->dead || link->draining || link->stalled ||
	    link->condemned || link->exclusive || link->set_aside ||
	    !weir_schedule_keeps(&pool->last_seen))
		return NULL;
	pool->last_seen.in_flight++;
	return link;
}

/* What it costs now; noted for the next picks. */
static int16_t look(struct weir_shard_pool *pool, uint32_t place, struct weir_schedule_candidate *out_candidate)
{
	struct weir_shard_link *link = pool->link[place];

	*out_candidate = candidate_of(link);
	pool->price[place] = weir_schedule_price(pool->policy, out_candidate, &pool->weights);
	if (pool->price[place] < WEIR_SCHEDULE_PRICE_FULL)
		link->price_seen = pool->price[place];
	return pool->price[place];
}

/* Look at each of [first, end), and see what one call more would add. */
static void look_at(struct weir_shard_pool *pool, uint32_t first, uint32_t end)
{
	struct weir_schedule_candidate candidate;

	for (uint32_t i = first; i < end; i++) {
		const int16_t price = look(pool, i, &candidate);

		candidate.in_flight++;
		candidate.in_flight_limit++;
		if (price < WEIR_SCHEDULE_PRICE_FULL)
			pool->link[i]->price_step =
				(int16_t)(weir_schedule_price(pool->policy, &candidate, &pool->weights) - price);
	}
}

/* The next call sees it dearer at once. */
static void raise_price(int16_t *price, int16_t step)
{
	const int raised = *price + step;

	*price = raised < WEIR_SCHEDULE_PRICE_FULL ? (int16_t)raised : WEIR_SCHEDULE_PRICE_FULL - 1;
}

/* Choose in [first, end) by what is known, and look whether it is still so. The candidate is
 * pool->last_seen. */
static int choose_known(struct weir_shard_pool *pool, uint32_t first, uint32_t end)
{
	struct weir_schedule_turn *turn = first == 0 ? &pool->turn : &pool->far_turn;
	int16_t best_price = WEIR_SCHEDULE_PRICE_FULL;
	int best = -1;

	for (int looks = 0; looks < LOOKS_MAX; looks++) {
		int place = pool->policy->choose(pool->price + first, end - first, turn);

		if (place < 0)
			break;
		place += (int)first;
		const int16_t believed = pool->price[place];
		const int16_t price = look(pool, (uint32_t)place, &pool->last_seen);

		if (price <= believed)
			return place;
		if (price < best_price) {
			best = place;
			best_price = price;
		}
	}
	if (best >= 0)
		(void)look(pool, (uint32_t)best, &pool->last_seen); /* as a moment ago, or a little dearer */
	return best;
}

/* The same; what is believed of them may be old. */
static int choose_in(struct weir_shard_pool *pool, uint32_t first, uint32_t end)
{
	const int place = choose_known(pool, first, end);

	if (place >= 0 || first == end)
		return place;
	look_at(pool, first, end);
	return choose_known(pool, first, end);
}

/* Near first. */
static int choose(struct weir_shard_pool *pool)
{
	const int place = choose_in(pool, 0, pool->near_count);

	if (place >= 0 || pool->near_count == pool->link_count)
		return place;
	return choose_in(pool, pool->near_count, pool->link_count);
}

/* One worker is no choice: it has room, or not. */
static int the_only(struct weir_shard_pool *pool)
{
	pool->last_seen = candidate_of(pool->link[0]);
	return weir_schedule_has_room(&pool->last_seen) ? 0 : -1;
}

void weir_pick_configure(const struct weir_shard *shard, struct weir_shard_pool *pool,
			 const struct weir_snapshot_pool *row)
{
	const bool one_task = (row->flags & WEIR_SNAPSHOT_POOL_ONE_TASK) != 0;
	const struct weir_schedule_policy *policy = weir_schedule_policy(row->policy);

	pool->config_count = shard->config_count;
	pool->workers_max = row->workers_max;
	pool->capacity = (struct weir_schedule_resources){.cpu_millicores = row->cpu_millicores,
							  .memory_mb = (uint32_t)(row->memory_bytes >> 20)};
	if (pool->policy == policy && pool->one_task == one_task &&
	    memcmp(&pool->weights, &row->weights, sizeof(pool->weights)) == 0)
		return;
	WEIR_ASSERT(policy != NULL); /* the snapshot was checked */
	if (pool->policy->runs_only != policy->runs_only || pool->policy->sample_ns != policy->sample_ns) {
		for (uint32_t i = 0; i < pool->link_count; i++)
			pool->link[i]->load = (struct weir_schedule_load){0}; /* it is measured in another way */
	}
	pool->policy = policy;
	pool->policy_number = row->policy;
	pool->weights = row->weights;
	pool->one_task = one_task;
	pool->keeps = policy->keeps && !one_task;
	pool->last = NULL;
	look_at(pool, 0, pool->link_count); /* prices of another kind */
}

struct weir_shard_link *weir_pick(struct weir_shard *shard, struct weir_shard_pool *pool)
{
	struct weir_shard_link *link = NULL;
	int place;

	if (is_kept_free(pool))
		return NULL;
	link = keep(shard, pool);
	if (link)
		return link;
	pool->last = NULL;
	place = pool->link_count == 1 ? the_only(pool) : choose(pool);
	if (place < 0)
		return NULL;
	link = pool->link[place];
	weir_scores_picked(shard->picks, shard->now_ns, link, pool->price[place]);
	raise_price(&pool->price[place], link->price_step);
	pool->last_seen.in_flight++;
	pool->last_ns = shard->now_ns;
	pool->last = link->home && pool->keeps ? link : NULL; /* others' workers are for a pinch */
	return link;
}

/* Near first. */
static int choose_fullest(struct weir_shard_pool *pool, const int16_t *price, const uint64_t *fullness)
{
	const uint32_t near = pool->near_count;
	int place = weir_schedule_choose_fullest(price, fullness, near, &pool->ask_turn);

	if (place >= 0)
		return place;
	place = weir_schedule_choose_fullest(price + near, fullness + near, pool->link_count - near, &pool->ask_turn);
	return place < 0 ? -1 : place + (int)near;
}

struct weir_shard_link *weir_pick_fullest(struct weir_shard *shard, struct weir_shard_pool *pool,
					  const struct weir_exchange *exchange)
{
	const uint64_t takes = weir_schedule_takes(&pool->capacity, &exchange->ask);
	const bool awaited = weir_nested_is_awaited(exchange);
	const struct weir_shard_link *kept = awaited || exchange == pool->askers.first ? NULL : pool->kept;
	int16_t price[WEIR_GATEWAY_POOL_LINKS_MAX];
	uint64_t fullness[WEIR_GATEWAY_POOL_LINKS_MAX];
	bool has_room = false;
	int place;

	if (!awaited && is_kept_free(pool))
		return NULL;
	for (uint32_t i = 0; i < pool->link_count; i++) {
		struct weir_shard_link *link = pool->link[i];
		const uint64_t used = atomic_load_explicit(&link->room->used, memory_order_relaxed);
		struct weir_schedule_candidate candidate =
			awaited ? candidate_of_nested(link, exchange) : candidate_of(link);

		pool->has_shut = pool->has_shut || (awaited && is_shut(link));
		candidate.too_small = link == kept || !weir_schedule_fits(&pool->capacity, used, takes);
		has_room |= !candidate.too_small;
		price[i] = weir_schedule_price(pool->policy, &candidate, &pool->weights);
		fullness[i] = weir_schedule_fullness(&pool->capacity, used);
	}
	place = choose_fullest(pool, price, fullness);
	if (place < 0) {
		pool->lacks_room |= !has_room;
		return NULL;
	}
	weir_scores_picked(shard->picks, shard->now_ns, pool->link[place], price[place]);
	raise_price(&pool->price[place], pool->link[place]->price_step);
	pool->last = NULL; /* what was seen of it does not count this call */
	return pool->link[place];
}

void weir_pick_keep(struct weir_shard_pool *pool)
{
	uint64_t least = UINT64_MAX;

	pool->kept = NULL;
	if (pool->link_count < 2)
		return; /* never the only one */
	for (uint32_t i = 0; i < pool->link_count; i++) {
		struct weir_shard_link *link = pool->link[i];
		const uint64_t used = atomic_load_explicit(&link->room->used, memory_order_relaxed);
		const uint64_t fullness = weir_schedule_fullness(&pool->capacity, used);

		if (link->dead || link->draining || link->condemned || fullness >= least)
			continue;
		pool->kept = link;
		least = fullness;
	}
}

/* A worker that short calls stay on must not be a loaded one while others are not. */
static bool is_last_dear(const struct weir_shard_pool *pool)
{
	if (!pool->last || pool->policy_number != WEIR_POLICY_SCORE)
		return false;
	for (uint32_t i = 0; i < pool->near_count; i++) {
		if (pool->price[i] < WEIR_SCHEDULE_PRICE_FULL &&
		    pool->link[i]->load_price + LOAD_MARGIN < pool->last->load_price)
			return true;
	}
	return false;
}

/* Take what was measured of the pool's workers, look at each, and show it. */
static void look_closely(struct weir_shard *shard, struct weir_shard_pool *pool)
{
	weir_scores_measure(shard, pool);
	look_at(pool, 0, pool->link_count);
	if (is_last_dear(pool))
		pool->last = NULL;
	for (uint32_t i = 0; i < pool->link_count; i++) {
		const struct weir_schedule_candidate candidate = candidate_of(pool->link[i]);

		weir_scores_show(shard, pool->link[i], &candidate);
	}
}

void weir_pick_turn(struct weir_shard *shard)
{
	if (shard->now_ns - shard->priced_ns < WEIR_SCHEDULE_SAMPLE_NS)
		return;
	shard->priced_ns = shard->now_ns;
	for (uint32_t i = 0; i < shard->pool_count; i++)
		look_closely(shard, shard->pool[i]);
}

struct weir_shard_link *weir_pick_nested(struct weir_shard_pool *pool, const struct weir_exchange *exchange)
{
	struct weir_shard_link *best = NULL;
	uint32_t best_in_flight = UINT32_MAX;

	for (uint32_t i = 0; i < pool->link_count; i++) {
		struct weir_schedule_candidate candidate;

		pool->has_shut = pool->has_shut || is_shut(pool->link[i]);
		if (best && i >= pool->near_count && best->remote == 0)
			continue; /* near ones come first, and one has room */
		candidate = candidate_of_nested(pool->link[i], exchange);
		if (!weir_schedule_has_room(&candidate) || candidate.in_flight >= best_in_flight)
			continue;
		best = pool->link[i];
		best_in_flight = candidate.in_flight;
	}
	return best;
}

struct weir_shard_link *weir_pick_for(struct weir_shard *shard, struct weir_shard_pool *pool,
					const struct weir_exchange *exchange)
{
	return weir_nested_is_awaited(exchange) ? weir_pick_nested(pool, exchange) : weir_pick(shard, pool);
}

/* A worker for a call that must run alone. One is set aside and drained for it; suspects get at most
 * half of the pool, and never the last worker that others can use. */
struct weir_shard_link *weir_pick_alone(struct weir_shard_pool *pool)
{
	struct weir_shard_link *best = NULL;
	uint32_t usable_count = 0, suspect_count = 0, best_in_flight = UINT32_MAX;

	for (uint32_t i = 0; i < pool->link_count; i++) {
		struct weir_shard_link *link = pool->link[i];
		const struct weir_schedule_candidate candidate = candidate_of(link);

		suspect_count += link->exclusive || link->set_aside;
		if (link->set_aside && !link->exclusive && link->in_flight == 0)
			return link;
		if (!candidate.usable)
			continue;
		usable_count++;
		if (candidate.in_flight < best_in_flight) {
			best = link;
			best_in_flight = candidate.in_flight;
		}
	}
	pool->suspects_starve = usable_count + suspect_count < 2;
	if (pool->workers_max > 1 && (usable_count < 2 || 2 * suspect_count >= pool->link_count))
		return NULL;
	if (!best)
		return NULL;
	best->set_aside = true;
	return best->in_flight == 0 ? best : NULL;
}

/* Does the worker have no place for any call before one that waits there ends? One that was only just
 * started has not said how many may wait. */
static bool has_no_place(const struct weir_shard_link *link)
{
	return is_parked_full(link) && atomic_load_explicit(&link->header->parked_max, memory_order_relaxed) != 0;
}

/* Do calls that await others have so much of the worker's room that there will not be enough for this one
 * before one of those ends? */
static bool has_no_room(const struct weir_shard_link *link, const struct weir_exchange *exchange)
{
	const struct weir_schedule_resources *capacity = &link->pool->capacity;

	return weir_schedule_asks(&exchange->ask) &&
	       !weir_schedule_fits(capacity, atomic_load_explicit(&link->room->awaiting, memory_order_relaxed),
				   weir_schedule_takes(capacity, &exchange->ask));
}

bool weir_pick_is_full(const struct weir_exchange *exchange)
{
	const struct weir_shard_pool *pool = exchange->pool;

	for (uint32_t i = 0; i < pool->link_count; i++) {
		if (!has_no_place(pool->link[i]) && !has_no_room(pool->link[i], exchange))
			return false;
	}
	return pool->link_count > 0;
}
