/* The walk over a virtqueue: 12 bytes of geometry, then guest memory. */
#include "fuzz_guest.h"

#include "base/cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct fuzz_guest *g, const struct iov *s)
{
	size_t sum = 0;

	for (unsigned i = 0; i < s->n; i++) {
		const uint8_t *p = s->v[i].iov_base;
		size_t n = s->v[i].iov_len;
		bool in = false;

		for (unsigned part = 0; part < 2; part++)
			in |= p >= g->part[part] &&
			      p + n <= g->part[part] + FUZZ_PART;
		if (!in || !n)
			abort();
		sum += n;
	}
	if (sum != s->len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct cursor c = cur_init(data, len);
	struct vq_layout at = {.size = cur_u8(&c), .next = cur_u8(&c)};
	uint64_t features = (uint64_t)cur_u8(&c) << VIRTIO_F_INDIRECT_DESC;
	struct vq_chain chain;
	struct fuzz_guest g;

	if (!(cur_u8(&c) & 1))
		at.size = FUZZ_SIZE;
	at.desc = cur_le16(&c);
	at.avail = cur_le16(&c);
	at.used = cur_le16(&c);
	(void)cur_le16(&c);
	if (!cur_ok(&c))
		return 0;
	fuzz_ram(&g, c.p, cur_left(&c));
	if (vq_start(&g.vqs[0], &at, VQ_SIZE_MAX, &g.mem, features) == 0) {
		for (int i = 0; i < 64; i++) {
			int r = vq_pop(&g.vqs[0], &g.mem, &chain);

			if (r < 0 && (!g.vqs[0].why || g.vqs[0].ready))
				abort();
			if (r <= 0)
				break;
			if (chain.out.n + chain.in.n > VQ_CHAIN_MAX)
				abort();
			check(&g, &chain.out);
			check(&g, &chain.in);
			vq_push(&g.vqs[0], chain.head, (uint32_t)i);
			(void)vq_must_interrupt(&g.vqs[0]);
			(void)vq_rearm(&g.vqs[0]);
		}
	}
	free(g.part[0]);
	free(g.part[1]);
	return 0;
}
