/*
 * An archive is a stranger's. It is read once, from the front; each entry may
 * come once, in its place; what is written before all digests are known to be
 * right has no name: the disk is a file without one, and layers and documents
 * are called by what they hash to, as in any pull.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "files/name.h"
#include "image/bundle.h"
#include "image/inflate.h"
#include "image/manifest.h"
#include "image/tar_read.h"
#include "lib/error.h"
#include "lib/snapshot_archive.h"

#include "base/banned.h"

#define CHUNK       (256 * KIB)
#define DIGESTS_MAX 4096u
/* zstd can make nothing of zeros; but nobody has so many that are no holes. */
#define RATIO_MAX  1000u
#define RATIO_FROM (4 * GIB)

struct loading {
	struct store *s;
	struct err *err;
	const char *name; /* that it shall have; NULL: its own */
	int in;           /* the archive */
	struct inflate *z;
	uint8_t *chunk;
	uint64_t out; /* bytes of the tar so far */
	struct tar_reader tar;
	struct tar_entry e; /* where the reader is */
	/* What has come. */
	struct buf json, manifest, config;
	struct snapshot_text text;
	char digest[DIGEST_TEXT_LEN + 1]; /* of json */
	size_t layers;
	int disk_fd;
	struct disk_tree tree;
	bool has_disk, has_digests;
};

static void loading_release(struct loading *l)
{
	tar_release(&l->tar);
	inflate_free(l->z);
	free(l->chunk);
	buf_release(&l->json);
	buf_release(&l->manifest);
	buf_release(&l->config);
	snapshot_text_release(&l->text);
	disk_tree_release(&l->tree);
	close_fd(&l->disk_fd);
	close_fd(&l->in);
}
#define cleanup_loading cleanup(loading_release)

static const char *new_name(const struct loading *l)
{
	return l->name ? l->name : l->text.name;
}

/* ---- bytes --------------------------------------------------------------- */

static ssize_t read_file(void *arg, void *data, size_t len, struct err *err)
{
	struct loading *l = arg;
	ssize_t n;

	n = cancel_read(l->in, data, len);
	if (n == -ECANCELED)
		return err_set(err, (int)n, "cancelled");
	return n < 0 ? err_set(err, (int)n, "cannot read the archive: %s",
	                       strerror((int)-n))
	             : n;
}

static ssize_t next_chunk(void *arg, const uint8_t **ret, struct err *err)
{
	struct loading *l = arg;
	ssize_t n = cancel_check(err);

	if (n == 0)
		n = inflate_read(l->z, l->chunk, CHUNK, err);
	if (n <= 0)
		return n;
	l->out += (uint64_t)n;
	if (l->out > RATIO_FROM && l->out / RATIO_MAX > inflate_taken(l->z))
		return err_set(err, -E2BIG,
		               "the archive unpacks to more than %u times its "
		               "size",
		               RATIO_MAX);
	*ret = l->chunk;
	return n;
}

static int wrong(struct loading *l, const char *what)
{
	return tar_error(&l->tar, l->err, -EBADMSG, "%s", what);
}

/* All of the entry's content. */
static int read_whole(struct loading *l, struct buf *b, size_t max)
{
	struct tar_piece piece;
	int r;

	if (l->e.size == 0 || l->e.size > max)
		return wrong(l, "its size cannot be right");
	b->max = max;
	while ((r = tar_data(&l->tar, &piece, l->err)) > 0) {
		/* Of one with holes they would be lost. */
		if (piece.off != b->len)
			return wrong(l, "it has holes");
		r = buf_add(b, piece.data, piece.len);
		if (r < 0)
			return err_set(l->err, r, "out of memory");
	}
	if (r == 0 && b->len != l->e.size)
		return wrong(l, "it has holes");
	return r;
}

/* ---- entries ------------------------------------------------------------- */

