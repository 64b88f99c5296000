#include "vmm/ping.h"

#include <stddef.h>

#include "base/banned.h"

uint64_t pings_add(struct pings *p, struct client *from, uint64_t cookie)
{
	for (size_t i = 0; i < PINGS_MAX; i++) {
		if (p->list[i].number)
			continue;
		p->list[i].number = ++p->last;
		p->list[i].from = from;
		p->list[i].cookie = cookie;
		return p->last;
	}
	return 0;
}

bool pings_take(struct pings *p, uint64_t number, struct client **ret_from,
                uint64_t *ret_cookie)
{
	for (size_t i = 0; i < PINGS_MAX && number; i++) {
		if (p->list[i].number != number)
			continue;
		p->list[i].number = 0;
		if (!p->list[i].from)
			return false;
		*ret_from = p->list[i].from;
		*ret_cookie = p->list[i].cookie;
		return true;
	}
	return false;
}

void pings_forget(struct pings *p, const struct client *from)
{
	for (size_t i = 0; i < PINGS_MAX; i++)
		if (p->list[i].from == from)
			p->list[i].from = NULL;
}
