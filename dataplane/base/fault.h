/* fault: named points in the code where a test can make this process die, stop or fail.
 *   WEIR_FAULT(ring_push_before_publish);      // nothing in release builds
 * With WEIR_FAULT_POINTS, WEIR_FAULT="name:kill:3" in the environment sends this process SIGKILL
 * the third time it passes `name`; "name:stop:1" sends SIGSTOP, "name:abort:1" calls abort().
 *   if (WEIR_FAULT_FAILS(gateway_ring_plain))  // false in release builds
 * With "name:fail:3" that is true from the third time on: what comes there is to fail. */
#ifndef WEIR_DATAPLANE_BASE_FAULT_H
#define WEIR_DATAPLANE_BASE_FAULT_H

#include <stdbool.h>

#ifdef WEIR_FAULT_POINTS
/* Count one pass of the point `name`, and do what WEIR_FAULT asks for it. Any thread. */
void weir_fault_pass(const char *name);
#define WEIR_FAULT(name) weir_fault_pass(#name)

/* Count one pass of the point `name`; true if it is to fail. Any thread. */
bool weir_fault_fails(const char *name);
#define WEIR_FAULT_FAILS(name) weir_fault_fails(#name)
#else
#define WEIR_FAULT(name) ((void)0)
#define WEIR_FAULT_FAILS(name) false
#endif

#endif
