/*
 * handle.c - open files and folders. The guest's number of one is its place
 * and how often the place was used, so that an old number is never another's.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/num.h"
#include "fs/server.h"

#include "base/banned.h"

#define FIRST 64u
#define NONE  UINT32_MAX

static int grow(struct fs *fs)
{
	uint32_t size = fs->handles_size ? fs->handles_size * 2 : FIRST;
	struct handle *h;

	size = MIN(size, fs->handles_max);
	if (size <= fs->handles_size)
		return -ENFILE;
	h = realloc(fs->handles, size * sizeof(*h));
	if (!h)
		return -ENOMEM;
	memset(h + fs->handles_size, 0, (size - fs->handles_size) * sizeof(*h));
	for (uint32_t i = fs->handles_size; i < size; i++)
		h[i].next_free = i + 1 < size ? i + 1 : NONE;
	fs->free_handle = fs->handles_size;
	fs->handles_size = size;
	fs->handles = h;
	return 0;
}

int handle_new(struct fs *fs, struct node *n, int kind, int fd, uint64_t *ret)
{
	struct handle *h;
	uint32_t i;

	if (fs->nhandles == fs->handles_size) {
		int r = grow(fs);

		if (r < 0)
			return r;
	}
	i = fs->free_handle;
	h = &fs->handles[i];
	fs->free_handle = h->next_free;
	*h = (struct handle){
		.node = n,
		.fd = fd,
		.gen = h->gen + 1,
		.kind = (uint8_t)kind,
	};
	fs->nhandles++;
	node_ref(n);
	*ret = (uint64_t)h->gen << 32 | i;
	return 0;
}

struct handle *handle_at(struct fs *fs, uint64_t fh, const struct node *n,
                         int kind)
{
	uint32_t i = (uint32_t)fh;
	struct handle *h;

	if (i >= fs->handles_size)
		return NULL;
	h = &fs->handles[i];
	return h->kind == kind && h->gen == fh >> 32 && (!n || h->node == n)
	               ? h
	               : NULL;
}

struct handle *handle_get(struct req *q, uint64_t fh, int kind)
{
	return handle_at(q->fs, fh, q->node, kind);
}

static void end(struct fs *fs, uint32_t i)
{
	struct handle *h = &fs->handles[i];
	struct node *n = h->node;

	if (h->fd >= 0)
		(void)close(h->fd);
	h->kind = HANDLE_FREE;
	h->node = NULL;
	h->fd = -1;
	h->next_free = fs->free_handle;
	fs->free_handle = i;
	fs->nhandles--;
	node_unref(fs, n);
}

void handle_free(struct fs *fs, uint64_t fh)
{
	end(fs, (uint32_t)fh);
}

void handles_release(struct fs *fs)
{
	for (uint32_t i = 0; i < fs->handles_size; i++)
		if (fs->handles[i].kind != HANDLE_FREE)
			end(fs, i);
}

void caps_set(struct fs *fs, const struct node *n)
{
	for (uint32_t i = 0; i < fs->handles_size; i++)
		if (fs->handles[i].node == n)
			fs->handles[i].caps_checked = false;
}
