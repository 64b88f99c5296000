/* The search against a naive one: every start, the tail, a stream's cuts. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/needle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define COUNT 8

#define must(ok)                                                               \
	do {                                                                   \
		if (!(ok)) {                                                   \
			(void)fprintf(stderr, "line %d\n", __LINE__);          \
			abort();                                               \
		}                                                              \
	} while (0)

static int naive_at(const struct needle *v, size_t n, const uint8_t *p,
                    size_t left)
{
	int best = -1;

	for (size_t i = 0; i < n; i++)
		if (v[i].len <= left && memcmp(v[i].text, p, v[i].len) == 0 &&
		    (best < 0 || v[i].len > v[best].len))
			best = (int)i;
	return best;
}

static size_t naive_tail(const struct needle *v, size_t n, const uint8_t *data,
                         size_t len)
{
	for (size_t left = len; left > 0; left--)
		for (size_t i = 0; i < n; i++)
			if (v[i].len > left &&
			    memcmp(v[i].text, data + len - left, left) == 0)
				return left;
	return 0;
}

static void check_find(const struct needles *s, const struct needle *v,
                       size_t n, const uint8_t *data, size_t len)
{
	size_t from = 0, at = 0;

	for (size_t i = 0; i < len; i++) {
		int want = naive_at(v, n, data + i, len - i), got;

		if (want < 0)
			continue;
		got = needles_find(s, data, len, from, &at);
		must(got == want && at == i);
		from = i + 1;
	}
	must(needles_find(s, data, len, from, &at) == -1);
}

struct seen {
	size_t n, sum;
};

static void hit(void *arg, unsigned index)
{
	struct seen *seen = arg;

	seen->n++;
	seen->sum += index;
}

/* In a stream, the longest of those that end in the piece. */
static void check_watch(const struct needles *s, const struct needle *v,
                        size_t n, const uint8_t *data, size_t len, uint8_t cut)
{
	struct needle_watch w = {.s = s};
	size_t at = 0;

	while (at < len) {
		size_t step = cut % 13 + 1, end;
		struct seen want = {0}, got = {0};

		cut = (uint8_t)(cut * 5 + 3);
		end = at + step < len ? at + step : len;
		for (size_t i = 0; i < end; i++) {
			int k = naive_at(v, n, data + i, end - i);

			if (k >= 0 && i + v[k].len > at)
				hit(&want, (unsigned)k);
		}
		must(needle_watch_all(&w, data + at, end - at, hit, &got) == 0);
		must(want.n == got.n && want.sum == got.sum);
		must(w.len == naive_tail(v, n, data, end));
		at = end;
	}
	needle_watch_release(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct needle v[COUNT];
	size_t n = 0, longest = 0;
	struct needles *s;
	uint8_t cut, *text;

	if (size < 2)
		return 0;
	cut = data[0];
	data++;
	size--;
	while (n < COUNT && size && data[0] >= 2 && data[0] < 40 &&
	       (size_t)data[0] + 1 < size) {
		v[n] = (struct needle){data + 1, data[0]};
		longest = v[n].len > longest ? v[n].len : longest;
		data += v[n].len + 1;
		size -= v[n].len + 1;
		n++;
	}
	if (size > 2048)
		return 0;
	s = needles_new(v, n);
	must(s && needles_longest(s) == longest);
	text = malloc(size); /* so that ASan sees its end */
	must(text || !size);
	if (size)
		memcpy(text, data, size);
	check_find(s, v, n, text, size);
	must(needles_tail(s, text, size) == naive_tail(v, n, text, size));
	check_watch(s, v, n, text, size, cut);
	for (size_t i = 0; i < n; i++)
		must(needles_len(s, (unsigned)i) == v[i].len &&
		     needles_has(s, *(const uint8_t *)v[i].text));
	free(text);
	needles_free(s);
	return 0;
}
