#include "dataplane/base/cpu.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>

#include "dataplane/base/assert.h"

enum {
	MASK_BITS = 8192, /* machines may have more CPUs than WEIR_CPU_MAX; the kernel refuses a mask that is too short */
	NUMBER_DIGITS_MAX = 9,
};

int weir_cpu_list(uint16_t *out_cpus, size_t max)
{
	cpu_set_t *mask = CPU_ALLOC(MASK_BITS);
	const size_t mask_bytes = CPU_ALLOC_SIZE(MASK_BITS);
	size_t count = 0;

	WEIR_ASSERT(out_cpus != NULL || max == 0);
	if (mask == NULL)
		return -ENOMEM;
	CPU_ZERO_S(mask_bytes, mask);
	if (sched_getaffinity(0, mask_bytes, mask) != 0) {
		const int error = errno;

		CPU_FREE(mask);
		return -error;
	}
	for (unsigned int cpu = 0; cpu < WEIR_CPU_MAX && count < max; cpu++) {
		if (CPU_ISSET_S(cpu, mask_bytes, mask))
			out_cpus[count++] = (uint16_t)cpu;
	}
	CPU_FREE(mask);
	return (int)count;
}

/* A decimal number of `bytes` digits and nothing else; -1 otherwise. */
static long number_parse(const char *text, size_t bytes)
{
	long number = 0;

	if (bytes == 0 || bytes > NUMBER_DIGITS_MAX)
		return -1;
	for (size_t i = 0; i < bytes; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		number = number * 10 + (text[i] - '0');
	}
	return number;
}

/* One element "N" or "A-B". 0 or -EINVAL. */
static int range_parse(const char *text, size_t bytes, long *out_first, long *out_last)
{
	const char *const dash = memchr(text, '-', bytes);
	const size_t first_bytes = dash == NULL ? bytes : (size_t)(dash - text);

	*out_first = number_parse(text, first_bytes);
	*out_last = dash == NULL ? *out_first : number_parse(dash + 1, bytes - first_bytes - 1);
	if (*out_first < 0 || *out_last < *out_first || *out_last >= WEIR_CPU_MAX)
		return -EINVAL;
	return 0;
}

int weir_cpu_list_parse(const char *text, uint16_t *out_cpus, size_t max)
{
	uint16_t cpus[WEIR_CPU_MAX];
	bool seen[WEIR_CPU_MAX] = {false};
	size_t count = 0;

	while (true) {
		const size_t bytes = strcspn(text, ",\n");
		long first = 0;
		long last = 0;

		if (range_parse(text, bytes, &first, &last) != 0)
			return -EINVAL;
		for (long cpu = first; cpu <= last; cpu++) {
			if (seen[cpu] || count == max || count == WEIR_CPU_MAX)
				return -EINVAL;
			seen[cpu] = true;
			cpus[count++] = (uint16_t)cpu;
		}
		if (text[bytes] != ',')
			break;
		text += bytes + 1;
	}
	memcpy(out_cpus, cpus, count * sizeof(cpus[0]));
	return (int)count;
}

int weir_cpu_bind_all(const uint16_t *cpus, size_t count)
{
	cpu_set_t *mask = CPU_ALLOC(MASK_BITS);
	const size_t mask_bytes = CPU_ALLOC_SIZE(MASK_BITS);
	int error = 0;

	if (mask == NULL)
		return -ENOMEM;
	CPU_ZERO_S(mask_bytes, mask);
	for (size_t i = 0; i < count; i++) {
		if (cpus[i] < MASK_BITS)
			CPU_SET_S(cpus[i], mask_bytes, mask);
	}
	if (sched_setaffinity(0, mask_bytes, mask) != 0)
		error = -errno;
	CPU_FREE(mask);
	return error;
}

int weir_cpu_bind(uint16_t number)
{
	return weir_cpu_bind_all(&number, 1);
}
