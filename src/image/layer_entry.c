#include "image/layer_entry.h"

#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "image/layer_path.h"

#include "base/banned.h"

#define WH     ".wh."
#define WH_LEN 4
#define AUFS   ".wh..wh."

void layer_names_release(struct layer_names *n)
{
	buf_release(&n->path);
	buf_release(&n->link);
	buf_release(&n->xattrs);
}

static bool starts(const char *s, size_t len, const char *with)
{
	size_t n = strlen(with);

	return len >= n && memcmp(s, with, n) == 0;
}

/*
 * What the guest's file system can hold and an image may set. The overlay's
 * own attributes would let an image redirect or hide what lies below it.
 */
static bool xattr_kept(const char *name, size_t len)
{
	static const char *const dropped[] = {"trusted.overlay.",
	                                      "user.overlay."};
	static const char *const spaces[] = {"user.", "trusted.", "security."};
	static const char *const acls[] = {"system.posix_acl_access",
	                                   "system.posix_acl_default"};

	for (size_t i = 0; i < ARRAY_SIZE(dropped); i++)
		if (starts(name, len, dropped[i]))
			return false;
	for (size_t i = 0; i < ARRAY_SIZE(spaces); i++)
		if (starts(name, len, spaces[i]))
			return len > strlen(spaces[i]);
	for (size_t i = 0; i < ARRAY_SIZE(acls); i++)
		if (len == strlen(acls[i]) && starts(name, len, acls[i]))
			return true;
	return false;
}

static int convert_xattrs(const struct tar_entry *e, struct layer_names *n)
{
	const uint8_t *p = e->xattrs, *end = p + e->xattrs_len;

	buf_reset(&n->xattrs);
	while (p < end) {
		size_t whole = 3u + p[0] + get_le16(p + 1);

		if (xattr_kept((const char *)p + 3, p[0]) &&
		    buf_add(&n->xattrs, p, whole) < 0)
			return -ENOMEM;
		p += whole;
	}
	return 0;
}

/* A part of the folder's name that starts as whiteouts do. */
static int check_folder(const char *path, size_t len, bool *ret_aufs)
{
	const char *p = path, *end = path + len;

	while (p < end) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		size_t n = (size_t)((slash ? slash : end) - p);

		if (starts(p, n, AUFS))
			*ret_aufs = true;
		else if (starts(p, n, WH))
			return -EBADMSG;
		p += n + 1;
	}
	return 0;
}

/*
 * Whiteouts: "dir/.wh.name" takes name from dir, "dir/.wh..wh..opq" everything
 * that lower layers have in it; other ".wh..wh." names are left over from
 * aufs. The path becomes that of what is taken.
 */
static int convert_whiteout(const struct tar_reader *t, struct layer_names *n,
                            struct index_entry *ret, struct err *err)
{
	char *path = (char *)n->path.data;
	char *slash = memrchr(path, '/', n->path.len);
	char *base = slash ? slash + 1 : path;
	size_t base_len = n->path.len - (size_t)(base - path);
	bool aufs = false;

	if (check_folder(path, slash ? (size_t)(slash - path) : 0, &aufs) < 0)
		return tar_error(t, err, -EBADMSG,
		                 "a folder with a whiteout's name");
	if (aufs)
		return 0;
	if (!starts(base, base_len, WH))
		return 1;
	if (starts(base, base_len, AUFS)) {
		if (base_len != 12 || memcmp(base, ".wh..wh..opq", 12) != 0)
			return 0;
		ret->type = INDEX_OPAQUE;
		n->path.len = slash ? (size_t)(slash - path) : 0;
		return 1;
	}
	ret->type = INDEX_WHITEOUT;
	memmove(base, base + WH_LEN, base_len - WH_LEN);
	n->path.len -= WH_LEN;
	if (n->path.len == 0 || !layer_path_is_clean(path, n->path.len))
		return tar_error(t, err, -EBADMSG, "malformed whiteout");
	return 1;
}