static struct bundle bundle_of(const struct loading *l)
{
	return (struct bundle){.ref = l->text.image,
	                       .manifest = l->text.image_id,
	                       .config = l->text.config,
	                       .chain = l->text.chain,
	                       .diff_ids = &l->text.diff_ids,
	                       .patched = l->text.patched};
}

static int check_name(struct loading *l)
{
	int r = snapshot_check_name(new_name(l), l->err);

	if (r < 0 || !snapshot_exists(l->s, new_name(l)))
		return r;
	err_set(l->err, -EEXIST, "there is a snapshot %s already", new_name(l));
	err_hint(l->err, "give it another name: msb snapshot load ARCHIVE "
	                 "NAME");
	return -EEXIST;
}

static int take_text(struct loading *l)
{
	int r = read_whole(l, &l->json, SNAPSHOT_JSON_MAX);

	if (r == 0)
		r = snapshot_text_read(l->json.data, l->json.len, &l->text,
		                       l->err);
	if (r < 0)
		return r;
	snapshot_text_digest(buf_str(&l->json), l->digest);
	return check_name(l);
}

static int take_manifest(struct loading *l)
{
	if (l->manifest.len || l->layers || !*l->text.image_id)
		return wrong(l, "it is out of place");
	return read_whole(l, &l->manifest, MANIFEST_MAX_BYTES);
}

static int take_config(struct loading *l)
{
	struct bundle b = bundle_of(l);
	int r;

	if (!l->manifest.len || l->config.len || l->layers)
		return wrong(l, "it is out of place");
	r = read_whole(l, &l->config, MANIFEST_MAX_BYTES);
	return r < 0 ? r
	             : bundle_put(l->s, &b, &l->manifest, &l->config, l->err);
}

/* The entry as the source of a layer. */
struct layer_in {
	struct loading *l;
	struct tar_piece piece;
};

static ssize_t read_layer(void *arg, void *data, size_t len, struct err *err)
{
	struct layer_in *in = arg;
	size_t n;

	if (!in->piece.len) {
		int r = tar_data(&in->l->tar, &in->piece, err);

		if (r <= 0)
			return r;
	}
	n = MIN(len, in->piece.len);
	memcpy(data, in->piece.data, n);
	in->piece.data += n;
	in->piece.len -= n;
	return (ssize_t)n;
}

/* In the order of the image: the one that is next. */
static int take_layer(struct loading *l)
{
	struct layer_in in = {.l = l};
	const struct layer_source src = {read_layer, &in};
	const size_t before = sizeof(ARCHIVE_LAYERS) - 1;
	const struct strv *ids = &l->text.diff_ids;
	const char *want;
	struct digest id;

	if (*l->text.image_id && !l->config.len)
		return wrong(l, "it is out of place");
	want = l->layers < ids->n ? ids->v[l->layers] : NULL;
	if (!want || !digest_parse(want, &id) ||
	    strncmp(l->e.path + before, want + 7, DIGEST_HEX_LEN) != 0 ||
	    strcmp(l->e.path + before + DIGEST_HEX_LEN, ARCHIVE_LAYER) != 0)
		return wrong(l, "it is no layer of the image, or out of place");
	l->layers++;
	return bundle_layer_in(l->s, &src, &id, l->err);
}

/* Now it is known whether the image is in there, and if not must be here. */
static int check_image(struct loading *l)
{
	struct bundle b = bundle_of(l);

	if (l->layers && l->layers != l->text.diff_ids.n)
		return wrong(l, "layers of the image are missing");
	return bundle_check(l->s, &b, l->err);
}

static int write_disk(struct loading *l)
{
	struct tar_piece piece;
	int r;

	while ((r = tar_data(&l->tar, &piece, l->err)) > 0) {
		disk_tree_add(&l->tree, piece.off, piece.data, piece.len);
		r = upper_write_sparse(l->disk_fd, piece.data, piece.len,
		                       piece.off);
		if (r < 0)
			return err_set(l->err, r, "cannot write the disk: %s",
			               strerror(-r));
	}
	return r;
}

