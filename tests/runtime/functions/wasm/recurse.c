/* The result is used after the call, so that no compiler makes it a loop. */
static __attribute__((noinline)) int down(volatile int depth)
{
	if (depth < 0)
		return 0;
	return down(depth + 1) + depth;
}

int main(void)
{
	return down(1) == 0;
}
