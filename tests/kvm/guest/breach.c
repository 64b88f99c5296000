/* breach.c - the table of breach.h: virtio 1.2, section 2.7, turned round. */
#include "breach.h"

#define NOWHERE 0xd8000000ull /* no memory, no device */

struct virtio *v;
struct queue *k;
uint32_t q;
uint8_t *page;

static void one(uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	k->desc[0] = (struct desc){addr, len, flags, next};
	queue_offer(v, q, 0);
}

static void buffer_nowhere(void)
{
	one(NOWHERE, 64, D_WRITE, 0);
}

static void buffer_behind_memory(void)
{
	one(ram_end() - 32, 64, D_WRITE, 0);
}

static void buffer_on_a_device(void)
{
	one(v->base, 64, D_WRITE, 0);
}

static void buffer_wraps(void)
{
	one(~0ull - 15, 64, D_WRITE, 0);
}

static void buffer_of_4_gib(void)
{
	one((uint64_t)page, ~0u, D_WRITE, 0);
}

static void length_zero(void)
{
	one((uint64_t)page, 0, D_WRITE, 0);
}

static void length_zero_nowhere(void)
{
	one(NOWHERE, 0, 0, 0);
}

static void next_outside(void)
{
	one((uint64_t)page, 16, D_NEXT, QSIZE);
}

static void chain_to_itself(void)
{
	one((uint64_t)page, 16, D_NEXT, 0);
}

static void chain_of_two_loops(void)
{
	k->desc[1] = (struct desc){(uint64_t)page, 16, D_NEXT, 0};
	one((uint64_t)page, 16, D_NEXT, 1);
}

/* No bytes, so no bound on bytes or pieces ends it. */
static void chain_of_nothing_loops(void)
{
	one((uint64_t)page, 0, D_NEXT, 0);
}

static void readable_behind_writable(void)
{
	k->desc[1] = (struct desc){(uint64_t)page, 16, 0, 0};
	one((uint64_t)page, 16, D_NEXT | D_WRITE, 1);
}

static void head_outside(void)
{
	queue_offer(v, q, QSIZE);
}

static void head_far_outside(void)
{
	queue_offer(v, q, 0xffff);
}

static void index_jumps(void)
{
	k->avail->idx = QSIZE + 1;
}

static void index_goes_back(void)
{
	k->avail->idx = 0xffff;
}

static void indirect(uint64_t addr, uint32_t len, uint16_t flags)
{
	k->desc[0] = (struct desc){addr, len, D_INDIRECT | flags, 1};
	queue_offer(v, q, 0);
}

static void indirect_in_indirect(void)
{
	k->indirect[0] =
		(struct desc){(uint64_t)k->indirect, 16, D_INDIRECT, 0};
	indirect((uint64_t)k->indirect, 16, 0);
}

static void indirect_with_next(void)
{
	indirect((uint64_t)k->indirect, 16, D_NEXT);
}

static void indirect_of_odd_length(void)
{
	indirect((uint64_t)k->indirect, 17, 0);
}

static void indirect_empty(void)
{
	indirect((uint64_t)k->indirect, 0, 0);
}

static void indirect_nowhere(void)
{
	indirect(NOWHERE, 16, 0);
}

static void indirect_huge(void)
{
	indirect((uint64_t)k->indirect, 0xfffffff0, 0);
}

static void indirect_loops(void)
{
	k->indirect[0] = (struct desc){(uint64_t)page, 16, D_NEXT, 1};
	k->indirect[1] = (struct desc){(uint64_t)page, 16, D_NEXT, 0};
	indirect((uint64_t)k->indirect, 32, 0);
}

static void indirect_next_outside(void)
{
	k->indirect[0] = (struct desc){(uint64_t)page, 16, D_NEXT, 2};
	indirect((uint64_t)k->indirect, 32, 0);
}

/* The device would overwrite what it is reading. */
static void buffer_is_the_ring(void)
{
	one((uint64_t)k->desc, 3072, D_WRITE, 0);
}

static void storm(void)
{
	for (int i = 0; i < 500; i++)
		queue_notify(v, q);
}

static void storm_of_others(void)
{
	for (uint32_t i = 0; i < 300; i++)
		queue_notify(v, i * 0x01010101);
}

const struct breach breaches[] = {
	{"buffer nowhere",           buffer_nowhere,           BREACH  },
	{"buffer behind memory",     buffer_behind_memory,     BREACH  },
	{"buffer on a device",       buffer_on_a_device,       BREACH  },
	{"buffer wraps",             buffer_wraps,             BREACH  },
	{"buffer of 4 GiB",          buffer_of_4_gib,          BREACH  },
	{"length zero",              length_zero,              ANYTHING},
	{"length zero nowhere",      length_zero_nowhere,      ANYTHING},
	{"next outside",             next_outside,             BREACH  },
	{"chain to itself",          chain_to_itself,          BREACH  },
	{"chain of two loops",       chain_of_two_loops,       BREACH  },
	{"chain of nothing loops",   chain_of_nothing_loops,   BREACH  },
	{"readable behind writable", readable_behind_writable, BREACH  },
	{"head outside",             head_outside,             BREACH  },
	{"head far outside",         head_far_outside,         BREACH  },
	{"index jumps",              index_jumps,              BREACH  },
	{"index goes back",          index_goes_back,          BREACH  },
	{"indirect in indirect",     indirect_in_indirect,     BREACH  },
	{"indirect with next",       indirect_with_next,       BREACH  },
	{"indirect of odd length",   indirect_of_odd_length,   BREACH  },
	{"indirect empty",           indirect_empty,           BREACH  },
	{"indirect nowhere",         indirect_nowhere,         BREACH  },
	{"indirect huge",            indirect_huge,            BREACH  },
	{"indirect loops",           indirect_loops,           BREACH  },
	{"indirect next outside",    indirect_next_outside,    BREACH  },
	{"buffer is the ring",       buffer_is_the_ring,       ANYTHING},
	{"storm of notifications",   storm,                    SHRUG   },
	{"storm for others' queues", storm_of_others,          SHRUG   },
};

const uint32_t nbreaches = ARRAY_SIZE(breaches);
