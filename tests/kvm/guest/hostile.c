/*
 * hostile.c - rings that break the rules, on every device. Each must stop with
 * NEEDS_RESET or shrug, start again, and leave the others alone.
 */
#include "breach.h"

/*
 * A receive queue is looked at only when there is something to receive, the
 * event queue never.
 */
static bool is_served(void)
{
	switch (v->id) {
	case VIRTIO_CONSOLE:
		return q == 1;
	case VIRTIO_VSOCK:
		return q == 1;
	default:
		return true;
	}
}

static struct virtio *witness;

static bool needs_reset(enum verdict verdict)
{
	if (verdict == BREACH && is_served())
		return virtio_needs_reset(v);
	pass(SECOND / 1000);
	return virtio_status(v) & S_NEEDS_RESET;
}

static void attempt(const struct breach *b)
{
	bool stopped, wrong;

	if (!virtio_up(v, ~0ull)) {
		fail(b->name, "device %u queue %u does not start again: 0x%x",
		     v->id, q, virtio_status(v));
		return;
	}
	k = &v->q[q];
	b->run();
	queue_notify(v, q);
	stopped = needs_reset(b->verdict);
	wrong = b->verdict == SHRUG
	                ? stopped
	                : b->verdict == BREACH && is_served() && !stopped;
	if (wrong)
		fail(b->name, "device %u queue %u status 0x%x", v->id, q,
		     virtio_status(v));
}

static void every_queue(void)
{
	const bool up = virtio_up(v, ~0ull);

	if (!up)
		fail("device", "%u does not start", v->id);
	for (q = 0; up && q < v->nqueues; q++) {
		for (uint32_t i = 0; i < nbreaches; i++)
			attempt(&breaches[i]);
		say("ok device %u queue %u", v->id, q);
		CHECK("others still work", rng_works(witness));
	}
	CHECK("it starts once more", virtio_up(v, 0));
}

void guest_main(void)
{
	witness = virtio_find(VIRTIO_RNG, 0);
	page = pages(1);
	if (!witness || !virtio_up(witness, 0)) {
		fail("witness", "a rng device is needed");
		return;
	}
	for (uint32_t i = 0; i < virtio_count(); i++) {
		v = virtio_at(i);
		if (v != witness)
			every_queue();
	}
	CHECK("the witness saw nothing", virtio_status(witness) == 0xf);
}
