/*
 * owners.c - owners and modes that change by what the guest does, and what
 * must not outlive a change of the data: setuid, setgid, capabilities.
 */
#include <errno.h>

#include "fs/server.h"

#include "base/banned.h"

static int path_file(struct fs *fs, struct node *n, struct owner_file *ret)
{
	int fd = node_fd(fs, n);

	*ret = (struct owner_file){
		.fd = fd, .proc_fd = fs->proc_fd, .is_path = true};
	return fd < 0 ? fd : 0;
}

static void forget_shown(struct node *n)
{
	n->shown_ctime = 0;
	n->shown_at = 0;
}

static uint64_t bytes_now(const struct owner_file *f)
{
	struct stat st;

	return fstat(f->fd, &st) == 0 ? view_bytes(&st) : 0;
}

/* The attribute may take a block of its own; without room nothing is kept. */
static int keep(struct share *share, const struct node *n,
                const struct owner_file *f, const struct view *v,
                const struct owner *want)
{
	const struct owner was = {v->st.st_uid, v->st.st_gid, v->st.st_mode,
	                          (uint32_t)v->st.st_rdev};
	struct quota *quota = &share->quota;
	uint64_t before, after;
	int r;

	quota_lock(quota, n->ino);
	before = bytes_now(f);
	r = owner_keep(f, &share->cfg.owners, &v->host, want);
	after = bytes_now(f);
	if (after > before && quota_take(quota, after - before) < 0) {
		struct stat st = v->host;

		(void)fstat(f->fd, &st);
		(void)owner_keep(f, &share->cfg.owners, &st, &was);
		r = -ENOSPC;
	} else if (after < before) {
		quota_give(quota, before - after);
	}
	quota_unlock(quota, n->ino);
	return r;
}

int change_owner(struct fs *fs, struct node *n, const struct view *v,
                 const struct owner *want)
{
	struct owner_file f;
	int r;

	/* Nothing can be kept of a link, and nothing depends on its owner. */
	if (S_ISLNK(v->host.st_mode))
		return 0;
	if (want->uid == v->st.st_uid && want->gid == v->st.st_gid &&
	    want->mode == v->st.st_mode)
		return 0;
	r = path_file(fs, n, &f);
	forget_shown(n);
	return r < 0 ? r : keep(node_share(fs, n), n, &f, v, want);
}

int take_bits(struct fs *fs, struct node *n, const struct view *v)
{
	const struct owner o = {v->st.st_uid, v->st.st_gid, v->st.st_mode,
	                        (uint32_t)v->st.st_rdev};
	struct owner_file f;
	int r;

	if (!S_ISREG(v->host.st_mode) ||
	    !(v->host.st_mode & (S_ISUID | S_ISGID)))
		return 0;
	r = path_file(fs, n, &f);
	forget_shown(n);
	return r < 0 ? r : keep(node_share(fs, n), n, &f, v, &o);
}

static int drop_bits(struct fs *fs, struct node *n)
{
	struct owner want;
	struct view v;
	int r = view_node(fs, n, &v);

	if (r < 0)
		return r;
	want = (struct owner){v.st.st_uid, v.st.st_gid, v.st.st_mode,
	                      (uint32_t)v.st.st_rdev};
	want.mode &= ~(uint32_t)S_ISUID;
	if (want.mode & S_IXGRP)
		want.mode &= ~(uint32_t)S_ISGID;
	return change_owner(fs, n, &v, &want);
}

int drop_privileges(struct fs *fs, struct node *n, int fd, bool kill)
{
	struct owner_file f = {.fd = fd};
	int r = 0;

	if (n->type != S_IFREG)
		return 0;
	if (kill)
		r = drop_bits(fs, n);
	if (r == 0 && fd < 0)
		r = path_file(fs, n, &f);
	if (r < 0)
		return r;
	if (xattr_get(&f, XATTR_CAPS, NULL, 0) < 0)
		return 0;
	return xattr_remove(&f, XATTR_CAPS);
}
