/* layout_print: writes the layout of every shared-memory format, one line a field, to standard
 * output. tests/shm/layout.golden holds what it printed when the ABI version was last changed. */
#include <stdio.h>

#include "dataplane/abi/activation.h"
#include "dataplane/abi/board.h"
#include "dataplane/abi/control.h"
#include "dataplane/abi/environment.h"
#include "dataplane/abi/head.h"
#include "dataplane/abi/link.h"
#include "dataplane/abi/load.h"
#include "dataplane/abi/message.h"
#include "dataplane/abi/nested.h"
#include "dataplane/abi/output.h"
#include "dataplane/abi/policies.h"
#include "dataplane/abi/snapshot.h"
#include "dataplane/base/role.h"

#define STRUCT(type)                                                                           \
	(void)printf("%s bytes=%zu align=%zu\n", #type, sizeof(struct type), _Alignof(struct type))
#define FIELD(type, field)                                                                     \
	(void)printf("  %s.%s at=%zu bytes=%zu\n", #type, #field, offsetof(struct type, field), \
		     sizeof(((struct type *)0)->field))
#define NUMBER(name) (void)printf("%s = %llu\n", #name, (unsigned long long)(name))

static void print_message(void)
{
	STRUCT(weir_message);
	FIELD(weir_message, kind);
	FIELD(weir_message, flags);
	FIELD(weir_message, call);
	FIELD(weir_message, chunk);
	FIELD(weir_message, sequence);
	FIELD(weir_message, bytes);
	FIELD(weir_message, head_bytes);
	FIELD(weir_message, grant);
	FIELD(weir_message, code);
	NUMBER(WEIR_MESSAGE_HEAD);
	NUMBER(WEIR_MESSAGE_DATA);
	NUMBER(WEIR_MESSAGE_END);
	NUMBER(WEIR_MESSAGE_CREDIT);
	NUMBER(WEIR_MESSAGE_CANCEL);
	NUMBER(WEIR_MESSAGE_ABORT);
	NUMBER(WEIR_MESSAGE_CALL);
	NUMBER(WEIR_MESSAGE_FLAG_END);
	STRUCT(weir_nested_reply);
	FIELD(weir_nested_reply, activation_high);
	FIELD(weir_nested_reply, activation_low);
	NUMBER(WEIR_NESTED_OPEN);
	NUMBER(WEIR_NESTED_PUT);
	NUMBER(WEIR_NESTED_MORE);
	NUMBER(WEIR_NESTED_DROP);
	NUMBER(WEIR_NESTED_CHUNK);
	NUMBER(WEIR_NESTED_REFUSED);
	NUMBER(WEIR_NESTED_REPLY);
	NUMBER(WEIR_NESTED_FLAG_ONE_WAY);
	NUMBER(WEIR_NESTED_FLAG_BROKEN);
	NUMBER(WEIR_NESTED_SLOTS);
	NUMBER(WEIR_NESTED_HEAD_BYTES_MAX);
	NUMBER(WEIR_CALL_FREE);
	NUMBER(WEIR_CALL_QUEUED);
	NUMBER(WEIR_CALL_RUNNING);
	NUMBER(WEIR_CALL_RECALLED);
	NUMBER(WEIR_ABORT_FAILED);
	NUMBER(WEIR_ABORT_GARBAGE);
	NUMBER(WEIR_ABORT_LOAD);
	NUMBER(WEIR_ABORT_TIMEOUT);
	NUMBER(WEIR_ABORT_CANCELLED);
	NUMBER(WEIR_ABORT_UNKNOWN);
	NUMBER(WEIR_CHUNK_NONE);
}

static void print_link(void)
{
	NUMBER(WEIR_ABI_MAJOR);
	NUMBER(WEIR_LINK_MAGIC);
	NUMBER(WEIR_SHARDS_MAX);
	NUMBER(WEIR_RING_CELLS);
	NUMBER(WEIR_RING_CELLS_RESERVED);
	NUMBER(WEIR_CALL_CHUNKS_MAX);
	STRUCT(weir_link_ring);
	FIELD(weir_link_ring, head);
	FIELD(weir_link_ring, tail);
	FIELD(weir_link_ring, cell);
	STRUCT(weir_link_call);
	FIELD(weir_link_call, state);
	FIELD(weir_link_call, deadline_ns);
	FIELD(weir_link_call, activation_high);
	FIELD(weir_link_call, activation_low);
	FIELD(weir_link_call, function_id);
	FIELD(weir_link_call, generation);
	FIELD(weir_link_call, reserved);
	STRUCT(weir_link_pair);
	FIELD(weir_link_pair, to_worker);
	FIELD(weir_link_pair, to_shard);
	FIELD(weir_link_pair, call);
	FIELD(weir_link_pair, small);
	FIELD(weir_link_pair, large);
	STRUCT(weir_link_header);
	FIELD(weir_link_header, magic);
	FIELD(weir_link_header, abi_major);
	FIELD(weir_link_header, shard_count);
	FIELD(weir_link_header, segment_bytes);
	FIELD(weir_link_header, link_id);
	FIELD(weir_link_header, worker_id);
	FIELD(weir_link_header, accepted);
	FIELD(weir_link_header, finished);
	FIELD(weir_link_header, service_ns);
	FIELD(weir_link_header, parked);
	FIELD(weir_link_header, parked_max);
	FIELD(weir_link_header, out_of_memory);
	FIELD(weir_link_header, worker_bell);
	FIELD(weir_link_header, reserved);
	STRUCT(weir_shard_board_line);
	FIELD(weir_shard_board_line, sleep_count);
	STRUCT(weir_shard_board);
}

static void print_head(void)
{
	STRUCT(weir_head_slice);
	FIELD(weir_head_slice, offset);
	FIELD(weir_head_slice, bytes);
	STRUCT(weir_head_field);
	FIELD(weir_head_field, name);
	FIELD(weir_head_field, value);
	STRUCT(weir_request_head);
	FIELD(weir_request_head, bytes);
	FIELD(weir_request_head, method);
	FIELD(weir_request_head, minor);
	FIELD(weir_request_head, field_count);
	FIELD(weir_request_head, param_count);
	FIELD(weir_request_head, depth);
	FIELD(weir_request_head, path);
	FIELD(weir_request_head, content_length);
	FIELD(weir_request_head, query);
	FIELD(weir_request_head, authority);
	FIELD(weir_request_head, target);
	FIELD(weir_request_head, peer);
	FIELD(weir_request_head, pattern);
	FIELD(weir_request_head, parent);
	FIELD(weir_request_head, caller);
	FIELD(weir_request_head, caller_role);
	FIELD(weir_request_head, caller_flags);
	NUMBER(WEIR_HEAD_CALLER_REQUIRED);
	FIELD(weir_request_head, reserved);
	STRUCT(weir_response_head);
	FIELD(weir_response_head, bytes);
	FIELD(weir_response_head, status);
	FIELD(weir_response_head, field_count);
	FIELD(weir_response_head, content_length);
	NUMBER(WEIR_HEAD_REQUEST_BYTES_MAX);
	NUMBER(WEIR_HEAD_RESPONSE_BYTES_MAX);
	NUMBER(WEIR_HEAD_FIELDS_MAX);
	NUMBER(WEIR_HEAD_RESPONSE_FIELDS_MAX);
	NUMBER(WEIR_HEAD_PARAMS_MAX);
}

static void print_settings(void)
{
	STRUCT(weir_settings);
	FIELD(weir_settings, target_bytes_max);
	FIELD(weir_settings, head_bytes_max);
	FIELD(weir_settings, headers_max);
	FIELD(weir_settings, connections_max);
	FIELD(weir_settings, body_bytes_max);
	FIELD(weir_settings, head_timeout_ms);
	FIELD(weir_settings, body_idle_ms);
	FIELD(weir_settings, send_idle_ms);
	FIELD(weir_settings, keep_alive_ms);
	FIELD(weir_settings, kill_grace_ms);
	FIELD(weir_settings, pipeline_max);
	FIELD(weir_settings, shared_memory_bytes_max);
	FIELD(weir_settings, resident_bytes_max);
	FIELD(weir_settings, workers_max);
	FIELD(weir_settings, worker_cpu_millicores);
	FIELD(weir_settings, queue_wait_ms);
	FIELD(weir_settings, auth_required);
}

static void print_weights(void)
{
	STRUCT(weir_weights);
	FIELD(weir_weights, alpha);
	FIELD(weir_weights, beta);
	FIELD(weir_weights, gamma);
	FIELD(weir_weights, delta);
	FIELD(weir_weights, epsilon);
	FIELD(weir_weights, ema);
	STRUCT(weir_autoscale_rule);
	FIELD(weir_autoscale_rule, step_ms);
	FIELD(weir_autoscale_rule, samples);
	FIELD(weir_autoscale_rule, threshold);
}

static void print_snapshot_rows(void)
{
	STRUCT(weir_snapshot_function);
	FIELD(weir_snapshot_function, id);
	FIELD(weir_snapshot_function, version);
	FIELD(weir_snapshot_function, timeout_ns);
	FIELD(weir_snapshot_function, memory_bytes);
	FIELD(weir_snapshot_function, pool);
	FIELD(weir_snapshot_function, runtime);
	FIELD(weir_snapshot_function, queue_max);
	FIELD(weir_snapshot_function, flags);
	FIELD(weir_snapshot_function, spec_first);
	FIELD(weir_snapshot_function, spec_count);
	FIELD(weir_snapshot_function, space);
	FIELD(weir_snapshot_function, name);
	FIELD(weir_snapshot_function, code_path);
	FIELD(weir_snapshot_function, handler);
	FIELD(weir_snapshot_function, interpreter);
	FIELD(weir_snapshot_function, reason);
	print_weights();
	STRUCT(weir_snapshot_spec);
	FIELD(weir_snapshot_spec, cpu_millicores);
	FIELD(weir_snapshot_spec, memory_mb);
	FIELD(weir_snapshot_spec, workers_min);
	FIELD(weir_snapshot_spec, workers_max);
	FIELD(weir_snapshot_spec, pool);

	STRUCT(weir_snapshot_pool);
	FIELD(weir_snapshot_pool, key);
	FIELD(weir_snapshot_pool, runtime);
	FIELD(weir_snapshot_pool, workers_min);
	FIELD(weir_snapshot_pool, workers_max);
	FIELD(weir_snapshot_pool, policy);
	FIELD(weir_snapshot_pool, flags);
	FIELD(weir_snapshot_pool, memory_bytes);
	FIELD(weir_snapshot_pool, weights);
	FIELD(weir_snapshot_pool, cpu_millicores);
	FIELD(weir_snapshot_pool, scale);
	FIELD(weir_snapshot_pool, space);
	FIELD(weir_snapshot_pool, function);
	STRUCT(weir_snapshot_node);
	FIELD(weir_snapshot_node, param_child);
	FIELD(weir_snapshot_node, routes_first);
	FIELD(weir_snapshot_node, wildcard_first);
	FIELD(weir_snapshot_node, routes_count);
	FIELD(weir_snapshot_node, wildcard_count);
	FIELD(weir_snapshot_node, literal_count);
	FIELD(weir_snapshot_node, label_segments);
	FIELD(weir_snapshot_node, label);
	STRUCT(weir_snapshot_edge);
	FIELD(weir_snapshot_edge, parent);
	FIELD(weir_snapshot_edge, child);
	FIELD(weir_snapshot_edge, hash);
	FIELD(weir_snapshot_edge, segment);
	STRUCT(weir_snapshot_host);
	FIELD(weir_snapshot_host, name);
	FIELD(weir_snapshot_host, root);
	STRUCT(weir_snapshot_target);
	FIELD(weir_snapshot_target, route_id);
	FIELD(weir_snapshot_target, function);
	FIELD(weir_snapshot_target, method);
	FIELD(weir_snapshot_target, flags);
	FIELD(weir_snapshot_target, param_count);
	FIELD(weir_snapshot_target, role);
	FIELD(weir_snapshot_target, params_first);
	FIELD(weir_snapshot_target, timeout_ms);
	FIELD(weir_snapshot_target, pattern);
}

static void print_snapshot_keys(void)
{
	NUMBER(WEIR_SNAPSHOT_TARGET_LOCAL);
	NUMBER(WEIR_SNAPSHOT_TARGET_REQUIRED);
	NUMBER(WEIR_SNAPSHOT_TARGET_ASKS);
	STRUCT(weir_snapshot_key);
	FIELD(weir_snapshot_key, id);
	FIELD(weir_snapshot_key, digest);
	FIELD(weir_snapshot_key, expires_s);
	FIELD(weir_snapshot_key, role);
	FIELD(weir_snapshot_key, space);
	NUMBER(WEIR_SNAPSHOT_KEYS_MAX);
	NUMBER(WEIR_ROLE_NOBODY);
	NUMBER(WEIR_ROLE_INVOKER);
	NUMBER(WEIR_ROLE_DEVELOPER);
	NUMBER(WEIR_ROLE_ADMIN);
}

static void print_snapshot(void)
{
	NUMBER(WEIR_SNAPSHOT_ABI_MAJOR);
	NUMBER(WEIR_SNAPSHOT_MAGIC);
	STRUCT(weir_snapshot_string);
	FIELD(weir_snapshot_string, offset);
	FIELD(weir_snapshot_string, bytes);
	STRUCT(weir_snapshot_table);
	FIELD(weir_snapshot_table, offset);
	FIELD(weir_snapshot_table, count);
	FIELD(weir_snapshot_table, stride);
	STRUCT(weir_snapshot_header);
	FIELD(weir_snapshot_header, magic);
	FIELD(weir_snapshot_header, abi_major);
	FIELD(weir_snapshot_header, header_bytes);
	FIELD(weir_snapshot_header, bytes);
	FIELD(weir_snapshot_header, checksum);
	FIELD(weir_snapshot_header, generation);
	FIELD(weir_snapshot_header, hash_seed);
	FIELD(weir_snapshot_header, built_ns);
	FIELD(weir_snapshot_header, settings);
	FIELD(weir_snapshot_header, root);
	FIELD(weir_snapshot_header, functions);
	FIELD(weir_snapshot_header, specs);
	FIELD(weir_snapshot_header, pools);
	FIELD(weir_snapshot_header, nodes);
	FIELD(weir_snapshot_header, edges);
	FIELD(weir_snapshot_header, hosts);
	FIELD(weir_snapshot_header, targets);
	FIELD(weir_snapshot_header, params);
	FIELD(weir_snapshot_header, keys);
	FIELD(weir_snapshot_header, strings);
}

static void print_environment(void)
{
	NUMBER(WEIR_ENVIRONMENT_MAGIC);
	NUMBER(WEIR_ENVIRONMENT_BYTES_MAX);
	NUMBER(WEIR_ENVIRONMENT_VARIABLES_MAX);
	NUMBER(WEIR_ENVIRONMENT_TEXT_BYTES_MAX);
	STRUCT(weir_environment_header);
	FIELD(weir_environment_header, magic);
	FIELD(weir_environment_header, bytes);
	FIELD(weir_environment_header, count);
	FIELD(weir_environment_header, reserved);
	STRUCT(weir_environment_row);
	FIELD(weir_environment_row, id);
	FIELD(weir_environment_row, version);
	FIELD(weir_environment_row, offset);
	FIELD(weir_environment_row, bytes);
}

static void print_scores(void)
{
	STRUCT(weir_board_score);
	FIELD(weir_board_score, change);
	FIELD(weir_board_score, worker_id);
	FIELD(weir_board_score, at_ns);
	FIELD(weir_board_score, sampled_ns);
	FIELD(weir_board_score, picks);
	FIELD(weir_board_score, cpu);
	FIELD(weir_board_score, memory);
	FIELD(weir_board_score, io);
	FIELD(weir_board_score, remote);
	FIELD(weir_board_score, in_flight);
	FIELD(weir_board_score, in_flight_limit);
	FIELD(weir_board_score, parked);
	FIELD(weir_board_score, parked_limit);
	FIELD(weir_board_score, score);
	FIELD(weir_board_score, source);
	FIELD(weir_board_score, policy);
	FIELD(weir_board_score, has_room);
	FIELD(weir_board_score, weights);
	STRUCT(weir_board_pick);
	FIELD(weir_board_pick, at_ns);
	FIELD(weir_board_pick, worker_id);
	FIELD(weir_board_pick, price);
	STRUCT(weir_board_picks);
	FIELD(weir_board_picks, count);
	FIELD(weir_board_picks, pick);
}

static void print_node(void)
{
	STRUCT(weir_board_node);
	FIELD(weir_board_node, number);
	FIELD(weir_board_node, cpu_count);
	FIELD(weir_board_node, memory_bytes);
	FIELD(weir_board_node, pages);
	FIELD(weir_board_node, pages_astray);
	FIELD(weir_board_node, cpus);
	FIELD(weir_board_node, distance);
}

static void print_pools(void)
{
	STRUCT(weir_board_starts);
	FIELD(weir_board_starts, count);
	FIELD(weir_board_starts, sum_ns);
	FIELD(weir_board_starts, last_ns);
	FIELD(weir_board_starts, max_ns);
	STRUCT(weir_board_pool);
	FIELD(weir_board_pool, key);
	FIELD(weir_board_pool, runtime);
	FIELD(weir_board_pool, workers_min);
	FIELD(weir_board_pool, workers_max);
	FIELD(weir_board_pool, wanted);
	FIELD(weir_board_pool, ready);
	FIELD(weir_board_pool, demand);
	FIELD(weir_board_pool, target);
	FIELD(weir_board_pool, cpu_millicores);
	FIELD(weir_board_pool, memory_mb);
	FIELD(weir_board_pool, starts);
	FIELD(weir_board_pool, cold);
	FIELD(weir_board_pool, space);
	FIELD(weir_board_pool, function);
	STRUCT(weir_board_queue);
	FIELD(weir_board_queue, pool_key);
	FIELD(weir_board_queue, waiting);
	FIELD(weir_board_queue, asking);
	FIELD(weir_board_queue, asked);
}

static void print_board(void)
{
	NUMBER(WEIR_BOARD_MAGIC);
	print_pools();
	STRUCT(weir_board_shard);
	FIELD(weir_board_shard, metric);
	STRUCT(weir_board_process);
	FIELD(weir_board_process, kind);
	FIELD(weir_board_process, state);
	FIELD(weir_board_process, pid);
	FIELD(weir_board_process, runtime);
	FIELD(weir_board_process, id);
	FIELD(weir_board_process, pool_key);
	FIELD(weir_board_process, started_ns);
	FIELD(weir_board_process, restarts);
	FIELD(weir_board_process, accepted);
	FIELD(weir_board_process, finished);
	FIELD(weir_board_process, service_ns);
	FIELD(weir_board_process, parked);
	FIELD(weir_board_process, parked_max);
	FIELD(weir_board_process, links);
	FIELD(weir_board_process, load);
	FIELD(weir_board_process, load_at_ns);
	FIELD(weir_board_process, rss_bytes);
	FIELD(weir_board_process, rss_at_ns);
	FIELD(weir_board_process, load_source);
	FIELD(weir_board_process, cpu_millicores);
	FIELD(weir_board_process, memory_mb);
	FIELD(weir_board_process, home);
	FIELD(weir_board_process, pages);
	FIELD(weir_board_process, pages_astray);
	FIELD(weir_board_process, space);
	FIELD(weir_board_process, function);
	print_scores();
	print_node();
	STRUCT(weir_board);
	FIELD(weir_board, magic);
	FIELD(weir_board, abi_major);
	FIELD(weir_board, shard_count);
	FIELD(weir_board, bytes);
	FIELD(weir_board, started_ns);
	FIELD(weir_board, generation);
	FIELD(weir_board, segments);
	FIELD(weir_board, segment_bytes);
	FIELD(weir_board, change);
	FIELD(weir_board, process_count);
	FIELD(weir_board, missing);
	FIELD(weir_board, sandbox);
	FIELD(weir_board, load);
	FIELD(weir_board, steering);
	FIELD(weir_board, load_period_ns);
	FIELD(weir_board, load_source);
	FIELD(weir_board, node_count);
	FIELD(weir_board, pages_ns);
	FIELD(weir_board, pages_left_out);
	FIELD(weir_board, pages_error);
	FIELD(weir_board, shard_cpu);
	FIELD(weir_board, shard_node);
	FIELD(weir_board, node);
	FIELD(weir_board, load_unplaced);
	FIELD(weir_board, pool_count);
	FIELD(weir_board, process);
	FIELD(weir_board, pool);
	FIELD(weir_board, shard);
	FIELD(weir_board, queue);
}

static void print_activation(void)
{
	NUMBER(WEIR_ACTIVATIONS_MAGIC);
	NUMBER(WEIR_ACTIVATION_CELLS);
	NUMBER(WEIR_ACTIVATION_UNIT_SHIFT);
	NUMBER(WEIR_ACTIVATION_READER_GATHERS);
	NUMBER(WEIR_ACTIVATION_CPU_KNOWN);
	STRUCT(weir_activation);
	FIELD(weir_activation, id_high);
	FIELD(weir_activation, parent_high);
	FIELD(weir_activation, function_id);
	FIELD(weir_activation, route_id);
	FIELD(weir_activation, worker_id);
	FIELD(weir_activation, arrived_ns);
	FIELD(weir_activation, total_ns);
	FIELD(weir_activation, run_ns);
	FIELD(weir_activation, answer_bytes);
	FIELD(weir_activation, request_bytes);
	FIELD(weir_activation, parse_units);
	FIELD(weir_activation, queue_units);
	FIELD(weir_activation, dispatch_units);
	FIELD(weir_activation, reply_units);
	FIELD(weir_activation, cpu_units);
	FIELD(weir_activation, version);
	FIELD(weir_activation, status);
	FIELD(weir_activation, failure);
	FIELD(weir_activation, flags);
	FIELD(weir_activation, caller_id);
	STRUCT(weir_activation_ring);
	FIELD(weir_activation_ring, tail);
	FIELD(weir_activation_ring, lost);
	FIELD(weir_activation_ring, head);
	FIELD(weir_activation_ring, cell);
	STRUCT(weir_activations);
	FIELD(weir_activations, shard_count);
	FIELD(weir_activations, reader);
}

static void print_control(void)
{
	NUMBER(WEIR_CONTROL_MAGIC);
	NUMBER(WEIR_CONTROL_FD);
	NUMBER(WEIR_CONTROL_READY);
	NUMBER(WEIR_CONTROL_DEMAND);
	NUMBER(WEIR_CONTROL_OUTPUT_GONE);
	STRUCT(weir_control);
	FIELD(weir_control, magic);
	FIELD(weir_control, kind);
	FIELD(weir_control, abi_major);
	FIELD(weir_control, gateway_start.shard_count);
	FIELD(weir_control, gateway_start.cpu);
	FIELD(weir_control, gateway_start.memory_node);
	FIELD(weir_control, listen.local);
	FIELD(weir_control, listen.address);
	FIELD(weir_control, worker_start.worker_id);
	FIELD(weir_control, worker_start.pool_key);
	FIELD(weir_control, worker_start.space);
	FIELD(weir_control, link_open.link_id);
	FIELD(weir_control, link_open.worker_id);
	FIELD(weir_control, link_open.pool_key);
	FIELD(weir_control, link_open.shard_count);
	FIELD(weir_control, link_open.worker_pid);
	FIELD(weir_control, link_open.home);
	FIELD(weir_control, link_open.remote);
	FIELD(weir_control, link.link_id);
	FIELD(weir_control, link.worker_id);
	FIELD(weir_control, snapshot.generation);
	FIELD(weir_control, snapshot_ack.generation);
	FIELD(weir_control, snapshot_ack.shards_acked);
	FIELD(weir_control, snapshot_ack.shards_total);
	FIELD(weir_control, snapshot_ack.took_ns);
	FIELD(weir_control, worker_kill.worker_id);
	FIELD(weir_control, worker_kill.function_id);
	FIELD(weir_control, worker_kill.reason);
	FIELD(weir_control, demand.pool_key);
	FIELD(weir_control, demand.waiting);
	FIELD(weir_control, demand.urgent);
	FIELD(weir_control, cold_start.worker_id);
	FIELD(weir_control, cold_start.took_ns);
	FIELD(weir_control, demand.shard);
	FIELD(weir_control, output.worker_id);
	FIELD(weir_control, output.space);
}

static void print_output(void)
{
	NUMBER(WEIR_OUTPUT_MAGIC);
	NUMBER(WEIR_OUTPUT_STREAMS);
	STRUCT(weir_output_head);
	FIELD(weir_output_head, magic);
	FIELD(weir_output_head, entry_count);
	FIELD(weir_output_head, name_bytes);
	FIELD(weir_output_head, activation_high);
	FIELD(weir_output_head, activation_low);
	FIELD(weir_output_head, dropped);
	STRUCT(weir_output_entry);
	FIELD(weir_output_entry, time_ns);
	FIELD(weir_output_entry, text_bytes);
	FIELD(weir_output_entry, stream);
	FIELD(weir_output_entry, reserved);
}

static void print_load(void)
{
	NUMBER(WEIR_LOAD_MAGIC);
	NUMBER(WEIR_LOAD_SLOTS);
	NUMBER(WEIR_LOAD_UNIT_SHIFT);
	NUMBER(WEIR_LOAD_RUNNING_SHIFT);
	NUMBER(WEIR_LOAD_SOURCE_CLOCKS);
	NUMBER(WEIR_LOAD_SOURCE_PROBES);
#define PRINT_COUNT(name, word, unit) NUMBER(WEIR_LOAD_##name);
	WEIR_LOAD_COUNTS(PRINT_COUNT)
#undef PRINT_COUNT
	STRUCT(weir_load_slot);
	FIELD(weir_load_slot, worker_id);
	FIELD(weir_load_slot, tag);
	FIELD(weir_load_slot, source);
	FIELD(weir_load_slot, epoch_ns);
	FIELD(weir_load_slot, change);
	FIELD(weir_load_slot, sampled_ns);
	FIELD(weir_load_slot, rss_bytes);
	FIELD(weir_load_slot, exited_ns);
	FIELD(weir_load_slot, tgid);
	FIELD(weir_load_slot, reserved);
	FIELD(weir_load_slot, clock);
	FIELD(weir_load_slot, probe);
	STRUCT(weir_load_board);
	FIELD(weir_load_board, magic);
	FIELD(weir_load_board, slot_count);
	FIELD(weir_load_board, source);
	FIELD(weir_load_board, bytes);
	FIELD(weir_load_board, created_ns);
	FIELD(weir_load_board, period_ns);
	FIELD(weir_load_board, sampled_ns);
	FIELD(weir_load_board, unplaced);
	FIELD(weir_load_board, reserved);
	FIELD(weir_load_board, why);
	FIELD(weir_load_board, slot);
}

int main(void)
{
	print_message();
	print_link();
	print_head();
	print_settings();
	print_snapshot_rows();
	print_snapshot_keys();
	print_snapshot();
	print_environment();
	print_board();
	print_control();
	print_activation();
	print_output();
	print_load();
	return 0;
}