static int take_disk(struct loading *l)
{
	cleanup_close int dir = disks_folder(l->s, l->err);
	int r = dir < 0 ? dir : check_image(l);

	if (r < 0)
		return r;
	if (l->has_disk)
		return wrong(l, "it is out of place");
	if (l->e.size != l->text.bytes)
		return wrong(l,
		             "it has not the size that " ARCHIVE_TEXT " says");
	l->has_disk = true;
	l->disk_fd = disks_new_file(dir, l->err);
	if (l->disk_fd < 0)
		return l->disk_fd;
	r = disk_tree_init(&l->tree, l->text.bytes);
	if (r == 0 && ftruncate(l->disk_fd, (off_t)l->text.bytes) < 0)
		r = err_set(l->err, -errno, "cannot write the disk: %s",
		            strerror(errno));
	return r < 0 ? r : write_disk(l);
}

static int compare(struct loading *l, const char *what, const char *got,
                   const char *want)
{
	return strcmp(got, want) == 0
	               ? 0
	               : err_set(l->err, -EBADMSG,
	                         "the archive is damaged: its %s is %s, not "
	                         "%.80s",
	                         what, got, want);
}

static int take_digests(struct loading *l)
{
	struct buf cleanup_buf b = BUF_INIT;
	json_t *cleanup_json o = NULL;
	char text[DIGEST_TEXT_LEN + 1];
	struct digest d;
	int r;

	if (!l->has_disk)
		return wrong(l, "it is out of place");
	r = read_whole(l, &b, DIGESTS_MAX);
	if (r < 0)
		return r;
	o = json_parse(b.data, b.len, ARCHIVE_DIGESTS, l->err);
	if (json_int(o, "schema", 0) != ARCHIVE_SCHEMA)
		return wrong(l, "it is not what msb writes");
	disk_tree_final(&l->tree, &d);
	(void)digest_text(&d, text);
	l->has_digests = true;
	r = compare(l, ARCHIVE_TEXT, l->digest, json_str(o, "snapshot", ""));
	if (r == 0)
		r = compare(l, "disk", text, json_str(o, "disk", ""));
	if (r == 0 && *l->text.content)
		r = compare(l, "disk", text, l->text.content);
	return r;
}

static const struct {
	const char *path;
	bool is_start; /* of a path */
	int (*take)(struct loading *l);
} entries[] = {
	{ARCHIVE_MANIFEST, false, take_manifest},
	{ARCHIVE_CONFIG,   false, take_config  },
	{ARCHIVE_LAYERS,   true,  take_layer   },
	{ARCHIVE_DISK,     false, take_disk    },
	{ARCHIVE_DIGESTS,  false, take_digests },
};

static int take_entry(struct loading *l)
{
	const char *path = l->e.path;

	if (l->e.type != TAR_REG || strlen(path) != l->e.path_len)
		return wrong(l, "it is no file");
	if (!l->json.len)
		return strcmp(path, ARCHIVE_TEXT) == 0
		               ? take_text(l)
		               : wrong(l, "a snapshot's archive begins with "
		                          "another file");
	for (size_t i = 0; i < ARRAY_SIZE(entries) && !l->has_digests; i++)
		if (entries[i].is_start ? strncmp(path, entries[i].path,
		                                  strlen(entries[i].path)) == 0
		                        : strcmp(path, entries[i].path) == 0)
			return l->has_disk && entries[i].take != take_digests
			               ? wrong(l, "it is out of place")
			               : entries[i].take(l);
	return wrong(l, "it does not belong into a snapshot");
}

static int read_all(struct loading *l)
{
	int r;

	while ((r = tar_next(&l->tar, &l->e, l->err)) > 0) {
		r = take_entry(l);
		if (r < 0)
			return r;
	}
	if (r == 0 && !l->has_digests)
		r = err_set(l->err, -EBADMSG,
		            "the archive is no snapshot, or it was cut off");
	return r;
}

