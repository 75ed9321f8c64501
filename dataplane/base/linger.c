#include "dataplane/base/linger.h"

enum {
	FAILURES_MAX = 12,
	FAILURES_STOLEN = 4,  /* what a stolen CPU counts for */
	OFF_NS_SHIFT = 16,    /* off for 2^(16 + failures) ns: 131 us to 268 ms */
};

void weir_linger_learn(struct weir_linger *linger, uint64_t now_ns, uint64_t yield_ns, bool answered)
{
	if (yield_ns >= WEIR_LINGER_STOLEN_NS) {
		linger->failures += FAILURES_STOLEN;
	} else if (answered) {
		linger->failures /= 2;
		return;
	} else {
		linger->failures++;
	}
	if (linger->failures > FAILURES_MAX)
		linger->failures = FAILURES_MAX;
	linger->off_until_ns = now_ns + (UINT64_C(1) << (OFF_NS_SHIFT + linger->failures));
}
