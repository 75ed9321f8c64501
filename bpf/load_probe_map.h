/* load_probe_map: what the two ways to a struct weir_probe share: loading programs, and taking over
 * the descriptors of those that are loaded. */
#ifndef WEIR_BPF_LOAD_PROBE_MAP_H
#define WEIR_BPF_LOAD_PROBE_MAP_H

#include "bpf/load_probe.h"

/* Map board and table, descriptors 0 and 1. 0 or -errno; weir_probe_close() either way. */
int weir_probe_map(struct weir_probe *probe);

#endif
