#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/cursor.h"
#include "base/log.h"
#include "base/num.h"
#include "virtio/balloon.h"
#include "virtio/console.h"
#include "virtio/mmio_int.h"
#include "virtio/rng.h"
#include "virtio/vsock.h"
#include "vmm/disk_dev.h"

#define PART      0x8000u
#define RAM       (2 * PART)
#define SIZE      16u
#define QUEUES    4u     /* of a device; the balloon has so many */
#define SLOT      0x300u /* memory of a queue: 0x100, 0x28, 0x86 bytes */
#define DISK      (64 * 1024)
#define ENDS      8u
#define STEPS_MAX 250

#define D_NEXT 1u

/* A device as its driver knows it. */
struct node {
	enum world_device kind;
	struct virtio_dev *dev;
	struct mmio *m;
	int irq_fd;
	uint64_t rings;
	uint16_t next_desc[QUEUES], avail[QUEUES];
	/* as they were when the device started */
	struct vq started[QUEUES];
	uint64_t features;
	bool active;
	uint32_t generation;
};

struct world {
	struct loop *loop;
	uint8_t *part[2];
	struct guest_mem mem;
	struct node node[WORLD_DEVICES];
	size_t n;
	struct node *of[WORLD_DEVICES]; /* NULL: not in this machine */
	int disk_fd;
	int console[2];
	int end[ENDS]; /* the host's of vsock connections */
	unsigned next_end;
};

