#include "image/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "image/index.h"
#include "image/install.h"
#include "image/load.h"
#include "image/pin.h"
#include "image/record.h"

#include "base/banned.h"

int bundle_documents(struct store *s, const struct image *img,
                     struct buf *manifest, struct buf *config, struct err *err)
{
	int r;

	if (!img->config_json)
		return 0;
	r = record_document(s, "manifests", &img->manifest, manifest, err);
	return r < 0 ? r
	             : record_document(s, "configs", &img->config_digest,
	                               config, err);
}

int bundle_layer_bytes(struct store *s, const struct digest *diff_id,
                       uint64_t *ret, struct err *err)
{
	char path[LAYER_PATH_LEN];
	struct index ix = {0};
	cleanup_close int fd = -1;
	int r;

	layer_path(diff_id, "index", path);
	fd = openat(s->fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_set(err, -errno, "cannot open %s/store/%s: %s",
		               s->home, path, strerror(errno));
	r = index_open(fd, &ix, err);
	if (r < 0)
		return r;
	*ret = ix.header->tar_bytes;
	index_close(&ix);
	return 0;
}

int bundle_layer_in(struct store *s, const struct layer_source *src,
                    const struct digest *diff_id, struct err *err)
{
	char name[DIGEST_HEX_LEN + 16], hex[DIGEST_HEX_LEN + 1];
	struct layer_info info;
	cleanup_close int lock = -1;
	int r;

	(void)snprintf(name, sizeof(name), "layer-%s",
	               digest_hex(diff_id, hex));
	lock = store_lock(s, name, 0, err);
	if (lock < 0)
		return lock;
	r = layer_present(s, diff_id);
	if (r < 0)
		return err_set(err, r, "cannot look for a layer: %s",
		               strerror(-r));
	return r ? 0
	         : layer_ingest(s, src, diff_id, NULL, NULL, NULL, &info, err);
}

int bundle_guard(struct store *s, struct err *err)
{
	return install_guard(s, err);
}

static int put_one(struct store *s, const char *kind, const char *want,
                   const struct buf *b, struct err *err)
{
	char text[DIGEST_TEXT_LEN + 1];
	struct digest d;

	digest_of(b->data, b->len, &d);
	if (strcmp(digest_text(&d, text), want) != 0)
		return err_set(err, -EBADMSG,
		               "the image's document is %s, not %s", text,
		               want);
	return record_put_document(s, kind, &d, b->data, b->len, err);
}

int bundle_put(struct store *s, const struct bundle *b,
               const struct buf *manifest, const struct buf *config,
               struct err *err)
{
	int r = put_one(s, "manifests", b->manifest, manifest, err);

	return r < 0 ? r : put_one(s, "configs", b->config, config, err);
}

static int missing(const struct bundle *b, struct err *err)
{
	err_set(err, -ENOENT,
	        "it was written over the image %s%s%s, which is not here",
	        b->ref, *b->manifest ? ", " : "", b->manifest);
	err_hint(err, *b->manifest ? "pull that first, or save the snapshot "
	                             "--with-image"
	                           : "save the snapshot --with-image");
	return -ENOENT;
}

static int check_layers(struct store *s, const struct bundle *b,
                        struct err *err)
{
	for (size_t i = 0; i < b->diff_ids->n; i++) {
		struct digest d;
		int r = digest_parse(b->diff_ids->v[i], &d)
		                ? layer_present(s, &d)
		                : -EBADMSG;

		if (r < 0)
			return err_set(err, r, "cannot look for a layer: %s",
			               strerror(-r));
		if (r == 0)
			return missing(b, err);
	}
	return 0;
}

static int check_document(struct store *s, const struct bundle *b,
                          const char *kind, const char *text, struct err *err)
{
	struct buf cleanup_buf bytes = BUF_INIT;
	struct digest d;
	char path[96];

	if (!digest_parse(text, &d))
		return err_set(err, -EBADMSG, "no digest: %s", text);
	(void)snprintf(path, sizeof(path), "%s/%s", kind, text + 7);
	if (faccessat(s->fd, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
		return missing(b, err);
	return record_document(s, kind, &d, &bytes, err);
}

int bundle_check(struct store *s, const struct bundle *b, struct err *err)
{
	int r = 0;

	if (*b->manifest)
		r = check_document(s, b, "manifests", b->manifest, err);
	if (r == 0 && *b->manifest)
		r = check_document(s, b, "configs", b->config, err);
	return r < 0 ? r : check_layers(s, b, err);
}

static int make_record(struct store *s, const struct bundle *b,
                       struct record *rec)
{
	const struct strv *ids = b->diff_ids;

	*rec = (struct record){.folder = !*b->manifest, .patched = b->patched};
	if (!digest_parse(b->chain, &rec->chain) ||
	    !digest_parse(ids->v[0], &rec->layer) ||
	    !digest_parse(ids->v[ids->n - 1], &rec->patch) ||
	    (!rec->folder && (!digest_parse(b->manifest, &rec->manifest) ||
	                      !digest_parse(b->config, &rec->config))))
		return -EBADMSG;
	if (rec->folder && ids->n != (b->patched ? 2u : 1u))
		return -EBADMSG;
	for (size_t i = 0; i < ids->n; i++) {
		char path[LAYER_PATH_LEN];
		struct digest d;

		if (!digest_parse(ids->v[i], &d))
			return -EBADMSG;
		rec->size += record_disk_usage(
			s->fd, record_layer_path(&d, path, sizeof(path)));
	}
	return 0;
}

/* Whatever was said of it must be what its documents say. */
static int check_image(const struct bundle *b, const struct image *img,
                       struct err *err)
{
	char text[DIGEST_TEXT_LEN + 1];
	struct digest chain;
	bool same = img->nlayers == b->diff_ids->n;

	for (uint32_t i = 0; same && i < img->nlayers; i++)
		same = strcmp(digest_text(&img->diff_ids[i], text),
		              b->diff_ids->v[i]) == 0;
	if (same) {
		rootfs_chain_id(img->diff_ids, img->nlayers, &chain);
		same = strcmp(digest_text(&chain, text), b->chain) == 0;
	}
	return same ? 0
	            : err_set(err, -EBADMSG,
	                      "what it says of its image is not what the "
	                      "image says");
}

static int check_platform(const struct image *img, struct err *err)
{
	struct platform want;
	int r = img->config_json ? platform_parse(NULL, &want, err) : 0;

	return r < 0 || !img->config_json
	               ? r
	               : load_check_platform(img, &want, err);
}

int bundle_pin(struct store *s, const struct bundle *b, const char *folder,
               struct err *err)
{
	cleanup_close int lock = store_lock(s, "store", STORE_LOCK_SHARED, err);
	struct image cleanup(image_release) img = {0};
	char path[PIN_SNAPSHOT_PATH_LEN];
	struct record rec;
	int r = lock < 0 ? lock : bundle_check(s, b, err);

	if (r < 0)
		return r;
	if (!pin_snapshot_path(folder, path) || make_record(s, b, &rec) < 0)
		return err_set(err, -EBADMSG,
		               "what it says of its image cannot be");
	r = record_write_at(s, path, b->ref, &rec, err);
	if (r == 0)
		r = record_image(s, path, &img, err);
	if (r == 0)
		r = check_image(b, &img, err);
	return r < 0 ? r : check_platform(&img, err);
}
