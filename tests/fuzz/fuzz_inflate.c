/* Any bytes as a layer's compressed stream, in and out in odd pieces. */
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "image/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OUTPUT_MAX (4u << 20)

struct mem {
	const uint8_t *data;
	size_t len, at, step;
};

static ssize_t mem_read(void *arg, void *data, size_t len, struct err *err)
{
	struct mem *m = arg;
	size_t n = MIN(m->len - m->at, MIN(len, m->step));

	(void)err;
	memcpy(data, m->data + m->at, n);
	m->at += n;
	return (ssize_t)n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mem m = {data + 1, size - 1, 0, 0};
	struct layer_source src = {mem_read, &m};
	struct inflate *z;
	static uint8_t out[8192];
	size_t piece, total = 0;
	struct err err;
	ssize_t n;

	if (size == 0)
		return 0;
	m.step = data[0] & 1 ? 1 + (data[0] >> 4) : SIZE_MAX;
	piece = data[0] & 2 ? 1 + (data[0] >> 3) : sizeof(out);
	z = inflate_new(&src);
	if (!z)
		abort();
	do {
		n = inflate_read(z, out, piece, &err);
		if (n > (ssize_t)piece)
			abort();
		total += n > 0 ? (size_t)n : 0;
	} while (n > 0 && total < OUTPUT_MAX);
	if (n == 0 && inflate_taken(z) != m.len)
		abort();
	inflate_free(z);
	return 0;
}
