#include "files/links.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "files/walk.h"

#include "base/banned.h"

#define CAP_MIN 64

static size_t slot_of(const struct files_links *l, dev_t dev, ino_t ino)
{
	uint64_t h =
		((uint64_t)ino ^ (uint64_t)dev << 40) * 0x9e3779b97f4a7c15ULL;
	size_t i = (size_t)(h >> 32) & (l->cap - 1);

	while (l->slots[i].path &&
	       (l->slots[i].ino != ino || l->slots[i].dev != dev))
		i = (i + 1) & (l->cap - 1);
	return i;
}

static int grow(struct files_links *l)
{
	struct files_links bigger = {.cap = l->cap ? 2 * l->cap : CAP_MIN,
	                             .n = l->n};

	bigger.slots = calloc(bigger.cap, sizeof(*bigger.slots));
	if (!bigger.slots)
		return -ENOMEM;
	for (size_t i = 0; i < l->cap; i++)
		if (l->slots[i].path)
			bigger.slots[slot_of(&bigger, l->slots[i].dev,
			                     l->slots[i].ino)] = l->slots[i];
	free(l->slots);
	*l = bigger;
	return 0;
}

int files_links_see(struct files_links *l, dev_t dev, ino_t ino,
                    const char *path, const char **ret)
{
	struct files_links_slot *s;
	int r = 0;

	if (2 * l->n >= l->cap && l->n < FILES_LINKS_MAX)
		r = grow(l);
	if (r < 0)
		return r;
	s = &l->slots[slot_of(l, dev, ino)];
	*ret = s->path;
	if (s->path || l->n >= FILES_LINKS_MAX)
		return 0;
	s->path = strdup(path);
	if (!s->path)
		return -ENOMEM;
	s->dev = dev;
	s->ino = ino;
	l->n++;
	return 0;
}

bool files_links_has(const struct files_links *l, dev_t dev, ino_t ino)
{
	return l->cap && l->slots[slot_of(l, dev, ino)].path;
}

void files_links_release(struct files_links *l)
{
	for (size_t i = 0; i < l->cap; i++)
		free(l->slots[i].path);
	free(l->slots);
	*l = (struct files_links){0};
}