/* The line tells what did not hold. */
#define must(condition)                                                        \
	do {                                                                   \
		if (!(condition))                                              \
			must_failed(__LINE__, #condition);                     \
	} while (0)

static void must_failed(int line, const char *condition)
{
	fprintf(stderr, "world.c:%d: %s does not hold\n", line, condition);
	abort();
}

/* For the device model: the same bytes each time. */
ssize_t getrandom(void *p, size_t len, unsigned flags)
{
	(void)flags;
	memset(p, 0x5a, len);
	return (ssize_t)len;
}

/* ---- what must hold ---------------------------------------------------- */

static void check_status(const struct node *n)
{
	uint32_t s = n->m->regs.status;

	must(!!(s & STATUS_NEEDS_RESET) == n->dev->broken);
	must(!(s & STATUS_NEEDS_RESET) || s & STATUS_DRIVER_OK);
	s &= ~(STATUS_NEEDS_RESET | STATUS_FAILED);
	must(s == 0 || s == 1 || s == 3 || s == 0xb || s == 0xf);
	must(!n->dev->active || s & STATUS_DRIVER_OK);
	must(n->dev->active || n->dev->broken || !(s & STATUS_DRIVER_OK));
}

/* Nobody but reset changes what DRIVER_OK froze. */
static void check_frozen(struct node *n)
{
	const struct virtio_dev *d = n->dev;

	if (d->active && !n->active) {
		memcpy(n->started, n->m->vqs, sizeof(n->started));
		n->features = d->features;
	}
	n->active = d->active;
	if (!d->active)
		return;
	must(d->features == n->features);
	must(!(d->features & ~d->offered));
	must(d->features >> VIRTIO_F_VERSION_1 & 1);
	for (unsigned q = 0; q < d->ops->nqueues; q++) {
		const struct vq *now = &d->vqs[q], *then = &n->started[q];

		must(!d->broken || !now->ready);
		must(!now->ready ||
		     (then->desc == now->desc && then->avail == now->avail &&
		      then->used == now->used && then->size == now->size));
	}
}

static void check_node(struct node *n)
{
	const struct virtio_dev *d = n->dev;

	check_status(n);
	check_frozen(n);
	for (unsigned q = 0; q < d->ops->nqueues; q++)
		must(d->active || !d->vqs[q].ready);
	must(n->m->regs.generation >= n->generation);
	n->generation = n->m->regs.generation;
	must(!(atomic_load(&n->m->regs.interrupts) & ~3u));
	must(!n->m->job.run);
}

static uint64_t irqs(const struct node *n)
{
	uint64_t v = 0;

	return read(n->irq_fd, &v, sizeof(v)) < 0 ? 0 : v;
}

static void run(struct world *w, unsigned times)
{
	while (times--)
		must(loop_step(w->loop, 0) == 0);
}

/* ---- the driver -------------------------------------------------------- */

static void poke(struct node *n, uint32_t off, uint32_t v)
{
	uint8_t raw[4];

	put_le32(raw, v);
	mmio_write(n->m, off, raw, sizeof(raw));
}

static uint32_t peek(struct node *n, uint32_t off)
{
	uint8_t raw[4];

	mmio_read(n->m, off, raw, sizeof(raw));
	return get_le32(raw);
}

static void write_ram(struct world *w, uint64_t at, const void *data,
                      size_t len)
{
	const uint8_t *p = data;

	for (; len && at < RAM; at++, len--)
		w->part[at / PART][at % PART] = *p++;
}

static void write_register(struct world *w, struct node *n, struct cursor *c)
{
	uint32_t off = cur_u8(c) % 0x44 * 4u;

	(void)w;
	poke(n, off, cur_le32(c));
}

static void access_anyhow(struct world *w, struct node *n, struct cursor *c)
{
	static const uint8_t widths[] = {1, 2, 4, 8, 3, 0, 5, 7};
	uint8_t how = cur_u8(c), raw[8];
	uint64_t off = cur_le16(c);

	(void)w;
	put_le64(raw, cur_le32(c) * 0x100000001ULL);
	if (how & 8)
		off = off % 0x20 + MMIO_CONFIG;
	if (how & 16)
		mmio_read(n->m, off, raw, widths[how % 8]);
	else
		mmio_write(n->m, off, raw, widths[how % 8]);
}

static void choose_features(struct node *n, uint8_t how)
{
	uint64_t f = n->dev->offered;

	if (how & 1)
		f &= ~(1ULL << VIRTIO_F_EVENT_IDX);
	if (how & 2)
		f &= ~(1ULL << VIRTIO_F_INDIRECT_DESC);
	if (how & 4)
		f &= ~0xffffffULL;
	if (how & 8)
		f &= ~(1ULL << VIRTIO_F_VERSION_1);
	if (how & 16)
		f |= 1ULL << 63;
	for (uint32_t i = 0; i < 2; i++) {
		poke(n, 0x024, i);
		poke(n, 0x020, (uint32_t)(f >> 32 * i));
	}
}

/* @wrong: which of the four numbers is @v instead, if any. */
static void set_queue(struct node *n, unsigned q, unsigned wrong, uint64_t v)
{
	const uint64_t at = n->rings + q * SLOT;
	const uint64_t part[3] = {at, at + 0x100, at + 0x200};

	poke(n, 0x030, q);
	poke(n, 0x038, wrong == 1 ? (uint32_t)v : SIZE);
	for (unsigned i = 0; i < 3; i++) {
		uint64_t to = wrong == i + 2 ? v : part[i];

		poke(n, 0x080 + 0x10 * i, (uint32_t)to);
		poke(n, 0x084 + 0x10 * i, (uint32_t)(to >> 32));
	}
	poke(n, 0x044, 1);
}

static void set_a_queue(struct world *w, struct node *n, struct cursor *c)
{
	uint8_t how = cur_u8(c);
	uint64_t v = cur_le16(c);

	(void)w;
	set_queue(n, how % 8, how / 8 % 8, how & 0x80 ? v << 48 | v : v);
}

static void forget_rings(struct world *w, struct node *n)
{
	static const uint8_t zeros[QUEUES * SLOT];

	memset(n->next_desc, 0, sizeof(n->next_desc));
	memset(n->avail, 0, sizeof(n->avail));
	write_ram(w, n->rings, zeros, sizeof(zeros));
}

/* All the steps of a driver, each of which the input may leave out. */
static void bring_up(struct world *w, struct node *n, struct cursor *c)
{
	uint8_t omit = cur_u8(c), features = cur_u8(c), queues = cur_u8(c);

	if (!(omit & 1))
		poke(n, 0x070, 0);
	check_node(n);
	if (!(omit & 2))
		forget_rings(w, n);
	poke(n, 0x070, 1);
	if (!(omit & 4))
		poke(n, 0x070, 3);
	if (!(omit & 8))
		choose_features(n, features);
	if (!(omit & 16))
		poke(n, 0x070, 0xb);
	for (unsigned q = 0; q < QUEUES; q++)
		if (!(queues >> q & 1))
			set_queue(n, q, 0, 0);
	if (!(omit & 32))
		poke(n, 0x070, 0xf);
}

static void write_memory(struct world *w, struct node *n, struct cursor *c)
{
	uint16_t at = cur_le16(c);
	uint8_t len = cur_u8(c);
	const void *p = cur_bytes(c, MIN(len, cur_left(c)));

	(void)n;
	if (p)
		write_ram(w, at, p, MIN(len, (size_t)(c->p - (uint8_t *)p)));
}

/* Make a chain of one to four buffers available. */
static void make_request(struct world *w, struct node *n, struct cursor *c)
{
	uint8_t how = cur_u8(c);
	unsigned q = how % QUEUES, count = how / QUEUES % 4 + 1;
	const uint64_t at = n->rings + q * SLOT;
	uint16_t slot = n->avail[q] % SIZE;
	uint8_t raw[16];

	put_le16(raw, n->next_desc[q] % SIZE);
	write_ram(w, at + 0x104 + 2u * slot, raw, 2);
	for (unsigned i = 0; i < count; i++) {
		uint16_t d = n->next_desc[q]++ % SIZE;

		put_le64(raw, cur_le16(c));
		put_le32(raw + 8, cur_le16(c));
		put_le16(raw + 12,
		         (cur_u8(c) & 0xe) | (i + 1 < count ? D_NEXT : 0));
		put_le16(raw + 14, n->next_desc[q] % SIZE);
		write_ram(w, at + 16u * d, raw, sizeof(raw));
	}
	put_le16(raw, ++n->avail[q]);
	write_ram(w, at + 0x102, raw, 2);
	if (how & 0x10)
		poke(n, MMIO_NOTIFY, q);
	run(w, how / 0x20 % 4);
}

static void jump_index(struct world *w, struct node *n, struct cursor *c)
{
	unsigned q = cur_u8(c) % QUEUES;
	uint8_t raw[2];

	n->avail[q] = cur_le16(c);
	put_le16(raw, n->avail[q]);
	write_ram(w, n->rings + q * SLOT + 0x102, raw, sizeof(raw));
}

static void kick(struct world *w, struct node *n, struct cursor *c)
{
	uint8_t q = cur_u8(c);

	(void)w;
	if (q & 0x80)
		poke(n, MMIO_NOTIFY, q & 0x7f);
	else
		mmio_signal_fd(mmio_notify_fd(n->m, q % n->dev->ops->nqueues));
}

static void run_loop(struct world *w, struct node *n, struct cursor *c)
{
	(void)n;
	run(w, cur_u8(c) % 8 + 1u);
}

static void serve_interrupt(struct world *w, struct node *n, struct cursor *c)
{
	uint32_t causes = peek(n, 0x060);

	(void)w;
	(void)c;
	poke(n, 0x064, causes);
	must(peek(n, 0x060) == 0);
}

static bool all_asleep(const struct world *w)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->node[i].dev->active)
			return false;
	return true;
}

