/*
 * A chain folder holds `fsmeta`, the merged metadata, and `chain.json`: the
 * ordered diff_ids with the length of each one's data, and the CRC-32C of
 * fsmeta. The disk is fsmeta with those data files behind it.
 *
 * Opening checks what a failing disk or a careless hand can do to it without
 * reading file contents: fsmeta's CRC, and the lengths of all files.
 */
#include "image/rootfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "image/erofs_write.h"
#include "image/layer.h"

#include "base/banned.h"

#define LAYERS_MAX     512 /* of one image; each is an open file later */
#define CHAIN_JSON_MAX (LAYERS_MAX * 256)
#define OPEN_FLAGS     (O_RDONLY | O_NOFOLLOW | O_CLOEXEC)

void rootfs_chain_id(const struct digest *diff_ids, uint32_t n,
                     struct digest *ret)
{
	struct digest chain = {0};

	if (n)
		chain = diff_ids[0];
	for (uint32_t i = 1; i < n; i++) {
		char text[2 * DIGEST_TEXT_LEN + 2];

		digest_text(&chain, text);
		text[DIGEST_TEXT_LEN] = ' ';
		digest_text(&diff_ids[i], text + DIGEST_TEXT_LEN + 1);
		digest_of(text, 2 * DIGEST_TEXT_LEN + 1, &chain);
	}
	*ret = chain;
}

static void chain_dir(const struct digest *id, char *out, size_t len)
{
	char hex[DIGEST_HEX_LEN + 1];

	digest_hex(id, hex);
	(void)snprintf(out, len, "chains/%.2s/%s.%d", hex, hex, EROFS_ABI);
}

static int open_dir(struct store *s, const char *path)
{
	int fd = openat(s->fd, path, OPEN_FLAGS | O_DIRECTORY);

	return fd < 0 ? -errno : fd;
}

static int open_layer_file(struct store *s, const struct digest *diff_id,
                           const char *name)
{
	char path[LAYER_PATH_LEN];
	int fd;

	layer_path(diff_id, name, path);
	fd = openat(s->fd, path, OPEN_FLAGS);
	return fd < 0 ? -errno : fd;
}

/* --- building ---------------------------------------------------------- */

static int layer_failed(const struct digest *id, int r, struct err *err,
                        const char *why)
{
	char text[DIGEST_TEXT_LEN + 1];

	err_set(err, r, "layer %s in the store: %s", digest_text(id, text),
	        why);
	err_hint(err, "pull the image again with msb pull --force");
	return r;
}

static int open_index(struct store *s, const struct digest *id,
                      struct index *ret, struct err *err)
{
	cleanup_close int fd = open_layer_file(s, id, "index");
	struct err why = {0};
	int r;

	if (fd < 0)
		return layer_failed(id, fd, err, strerror(-fd));
	r = index_open(fd, ret, &why);
	if (r < 0)
		return layer_failed(id, r, err, why.msg);
	if (memcmp(ret->header->diff_id, id->b, DIGEST_LEN) != 0)
		return layer_failed(id, -EBADMSG, err, "index of another one");
	return layer_present(s, id) == 1
	               ? 0
	               : layer_failed(id, -EBADMSG, err, "data is damaged");
}

static json_t *chain_json(const struct digest *diff_ids, const struct index *ix,
                          uint32_t n, const struct erofs_info *info)
{
	json_t *layers = json_array();

	for (uint32_t i = 0; i < n; i++) {
		char text[DIGEST_TEXT_LEN + 1];

		(void)json_array_append_new(
			layers,
			json_pack("{s:s,s:I}", "diff_id",
		                  digest_text(&diff_ids[i], text), "bytes",
		                  (json_int_t)(ix[i].header->data_blocks *
		                               INDEX_BLOCK)));
	}
	return json_pack("{s:i,s:I,s:I,s:[I,I],s:I,s:o}", "abi", EROFS_ABI,
	                 "bytes", (json_int_t)info->bytes, "split",
	                 (json_int_t)info->split, "crc32c",
	                 (json_int_t)info->crc[0], (json_int_t)info->crc[1],
	                 "inodes", (json_int_t)info->inodes, "layers", layers);
}

