/* init.c - INIT and DESTROY: what the guest's kernel and we agree on. */
#include <errno.h>

#include "base/num.h"
#include "fs/server.h"

#include "base/banned.h"

/*
 * Left out on purpose: READDIRPLUS_AUTO, with which all but the first entries
 * of a folder come bare and are asked for one by one (20 folders of 500 files:
 * 3 times as long, found by find and by ls -R);
 * AUTO_INVAL_DATA, with which the guest would drop its
 * own writes from its cache (we say at open whether the data is still good);
 * WRITEBACK_CACHE, with which a share changed by others loses data; locks;
 * POSIX_ACL; DONT_MASK (modes come with the umask applied); SECURITY_CTX.
 */
#define WANTED                                                                 \
	(FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |             \
	 FUSE_DO_READDIRPLUS | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS |         \
	 FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS | FUSE_HANDLE_KILLPRIV_V2 |      \
	 FUSE_INIT_EXT | FUSE_DIRECT_IO_ALLOW_MMAP | FUSE_NO_EXPORT_SUPPORT)

#define BACKGROUND 64
#define CONGESTION 48

int op_init(struct req *q)
{
	const struct fuse_init_in *a = &q->a.init;
	uint64_t flags = a->flags;
	struct fuse_init_out out;

	if (a->major < FUSE_KERNEL_VERSION)
		return -EPROTO;
	if (a->major > FUSE_KERNEL_VERSION) { /* it asks again, with ours */
		out = (struct fuse_init_out){.major = FUSE_KERNEL_VERSION,
		                             .minor = WIRE_MINOR};
		return req_put(q, &out, sizeof(out));
	}
	if (a->minor < WIRE_MINOR_MIN)
		return -EPROTO;
	if (flags & FUSE_INIT_EXT)
		flags |= (uint64_t)a->flags2 << 32;
	flags &= WANTED;
	fs_reset(q->fs);
	q->fs->direct_mmap = flags & FUSE_DIRECT_IO_ALLOW_MMAP;
	q->fs->ready = true;
	out = (struct fuse_init_out){
		.major = FUSE_KERNEL_VERSION,
		.minor = MIN(a->minor, WIRE_MINOR),
		.max_readahead = a->max_readahead,
		.flags = (uint32_t)flags,
		.flags2 = (uint32_t)(flags >> 32),
		.max_background = BACKGROUND,
		.congestion_threshold = CONGESTION,
		.max_write = WIRE_DATA_MAX,
		.max_pages = WIRE_PAGES,
		.time_gran = 1,
	};
	return req_put(q, &out, sizeof(out));
}

int op_destroy(struct req *q)
{
	fs_reset(q->fs);
	return 0;
}