/* After a reset the device is silent, and memory is the guest's alone. */
static void reset(struct world *w, struct node *n, struct cursor *c)
{
	static uint8_t before[RAM];
	bool quiet;

	(void)c;
	poke(n, 0x070, 0);
	must(peek(n, 0x070) == 0 && peek(n, 0x060) == 0);
	must(!n->dev->active && !n->dev->broken);
	(void)irqs(n);
	quiet = all_asleep(w);
	for (unsigned i = 0; quiet && i < 2; i++)
		memcpy(before + i * PART, w->part[i], PART);
	run(w, 3);
	must(irqs(n) == 0 && peek(n, 0x060) == 0);
	for (unsigned i = 0; quiet && i < 2; i++)
		must(memcmp(before + i * PART, w->part[i], PART) == 0);
	forget_rings(w, n);
}

/* ---- the host ---------------------------------------------------------- */

static int pair(struct world *w)
{
	int sp[2], *mine = &w->end[w->next_end++ % ENDS];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sp) == 0);
	close_fd(mine);
	*mine = sp[0];
	return sp[1];
}

static int on_accept(void *arg)
{
	return pair(arg);
}

static uint8_t scratch[16384];

/* What a peer does with its end of a stream. */
static void use_stream(int *fd, uint8_t how, uint8_t v)
{
	ssize_t n = 0;

	if (*fd < 0)
		return;
	if (how % 4 == 0)
		n = send(*fd, scratch, v * 64u, MSG_NOSIGNAL | MSG_DONTWAIT);
	else if (how % 4 == 1)
		n = recv(*fd, scratch, v * 64u, MSG_DONTWAIT);
	else if (how % 4 == 2)
		n = shutdown(*fd, v & 1 ? SHUT_WR : SHUT_RD);
	else
		close_fd(fd);
	(void)n;
}

static void host_does(struct world *w, struct node *n, struct cursor *c)
{
	uint8_t how = cur_u8(c), v = cur_u8(c);

	(void)n;
	if (how < 0x40 && w->of[WORLD_CONSOLE])
		use_stream(&w->console[0], how, v);
	else if (how < 0x80 && w->of[WORLD_BALLOON])
		(void)balloon_set_target(w->of[WORLD_BALLOON]->dev,
		                         (uint64_t)v << 8);
	else if (how < 0xa0 && w->of[WORLD_VSOCK])
		(void)vsock_connect(w->of[WORLD_VSOCK]->dev, v & 7, pair(w));
	else if (how >= 0xa0)
		use_stream(&w->end[how / 4 % ENDS], how, v);
}