static int new_file(const struct store_tmp *t, const char *name)
{
	int fd = openat(t->dir_fd, name,
	                O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? -errno : fd;
}

static int write_json(const struct store_tmp *t, json_t *j, struct err *err)
{
	char *text cleanup_free = json_text(j, JSON_COMPACT);
	cleanup_close int fd = -1;
	int r = -ENOMEM;

	if (text) {
		fd = new_file(t, "chain.json");
		r = fd < 0 ? fd : fd_write_full(fd, text, strlen(text));
	}
	return r < 0 ? err_set(err, r,
	                       "cannot write the image's description: "
	                       "%s",
	                       strerror(-r))
	             : 0;
}

static int write_chain(const struct store_tmp *t, const struct index *ix,
                       const struct digest *diff_ids, uint32_t n,
                       const struct digest *chain_id, struct err *err)
{
	struct tree *tree cleanup_tree = NULL;
	json_t *j cleanup_json = NULL;
	cleanup_close int fd = new_file(t, "fsmeta");
	struct erofs_info info;
	int r;

	if (fd < 0)
		return err_set(err, fd, "cannot write metadata: %s",
		               strerror(-fd));
	r = tree_build(ix, n, &tree, err);
	if (r == 0)
		r = cancel_check(err);
	if (r == 0)
		r = erofs_write(tree, chain_id->b, fd, &info, err);
	if (r < 0)
		return r;
	j = chain_json(diff_ids, ix, n, &info);
	return write_json(t, j, err);
}

static int build_staged(struct store *s, struct store_tmp *t,
                        const struct digest *diff_ids, uint32_t n,
                        const struct digest *chain_id, struct err *err)
{
	struct index *ix cleanup_free = calloc(n, sizeof(*ix));
	int r = ix ? 0 : err_set(err, -ENOMEM, "out of memory");

	for (uint32_t i = 0; r == 0 && i < n; i++)
		r = open_index(s, &diff_ids[i], &ix[i], err);
	if (r == 0)
		r = cancel_check(err);
	if (r == 0)
		r = write_chain(t, ix, diff_ids, n, chain_id, err);
	for (uint32_t i = 0; ix && i < n; i++)
		index_close(&ix[i]);
	return r;
}

static bool chain_usable(struct store *s, const struct digest *chain_id)
{
	struct rootfs probe;

	if (rootfs_open(s, chain_id, &probe, NULL) < 0)
		return false;
	rootfs_release(&probe);
	return true;
}

static int build_locked(struct store *s, const struct digest *diff_ids,
                        uint32_t n, const struct digest *chain_id,
                        struct err *err)
{
	struct store_tmp t = {0};
	char path[96];
	int r;

	if (chain_usable(s, chain_id))
		return 0;
	r = store_tmp_new(s, &t, err);
	if (r < 0)
		return r;
	r = build_staged(s, &t, diff_ids, n, chain_id, err);
	if (r == 0) {
		chain_dir(chain_id, path, sizeof(path));
		(void)dir_remove(s->fd, path); /* damaged, or not there */
		r = store_publish_dir(s, &t, path, err);
	}
	store_tmp_drop(s, &t);
	return r < 0 ? r : 0;
}

int rootfs_build(struct store *s, const struct digest *diff_ids, uint32_t n,
                 struct digest *ret_chain_id, struct err *err)
{
	char lock[96] = "chain-";
	cleanup_close int lock_fd = -1;
	struct digest chain_id;
	int r;

	if (n == 0 || n > LAYERS_MAX)
		return err_set(err, -EINVAL, "image has %u layers, not 1 to %d",
		               n, LAYERS_MAX);
	rootfs_chain_id(diff_ids, n, &chain_id);
	digest_hex(&chain_id, lock + strlen(lock));
	lock_fd = store_lock(s, lock, 0, err);
	if (lock_fd < 0)
		return lock_fd;
	r = build_locked(s, diff_ids, n, &chain_id, err);
	if (r == 0)
		*ret_chain_id = chain_id;
	return r;
}

/* --- opening ----------------------------------------------------------- */

static int add_extent(struct rootfs *r, int fd, uint64_t len)
{
	struct stat st;

	r->fds[r->nfds++] = fd; /* ours from here on */
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != len)
		return -EBADMSG;
	r->extents[r->nextents++] =
		(struct rootfs_extent){.fd = r->nfds - 1, .len = len};
	r->size += len;
	return 0;
}

