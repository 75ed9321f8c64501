/* limits: every bound of the gateway that is not a setting, in one place. */
#ifndef WEIR_DATAPLANE_GATEWAY_LIMITS_H
#define WEIR_DATAPLANE_GATEWAY_LIMITS_H

enum {
	WEIR_GATEWAY_LINKS_MAX = 512,
	WEIR_GATEWAY_POOLS_MAX = 1024,
	WEIR_GATEWAY_POOL_LINKS_MAX = WEIR_GATEWAY_LINKS_MAX,
	WEIR_GATEWAY_FUNCTIONS_MAX = 65536, /* power of two; functions seen by one shard */
	WEIR_GATEWAY_LISTENERS_MAX = 16,
	WEIR_GATEWAY_RECEIVE_BUFFERS = 512, /* power of two */
	WEIR_GATEWAY_RECEIVE_BYTES = 4096,
	WEIR_GATEWAY_BODY_SMALL_MAX = 16384, /* larger bodies are received once a worker is bound */
	WEIR_GATEWAY_COPY_MAX = 16384,       /* answers up to this are copied out, the chunk freed */
	WEIR_GATEWAY_OUT_BYTES_MAX = 131072, /* copied answers waiting on one connection */
	WEIR_GATEWAY_WINDOW = 2,             /* large chunks of one call, each way */
	WEIR_GATEWAY_INPUT_LARGE_RESERVE = 32, /* large chunks that bodies leave to answers */
	WEIR_GATEWAY_PEER_BYTES = 46,
	WEIR_GATEWAY_SEND_BYTES_MIN = 256, /* a second, over send_idle_ms: slower readers are cut */
};

#endif
