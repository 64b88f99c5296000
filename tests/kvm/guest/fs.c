/*
 * fs.c - the file server, by FUSE requests that no kernel made: a share "s0"
 * that has a file "hello" of the host's; what is made in it the host looks at.
 */
#include "virtio.h"

enum {
	LOOKUP = 1,
	FORGET = 2,
	GETATTR = 3,
	READ = 15,
	WRITE = 16,
	OPEN = 14,
	INIT = 26,
	CREATE = 35,
};

#define ROOT 1u

struct in_header {
	uint32_t len, opcode;
	uint64_t unique, node;
	uint32_t uid, gid, pid, pad;
};

struct out_header {
	uint32_t len;
	int32_t error;
	uint64_t unique;
};

/* Of fuse_entry_out: what is looked at. */
struct entry {
	uint64_t node, generation, valid[2];
	uint32_t valid_ns[2];
	uint64_t ino, size, rest[9];
};

static uint64_t serial;

/* One request: arguments and data as they are; the error, 0 when well. */
static int32_t ask(struct virtio *v, uint32_t op, uint64_t node,
                   const void *args, uint32_t len, void *reply, uint32_t room)
{
	uint8_t *p = pages(2);
	struct in_header *in = (void *)p;
	struct out_header *out = (void *)(p + PAGE);
	const struct part parts[] = {
		{in,    sizeof(*in),  false},
		{args,  len,          false},
		{out,   sizeof(*out), true },
		{reply, room,         true }
        };

	*in = (struct in_header){.len = (uint32_t)sizeof(*in) + len,
	                         .opcode = op,
	                         .unique = ++serial,
	                         .node = node};
	memset(out, 0xee, sizeof(*out));
	if (virtio_request(v, 1, parts, room ? 4 : 3, 0) < 16)
		return 1;
	if (out->unique != serial)
		return 2;
	return out->error;
}

static void start(struct virtio *v)
{
	const uint32_t in[16] = {7, 38, 1u << 20};
	uint32_t *out = pages(1);

	EQUAL("init", ask(v, INIT, ROOT, in, sizeof(in), out, 64), 0);
	EQUAL("its version", out[0], 7);
}

static uint64_t find(struct virtio *v, uint64_t node, const char *name,
                     int32_t want)
{
	struct entry *e = pages(1);

	EQUAL(name,
	      ask(v, LOOKUP, node, name, (uint32_t)strlen(name) + 1, e, 128),
	      want);
	return e->node;
}

static void reads(struct virtio *v, uint64_t file)
{
	const uint32_t open[2] = {0};
	uint64_t *opened = pages(1), read[5] = {0};
	char *data = pages(1);

	EQUAL("open", ask(v, OPEN, file, open, 8, opened, 16), 0);
	read[0] = opened[0];
	read[2] = 100; /* bytes */
	EQUAL("read", ask(v, READ, file, read, 40, data, 100), 0);
	CHECK("its bytes", starts_with(data, "hello from the host"));
}

static void writes(struct virtio *v, uint64_t share)
{
	static struct {
		uint32_t flags, mode, umask, open_flags;
		char name[8];
	} make = {2 /* O_RDWR */, 0100644, 022, 0, "made"};
	static struct {
		uint64_t fh, offset;
		uint32_t size, flags;
		uint64_t owner;
		uint32_t file_flags, pad;
		char data[16];
	} write = {.size = 14, .data = "from the guest"};
	struct {
		struct entry e;
		uint64_t fh, flags;
	} *made = pages(1);
	uint64_t *count = pages(1);

	EQUAL("create", ask(v, CREATE, share, &make, 16 + 5, made, 144), 0);
	write.fh = *(uint64_t *)((char *)made + 128);
	EQUAL("write", ask(v, WRITE, made->e.node, &write, 40 + 14, count, 8),
	      0);
	EQUAL("all of it", (uint32_t)*count, 14);
	please("look at made");
}

/* Nobody waits for its answer: it has none. */
static void forgets(struct virtio *v, uint64_t node)
{
	static struct {
		struct in_header h;
		uint64_t count;
	} f = {
		.h = {.len = 48, .opcode = FORGET},
                  .count = 1
        };
	const struct part part = {&f, 48, false};

	f.h.node = node;
	EQUAL("forget", virtio_request(v, 0, &part, 1, 0), 0);
}

void guest_main(void)
{
	struct virtio *v = virtio_find(VIRTIO_FS, 0);
	uint64_t share, file;

	if (!v || !virtio_up(v, F_INDIRECT | F_EVENT_IDX)) {
		fail("fs", "does not start");
		guest_done();
	}
	CHECK("tag", read8(v->base + R_CONFIG) == 'm' &&
	                     read8(v->base + R_CONFIG + 3) == 0);
	start(v);
	share = find(v, ROOT, "s0", 0);
	file = find(v, share, "hello", 0);
	reads(v, file);
	writes(v, share);
	(void)find(v, share, "..", -22);
	(void)find(v, share + 1000, "hello", -116);
	forgets(v, file);
	guest_done();
}