/* ---- published ----------------------------------------------------------- */

static int name_disk(struct loading *l, struct disk_chain *c)
{
	cleanup_close int dir = disks_folder(l->s, l->err);
	char name[DISKS_NAME_MAX + 1];
	int r = dir < 0 ? dir : disks_new_name(DISK_RAW, name, l->err);

	if (r == 0 && (fchmod(l->disk_fd, 0444) < 0 || fsync(l->disk_fd) < 0))
		r = err_set(l->err, -errno, "cannot write the disk: %s",
		            strerror(errno));
	if (r == 0)
		r = disks_name_file(l->disk_fd, dir, name, l->err);
	if (r == 0 && fsync(dir) < 0)
		r = -errno;
	return r < 0 ? r : strv_add(&c->layers, name);
}

static int publish(struct loading *l)
{
	struct snapshot_stage cleanup_stage st = SNAPSHOT_STAGE_INIT;
	struct disk_chain cleanup_disk_chain c = {0};
	cleanup_close int guard = disks_guard(l->s, l->err);
	struct bundle b = bundle_of(l);
	int r = guard < 0
	                ? guard
	                : snapshot_stage(l->s, buf_str(&l->json), &st, l->err);

	if (r == 0)
		r = bundle_pin(l->s, &b, st.name, l->err);
	if (r == 0)
		r = name_disk(l, &c);
	if (r == 0)
		r = disk_chain_write(st.dir_fd, &c, l->err);
	return r < 0 ? r : snapshot_publish(&st, new_name(l), false, l->err);
}

static int open_in(const char *path, struct err *err)
{
	int link = files_is_held(path) ? O_NOFOLLOW : 0;
	int fd = strcmp(path, "-") == 0
	                 ? fcntl(0, F_DUPFD_CLOEXEC, 3)
	                 : open(path, O_RDONLY | O_CLOEXEC | link);

	return fd < 0 ? err_set(err, -errno, "cannot open %s: %s", path,
	                        strerror(errno))
	              : fd;
}

static int load(struct loading *l, char **ret_name)
{
	const struct layer_source file = {read_file, l};
	const struct tar_source source = {.next = next_chunk, .arg = l};
	cleanup_close int keep = bundle_guard(l->s, l->err);
	char *name;
	int r;

	if (keep < 0)
		return keep;
	l->z = inflate_new(&file);
	l->chunk = malloc(CHUNK);
	if (!l->z || !l->chunk)
		return -ENOMEM;
	tar_init(&l->tar, &source);
	r = read_all(l);
	if (r == 0)
		r = publish(l);
	if (r < 0)
		return r;
	name = strdup(new_name(l));
	if (!name)
		return -ENOMEM;
	*ret_name = name;
	return 0;
}

int snapshot_load(struct store *s, const char *path, const char *name,
                  char **ret_name, struct err *err)
{
	struct loading cleanup_loading l = {.s = s,
	                                    .err = err,
	                                    .name = name,
	                                    .disk_fd = -1,
	                                    .json = BUF_INIT,
	                                    .manifest = BUF_INIT,
	                                    .config = BUF_INIT};
	int r = name ? snapshot_check_name(name, err) : 0;

	l.in = r < 0 ? -1 : open_in(path, err);
	if (r == 0)
		r = l.in < 0 ? l.in : load(&l, ret_name);
	if (r < 0)
		disks_sweep(s);
	return r;
}

int msb_snapshot_load(struct msb_home *home, const char *path, const char *name,
                      char **ret_name, struct msb_error *error)
{
	char *loaded = NULL;
	struct err err = {0};
	int r;

	if (!path || !*path)
		return error_set(error, -EINVAL, "no archive was named");
	r = snapshot_load(home->store, path, name, &loaded, &err);
	if (r < 0)
		return error_return(error, r, &err);
	if (ret_name)
		*ret_name = loaded;
	else
		free(loaded);
	return 0;
}
