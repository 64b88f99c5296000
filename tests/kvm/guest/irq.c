/* irq.c - LAPIC, IOAPIC, and devices that interrupt through them. */
#include "virtio.h"

static void timer(void)
{
	uint32_t had = irq_count[VECTOR_TIMER];

	irq_on();
	lapic_timer(false, 100000);
	CHECK("timer, one shot", WAIT_FOR(irq_count[VECTOR_TIMER] == had + 1));
	pass(SECOND / 100);
	EQUAL("timer, only one", irq_count[VECTOR_TIMER], had + 1);
	lapic_timer(true, 1000000);
	CHECK("timer, again and again",
	      WAIT_FOR(irq_count[VECTOR_TIMER] >= had + 5));
	lapic_timer(true, 0);
	irq_off();
	had = irq_count[VECTOR_TIMER];
	lapic_timer(false, 1000000);
	while (irq_count[VECTOR_TIMER] == had)
		irq_wait();
	ok("timer wakes a halted processor");
}

static void to_itself(void)
{
	uint32_t had = irq_count[VECTOR_IPI];

	irq_on();
	lapic_send(0, 0x44000 | VECTOR_IPI);
	CHECK("interrupt to itself",
	      WAIT_FOR(irq_count[VECTOR_IPI] == had + 1));
	irq_off();
}

static void ask(struct virtio *v, uint8_t *p)
{
	const struct part parts = {p, 16, true};

	queue_describe(v, 0, 0, &parts, 1, 0);
	queue_offer(v, 0, 0);
	queue_kick(v, 0);
}

/* Causes are there with the interrupt and gone when acknowledged. */
static void device(struct virtio *v)
{
	uint8_t *p = pages(1);
	uint32_t had = irq_count[VECTOR(v->gsi)];

	ioapic_route(v->gsi, true);
	CHECK("rng is up", virtio_up(v, 0));
	irq_on();
	ask(v, p);
	CHECK("device interrupts",
	      WAIT_FOR(irq_count[VECTOR(v->gsi)] == had + 1));
	EQUAL("cause is a used buffer", virtio_ack(v), 1);
	EQUAL("cause is gone", read32(v->base + R_INT_STATUS), 0);
	EQUAL("answer is there", queue_wait(v, 0, NULL), 0);

	v->q[0].avail->flags = 1;
	ask(v, p);
	EQUAL("answer without interrupt", queue_wait(v, 0, NULL), 0);
	pass(SECOND / 50);
	EQUAL("none came", irq_count[VECTOR(v->gsi)], had + 1);

	ioapic_route(v->gsi, false);
	v->q[0].avail->flags = 0;
	ask(v, p);
	EQUAL("answer with a masked line", queue_wait(v, 0, NULL), 0);
	pass(SECOND / 50);
	EQUAL("none came either", irq_count[VECTOR(v->gsi)], had + 1);
	irq_off();
}

static void asleep(struct virtio *v, uint64_t features)
{
	int good = 0;

	ioapic_route(v->gsi, true);
	v->sleep = true;
	if (!virtio_up(v, features)) {
		fail("rng", "does not start");
		return;
	}
	for (int i = 0; i < 100; i++)
		good += rng_works(v);
	EQUAL("requests slept for", good, 100);
	v->sleep = false;
}

/* Each device has a line of its own: nobody else's handler runs. */
static void lines(struct virtio *a, struct virtio *b)
{
	uint32_t had_a, had_b;

	CHECK("lines differ", a->gsi != b->gsi);
	ioapic_route(a->gsi, true);
	ioapic_route(b->gsi, true);
	CHECK("both are up", virtio_up(a, 0) && virtio_up(b, 0));
	had_a = irq_count[VECTOR(a->gsi)];
	had_b = irq_count[VECTOR(b->gsi)];
	irq_on();
	CHECK("first works", rng_works(a));
	CHECK("first interrupts", WAIT_FOR(irq_count[VECTOR(a->gsi)] > had_a));
	EQUAL("second is silent", irq_count[VECTOR(b->gsi)], had_b);
	irq_off();
}

void guest_main(void)
{
	struct virtio *v = virtio_find(VIRTIO_RNG, 0);
	struct virtio *w = virtio_find(VIRTIO_RNG, 1);

	lapic_on();
	timer();
	to_itself();
	if (!v || !w) {
		fail("rng", "two are needed");
		return;
	}
	device(v);
	asleep(v, 0);
	asleep(v, F_EVENT_IDX);
	lines(v, w);
}
