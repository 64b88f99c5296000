/* lookup.c - LOOKUP, and FORGET that ends what it began. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/fdio.h"
#include "base/num.h"
#include "fs/server.h"

#include "base/banned.h"

/*
 * The host's /proc below a share: in it the mem of this very process is a
 * regular file, which would be a way out of the jail for the guest.
 */
static bool leads_to_proc(int dir_fd, const char *name)
{
	cleanup_close int fd = node_open_entry(dir_fd, name, O_PATH, 0);

	return fd < 0 || share_is_proc(fd);
}

int lookup_entry(struct req *q, struct node *parent, int dir_fd,
                 const char *name, struct fuse_entry_out *ret)
{
	struct owner_file f = {.fd = dir_fd,
	                       .proc_fd = q->fs->proc_fd,
	                       .is_path = true,
	                       .name = name};
	struct view v;
	struct node *n;
	int r = view_take(&f, &v);

	if (r == 0 && v.host.st_dev != parent->dev &&
	    leads_to_proc(dir_fd, name))
		r = -EACCES;
	if (r == 0)
		r = node_get(q->fs, q->share, &v, parent, name, &n);
	if (r < 0)
		return r;
	view_show(q->fs, q->share, &f, n, &v);
	n->nlookup++;
	wire_entry(q->fs, n, &v, ret);
	return 0;
}

static int lookup_share(struct req *q)
{
	struct fuse_entry_out out;
	struct view v;

	for (size_t i = 0; i < q->fs->nshares; i++) {
		struct node *n = q->fs->shares[i].root;
		int r;

		if (strcmp(q->fs->shares[i].cfg.name, q->name) != 0)
			continue;
		r = view_node(q->fs, n, &v);
		if (r < 0)
			return r;
		wire_entry(q->fs, n, &v, &out);
		return req_put(q, &out, sizeof(out));
	}
	return -ENOENT;
}

/* That there is no such name may be kept as long as that there is. */
static int lookup_nothing(struct req *q)
{
	struct fuse_entry_out out = {.entry_valid = share_timeout(q->share)};

	return out.entry_valid ? req_put(q, &out, sizeof(out)) : -ENOENT;
}

int op_lookup(struct req *q)
{
	struct fuse_entry_out out;
	int fd, r;

	if (!q->share)
		return lookup_share(q);
	if (q->in->len < sizeof(out))
		return -EINVAL;
	fd = node_dir_fd(q->fs, q->node);
	if (fd < 0)
		return fd;
	r = lookup_entry(q, q->node, fd, q->name, &out);
	if (r == -ENOENT)
		return lookup_nothing(q);
	return r < 0 ? r : req_put(q, &out, sizeof(out));
}

static void forget(struct fs *fs, uint64_t id, uint64_t count)
{
	struct node *n = node_by_id(fs, id);

	if (n && n != &fs->root)
		node_forget(fs, n, count);
}

/* INTERRUPT comes here, too: nothing takes long enough to be interrupted. */
int op_forget(struct req *q)
{
	if (q->h.opcode == FUSE_FORGET)
		forget(q->fs, q->h.nodeid, q->a.forget.nlookup);
	return 0;
}

int op_batch_forget(struct req *q)
{
	uint32_t count = q->a.batch_forget.count;
	struct fuse_forget_one one;

	while (count-- && iov_get(q->out, &one, sizeof(one)) == 0)
		forget(q->fs, one.nodeid, one.nlookup);
	return 0;
}
