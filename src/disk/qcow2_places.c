#include <stdlib.h>

#include "base/cleanup.h"
#include "disk/qcow2.h"

#include "base/banned.h"

/* A file may choose the numbers, but not the seed's place among the bits. */
static size_t slot_of(const struct places *p, uint64_t cluster)
{
	uint64_t h = cluster * 0x9e3779b97f4a7c15ULL;
	size_t i = (size_t)(h >> 20) & (p->size - 1);

	while (p->v[i] && p->v[i] != cluster)
		i = (i + 1) & (p->size - 1);
	return i;
}

bool places_has(const struct places *p, uint64_t cluster)
{
	return p->n && cluster && p->v[slot_of(p, cluster)] == cluster;
}

static bool grow(struct places *p)
{
	struct places bigger = {.size = p->size ? p->size * 2 : 64};

	bigger.v = calloc(bigger.size, sizeof(*bigger.v));
	if (!bigger.v)
		return false;
	for (size_t i = 0; i < p->size; i++)
		if (p->v[i])
			bigger.v[slot_of(&bigger, p->v[i])] = p->v[i];
	bigger.n = p->n;
	free(p->v);
	*p = bigger;
	return true;
}

bool places_add(struct places *p, uint64_t cluster)
{
	size_t i;

	if (!cluster || (p->n * 2 >= p->size && !grow(p)))
		return false;
	i = slot_of(p, cluster);
	if (p->v[i])
		return false;
	p->v[i] = cluster;
	p->n++;
	return true;
}

/* What follows in the same row moves up, so that it is still found. */
void places_drop(struct places *p, uint64_t cluster)
{
	size_t i;

	if (!places_has(p, cluster))
		return;
	i = slot_of(p, cluster);
	p->v[i] = 0;
	p->n--;
	for (i = (i + 1) & (p->size - 1); p->v[i];
	     i = (i + 1) & (p->size - 1)) {
		uint64_t again = p->v[i];

		p->v[i] = 0;
		p->v[slot_of(p, again)] = again;
	}
}
