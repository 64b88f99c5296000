/*
 * What a guest may write to its serial port, in portions. The tail must be the
 * last bytes, the panic's words harmless, the line within its bound.
 */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "vmm/console.h"

static void check(bool ok)
{
	if (!ok)
		abort();
}

static void count(void *arg)
{
	(*(int *)arg)++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct console c;
	const uint8_t *all = data + 1, *tail;
	size_t step, len, done = 0;
	int panics = 0;

	if (size < 2)
		return 0;
	memset(&c, 0, sizeof(c));
	c.sock = c.file_fd = -1;
	c.on_panic = count;
	c.arg = &panics;
	step = data[0] ? data[0] : 20000;
	size--;
	while (done < size) {
		size_t n = MIN(step, size - done);

		console_feed(&c, all + done, n);
		done += n;
		check(c.line_len <= CONSOLE_LINE_MAX);
	}
	tail = tail_get(&c.tail, &len);
	check(len == MIN(size, (size_t)TAIL_MAX));
	check(memcmp(tail, all + size - len, len) == 0);
	check(panics == (c.panicked ? 1 : 0));
	for (const char *p = c.panic; *p; p++)
		check(*p == '\t' || ((unsigned char)*p >= 0x20 && *p != 0x7f));
	return 0;
}