static const uint8_t types[] = {
	[TAR_REG - '0'] = INDEX_REG,   [TAR_HARD - '0'] = INDEX_HARD,
	[TAR_SYM - '0'] = INDEX_SYM,   [TAR_CHR - '0'] = INDEX_CHR,
	[TAR_BLK - '0'] = INDEX_BLK,   [TAR_DIR - '0'] = INDEX_DIR,
	[TAR_FIFO - '0'] = INDEX_FIFO,
};

static int convert_paths(const struct tar_reader *t, const struct tar_entry *e,
                         struct layer_names *n, struct err *err)
{
	const char *why;
	int r;

	buf_reset(&n->path);
	buf_reset(&n->link);
	if (e->path_len == 0)
		return tar_error(t, err, -EBADMSG, "no name");
	r = layer_path_clean(e->path, e->path_len, &n->path, &why);
	if (r >= 0 && e->type == TAR_HARD)
		r = layer_path_clean(e->link, e->link_len, &n->link, &why);
	if (r < 0)
		return tar_error(t, err, r, "%s", why);
	return 0;
}

static int convert_link(const struct tar_reader *t, const struct tar_entry *e,
                        struct layer_names *n, struct err *err)
{
	if (e->type == TAR_SYM) {
		if (e->link_len == 0 || e->link_len > INDEX_PATH_MAX)
			return tar_error(t, err, -EBADMSG,
			                 "link text of %zu bytes", e->link_len);
		return buf_add(&n->link, e->link, e->link_len);
	}
	if (e->type == TAR_HARD &&
	    (n->link.len == 0 ||
	     (n->link.len == n->path.len &&
	      memcmp(n->link.data, n->path.data, n->path.len) == 0)))
		return tar_error(t, err, -EBADMSG,
		                 "hard link to itself or to the root");
	return 0;
}

/* A 0:0 character device is how the guest's overlay marks a removed file. */
static int convert_device(const struct tar_reader *t, const struct tar_entry *e,
                          struct index_entry *ret, struct err *err)
{
	if (e->type != TAR_CHR && e->type != TAR_BLK)
		return 0;
	if (e->major > INDEX_MAJOR_MAX || e->minor > INDEX_MINOR_MAX ||
	    (e->type == TAR_CHR && !e->major && !e->minor))
		return tar_error(t, err, -EBADMSG,
		                 "device %u:%u cannot be in an image", e->major,
		                 e->minor);
	ret->rdev = index_rdev(e->major, e->minor);
	return 0;
}

int layer_entry_convert(const struct tar_reader *t, const struct tar_entry *e,
                        struct layer_names *n, struct index_entry *ret,
                        struct err *err)
{
	struct index_entry x = {.type = types[e->type - '0'],
	                        .mode = (uint16_t)e->mode,
	                        .uid = e->uid,
	                        .gid = e->gid,
	                        .mtime = e->mtime,
	                        .mtime_ns = e->mtime_ns};
	int r = convert_paths(t, e, n, err);

	if (r < 0)
		return r;
	if (n->path.len == 0 && e->type != TAR_DIR)
		return tar_error(t, err, -EBADMSG, "the root is no folder");
	r = n->path.len ? convert_whiteout(t, n, &x, err) : 1;
	if (r <= 0)
		return r;
	if (x.type == INDEX_WHITEOUT || x.type == INDEX_OPAQUE) {
		buf_reset(&n->link);
		buf_reset(&n->xattrs);
		*ret = x;
		return 1;
	}
	r = convert_link(t, e, n, err);
	if (r == 0)
		r = convert_device(t, e, &x, err);
	if (r == 0 && convert_xattrs(e, n) < 0)
		r = err_set(err, -ENOMEM, "out of memory");
	if (r < 0)
		return r;
	if (e->type == TAR_REG)
		x.size = e->size;
	*ret = x;
	return 1;
}
