/* console.c - the virtio console: what it prints, and what is typed. */
#include "virtio.h"

#define RX 0
#define TX 1

static void print(struct virtio *v, const char *text)
{
	const struct part parts = {text, (uint32_t)strlen(text), false};

	if (virtio_request(v, TX, &parts, 1, 0) != 0)
		fail("console", "output was not taken");
}

static void pieces(struct virtio *v)
{
	const struct part parts[] = {
		{"in three",   8, false},
		{" pieces",    7, false},
		{" of text\n", 9, false},
	};

	EQUAL("output in pieces", virtio_request(v, TX, parts, 3, 0), 0);
}

/* More than any socket takes at once: the rest waits, none is lost. */
static void flood(struct virtio *v)
{
	const uint32_t size = 64 * 1024;
	char *p = pages(size / PAGE);
	int good = 0;

	memset(p, '.', size);
	for (int i = 0; i < 16; i++) {
		const struct part parts = {p, size, false};

		good += virtio_request(v, TX, &parts, 1, 0) == 0;
	}
	print(v, "\nthat was 1 MiB\n");
	EQUAL("1 MiB of output", good, 16);
}

/* The host types a line when asked to; it may come in several buffers. */
static void input(struct virtio *v)
{
	static const char want[] = "a line from the host\n";
	char *p = pages(1);
	uint32_t have = 0, len;
	bool asked = false;

	while (have < sizeof(want) - 1) {
		const struct part parts = {p + have, 8, true};

		queue_describe(v, RX, 0, &parts, 1, 0);
		queue_offer(v, RX, 0);
		queue_kick(v, RX);
		if (!asked)
			please("type");
		asked = true;
		if (queue_wait(v, RX, &len) < 0 || len > 8)
			break;
		have += len;
	}
	p[have] = 0;
	CHECK("input", have == sizeof(want) - 1 && !memcmp(p, want, have));
}

void guest_main(void)
{
	struct virtio *v = virtio_find(VIRTIO_CONSOLE, 0);

	lapic_on();
	if (!v || !virtio_up(v, F_INDIRECT | F_EVENT_IDX)) {
		fail("console", v ? "does not start" : "not found");
		return;
	}
	print(v, "hello from the console\n");
	pieces(v);
	flood(v);
	input(v);
	CHECK("once more from the start", virtio_up(v, 0));
	print(v, "hello again\n");
	EQUAL("status in the end", virtio_status(v), 0xf);
}
