/* assert: checks of our own invariants, always on in release builds too.
 * Never use these on another process's bytes: those are copied, checked and refused.
 * WEIR_DEBUG_ASSERT is for loops that run per request; it compiles away without WEIR_DEBUG_ASSERTS. */
#ifndef WEIR_DATAPLANE_BASE_ASSERT_H
#define WEIR_DATAPLANE_BASE_ASSERT_H

/* Write the failed condition with its place to the log (log.h) and abort. Any thread. */
_Noreturn void weir_assert_failed(const char *condition, const char *file, int line);

#define WEIR_ASSERT(condition)                                              \
	do {                                                                \
		if (__builtin_expect(!(condition), 0))                      \
			weir_assert_failed(#condition, __FILE__, __LINE__); \
	} while (0)

#ifdef WEIR_DEBUG_ASSERTS
#define WEIR_DEBUG_ASSERT(condition) WEIR_ASSERT(condition)
#else
#define WEIR_DEBUG_ASSERT(condition) ((void)sizeof(condition))
#endif

#endif