static uint64_t field(const json_t *j, const char *key)
{
	int64_t v = json_int(j, key, -1);

	return v < 0 ? UINT64_MAX : (uint64_t)v;
}

static bool crc_ok(const json_t *j, const uint8_t *p, uint64_t len)
{
	const json_t *crc = json_object_get(j, "crc32c");
	uint64_t split = field(j, "split");

	return split <= len &&
	       json_integer_value(json_array_get(crc, 0)) ==
	               index_crc(INDEX_CRC_INIT, p, split) &&
	       json_integer_value(json_array_get(crc, 1)) ==
	               index_crc(INDEX_CRC_INIT, p + split, len - split);
}

static int open_meta(int dir_fd, const json_t *j, struct rootfs *r)
{
	uint64_t len = field(j, "bytes");
	int fd = openat(dir_fd, "fsmeta", OPEN_FLAGS), ret;
	void *map;

	if (fd < 0)
		return -errno;
	if (len == 0 || len % INDEX_BLOCK || len > INDEX_DATA_MAX) {
		(void)close(fd);
		return -EBADMSG;
	}
	ret = add_extent(r, fd, len);
	if (ret < 0)
		return ret;
	map = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	ret = crc_ok(j, map, len) ? 0 : -EBADMSG;
	(void)munmap(map, len);
	return ret;
}

static int open_layers(struct store *s, const json_t *layers, struct rootfs *r)
{
	size_t n = json_array_size(layers);

	for (size_t i = 0; i < n; i++) {
		const json_t *l = json_array_get(layers, i);
		uint64_t len = field(l, "bytes");
		struct digest id;
		int fd, ret;

		if (!digest_parse(json_str(l, "diff_id", ""), &id) ||
		    len % INDEX_BLOCK || len > INDEX_DATA_MAX)
			return -EBADMSG;
		if (len == 0)
			continue; /* nothing of it is on the disk */
		fd = open_layer_file(s, &id, "data");
		if (fd < 0)
			return fd;
		ret = add_extent(r, fd, len);
		if (ret < 0)
			return ret;
	}
	return 0;
}

static int open_chain(struct store *s, int dir_fd, struct rootfs *r)
{
	struct buf cleanup_buf text = BUF_INIT_MAX(CHAIN_JSON_MAX);
	json_t *j cleanup_json = NULL;
	const json_t *layers;
	size_t n;
	int ret = file_read(dir_fd, "chain.json", &text);

	if (ret < 0)
		return ret;
	j = json_parse(text.data, text.len, "chain.json", NULL);
	layers = json_object_get(j, "layers");
	n = json_array_size(layers);
	if (!j || n == 0 || n > LAYERS_MAX)
		return -EBADMSG;
	r->fds = calloc(n + 1, sizeof(*r->fds));
	r->extents = calloc(n + 1, sizeof(*r->extents));
	if (!r->fds || !r->extents)
		return -ENOMEM;
	ret = open_meta(dir_fd, j, r);
	return ret < 0 ? ret : open_layers(s, layers, r);
}

int rootfs_open(struct store *s, const struct digest *chain_id,
                struct rootfs *ret, struct err *err)
{
	struct rootfs r = {0};
	char path[96], text[DIGEST_TEXT_LEN + 1];
	cleanup_close int dir_fd = -1;
	int e;

	chain_dir(chain_id, path, sizeof(path));
	dir_fd = open_dir(s, path);
	e = dir_fd < 0 ? dir_fd : open_chain(s, dir_fd, &r);
	if (e == 0) {
		*ret = r;
		return 0;
	}
	rootfs_release(&r);
	err_set(err, e, "root file system %s: %s", digest_text(chain_id, text),
	        e == -EBADMSG ? "damaged in the store" : strerror(-e));
	err_hint(err, "pull the image again with msb pull --force");
	return e;
}

void rootfs_release(struct rootfs *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < r->nfds; i++)
		close_fd(&r->fds[i]);
	free(r->fds);
	free(r->extents);
	*r = (struct rootfs){0};
}