/* ---- the machine ------------------------------------------------------- */

static void (*const steps[16])(struct world *, struct node *,
                               struct cursor *) = {
	write_register, access_anyhow, bring_up,       make_request,
	write_memory,   kick,          run_loop,       serve_interrupt,
	host_does,      reset,         set_a_queue,    jump_index,
	make_request,   write_memory,  write_register, make_request,
};

static struct virtio_dev *make_disk(const struct world *w, bool read_only)
{
	const struct disk_extent e[2] = {
		{w->disk_fd, DISK / 2, DISK / 2},
                {w->disk_fd, 0,        DISK / 2}
        };
	const struct disk_dev_config cfg = {e, 2, read_only, "disk"};
	struct virtio_dev *dev;

	must(disk_dev_new(&cfg, &dev, NULL) == 0);
	return dev;
}

static struct virtio_dev *make_device(struct world *w, enum world_device kind)
{
	struct virtio_dev *dev = NULL;

	if (kind == WORLD_BLK || kind == WORLD_BLK_READ_ONLY)
		return make_disk(w, kind == WORLD_BLK_READ_ONLY);
	if (kind == WORLD_RNG)
		must(rng_new(&dev, NULL) == 0);
	if (kind == WORLD_CONSOLE)
		must(virtio_console_new(w->loop, w->console[1], &dev, NULL) ==
		     0);
	if (kind == WORLD_BALLOON)
		must(balloon_new(w->loop, &dev, NULL) == 0);
	if (kind == WORLD_VSOCK)
		must(vsock_new(w->loop, 3, &dev, NULL) == 0 &&
		     vsock_listen(dev, 1000, on_accept, w) == 0);
	return dev;
}

static void add_node(struct world *w, enum world_device kind)
{
	struct node *n = &w->node[w->n];

	n->kind = kind;
	n->dev = make_device(w, kind);
	n->irq_fd = eventfd(0, EFD_NONBLOCK);
	n->rings = w->n++ * QUEUES * SLOT;
	must(n->irq_fd >= 0 && n->dev->ops->nqueues <= QUEUES);
	must(mmio_new(w->loop, n->dev, &w->mem, n->irq_fd, &n->m, NULL) == 0);
	w->of[kind] = n;
}

static void build(struct world *w, unsigned set)
{
	w->loop = loop_new();
	w->disk_fd = memfd_create("disk", MFD_CLOEXEC);
	must(w->loop && w->disk_fd >= 0 && ftruncate(w->disk_fd, DISK) == 0);
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, w->console) ==
	     0);
	for (unsigned i = 0; i < ENDS; i++)
		w->end[i] = -1;
	for (unsigned i = 0; i < 2; i++) {
		w->part[i] = aligned_alloc(4096, PART);
		must(w->part[i]);
		memset(w->part[i], 0, PART);
		must(guest_mem_add(&w->mem, i * PART, PART, 0, w->part[i]) ==
		     0);
	}
	run(w, 1); /* from now on the loop is this thread's */
	for (unsigned kind = 0; kind < WORLD_DEVICES; kind++)
		if (set >> kind & 1)
			add_node(w, (enum world_device)kind);
}

static void tear_down(struct world *w)
{
	for (size_t i = 0; i < w->n; i++) {
		mmio_free(w->node[i].m);
		virtio_free(w->node[i].dev);
		close(w->node[i].irq_fd);
	}
	loop_free(w->loop);
	for (unsigned i = 0; i < 2; i++) {
		free(w->part[i]);
		close_fd(&w->console[i]);
	}
	for (unsigned i = 0; i < ENDS; i++)
		close_fd(&w->end[i]);
	close(w->disk_fd);
}

void world_play(unsigned set, const uint8_t *data, size_t len)
{
	struct cursor c = cur_init(data, len);
	struct world w = {0};

	log_setup("fuzz", 2, LOG_NONE);
	build(&w, set);
	for (int i = 0; i < STEPS_MAX && cur_left(&c); i++) {
		uint8_t what = cur_u8(&c);

		steps[what % 16](&w, &w.node[what / 16 % w.n], &c);
		for (size_t k = 0; k < w.n; k++)
			check_node(&w.node[k]);
	}
	run(&w, 2);
	tear_down(&w);
}
