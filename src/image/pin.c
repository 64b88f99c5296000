/*
 * A pin is a record like that of a name. image_pin() holds the lock "store"
 * shared, as all do that make an image reachable, so a sweep comes before it
 * (then it finds layers missing) or after it (then the sweep finds the pin).
 */
#include "image/pin.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fdio.h"
#include "image/image.h"
#include "image/layer.h"
#include "image/record.h"
#include "store/state.h"

#include "base/banned.h"

bool pin_path(const char *id, char out[PIN_PATH_LEN])
{
	if (strlen(id) != STATE_ID_LEN ||
	    strspn(id, "0123456789abcdef") != STATE_ID_LEN)
		return false;
	(void)snprintf(out, PIN_PATH_LEN, "pins/%s", id);
	return true;
}

static void describe(const struct image *img, struct record *rec)
{
	*rec = (struct record){
		.manifest = img->manifest,
		.config = img->config_digest,
		.chain = img->chain_id,
		.folder = img->config_json == NULL,
		.size = img->size,
		.pulled_unix = img->pulled_unix,
	};
	if (img->patched) {
		rec->patched = true;
		rec->layer = img->diff_ids[0];
		rec->patch = img->diff_ids[img->nlayers - 1];
	}
	(void)snprintf(rec->platform, sizeof(rec->platform), "%s",
	               img->platform ? img->platform : "");
}

/* The chain may be missing: it can be made of the layers again. */
static int check_present(struct store *s, const struct image *img)
{
	if (img->nlayers == 0)
		return layer_present(s, &img->chain_id);
	for (uint32_t i = 0; i < img->nlayers; i++) {
		int r = layer_present(s, &img->diff_ids[i]);

		if (r != 1)
			return r;
	}
	return 1;
}

static int check_documents(struct store *s, const struct record *rec,
                           struct err *err)
{
	struct buf cleanup_buf manifest = BUF_INIT, config = BUF_INIT;
	int r;

	if (rec->folder)
		return 0;
	r = record_document(s, "manifests", &rec->manifest, &manifest, err);
	return r < 0 ? r
	             : record_document(s, "configs", &rec->config, &config,
	                               err);
}

int image_pin(struct store *s, const struct image *img, const char *id,
              struct err *err)
{
	cleanup_close int lock = store_lock(s, "store", STORE_LOCK_SHARED, err);
	char path[PIN_PATH_LEN];
	struct record rec;
	int r;

	if (lock < 0)
		return lock;
	if (!pin_path(id, path))
		return err_set(err, -EINVAL, "no sandbox's id: %s", id);
	r = check_present(s, img);
	if (r < 0)
		return err_set(err, r, "cannot look for a layer: %s",
		               strerror(-r));
	if (r == 0)
		return err_set(err, -ENOENT,
		               "image %s was removed while a sandbox was made "
		               "of it",
		               img->ref);
	describe(img, &rec);
	r = check_documents(s, &rec, err);
	return r < 0 ? r : record_write_at(s, path, img->ref, &rec, err);
}

int image_unpin(struct store *s, const char *id)
{
	char path[PIN_PATH_LEN];

	if (!pin_path(id, path))
		return -EINVAL;
	return unlinkat(s->fd, path, 0) < 0 && errno != ENOENT ? -errno : 0;
}

int image_find_pinned(struct store *s, const char *id, struct image *ret,
                      struct err *err)
{
	char path[PIN_PATH_LEN];
	int r;

	if (!pin_path(id, path))
		return err_set(err, -EINVAL, "no sandbox's id: %s", id);
	r = record_image(s, path, ret, err);
	if (r == -ENOENT)
		return err_set(err, r,
		               "what this sandbox was made of is not on "
		               "record: %s/store/%s is missing",
		               s->home, path);
	return r;
}

/* ---- snapshots ----------------------------------------------------------- */

bool pin_snapshot_path(const char *folder, char out[PIN_SNAPSHOT_PATH_LEN])
{
	static const char inside[] = "abcdefghijklmnopqrstuvwxyz"
				     "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "0123456789._-";

	if (!*folder || *folder == '.' || folder[strspn(folder, inside)])
		return false;
	return snprintf(out, PIN_SNAPSHOT_PATH_LEN, "../snapshots/%s/image",
	                folder) < PIN_SNAPSHOT_PATH_LEN;
}

int image_pin_text(struct store *s, const char *id, struct buf *ret,
                   struct err *err)
{
	struct record cleanup_record rec = {0};
	char path[PIN_PATH_LEN];
	int r;

	if (!pin_path(id, path))
		return err_set(err, -EINVAL, "no sandbox's id: %s", id);
	r = record_read(s, path, &rec, err);
	if (r < 0)
		return r;
	r = file_read(s->fd, path, ret);
	return r < 0 ? err_set(err, r, "cannot read %s/store/%s: %s", s->home,
	                       path, strerror(-r))
	             : 0;
}

int image_find_snapshot(struct store *s, const char *folder, struct image *ret,
                        struct err *err)
{
	char path[PIN_SNAPSHOT_PATH_LEN];
	int r;

	if (!pin_snapshot_path(folder, path))
		return err_set(err, -EINVAL, "no snapshot's name: %s", folder);
	r = record_image(s, path, ret, err);
	if (r == -ENOENT)
		return err_set(err, r,
		               "what the snapshot %s was written over is not "
		               "on record: %s/snapshots/%s/image is missing",
		               folder, s->home, folder);
	return r;
}
