/*
 * record.h - what the store knows about images: the records below refs/ (one a
 * name) and pins/ (one a sandbox that is kept), and the documents that they
 * lead to.
 *
 * Nothing that is read back is believed: a manifest and a config are hashed on
 * every read, so damage on the disk is found before it is used (-EBADMSG).
 */
#ifndef IMAGE_RECORD_H
#define IMAGE_RECORD_H

#include "base/buf.h"
#include "image/image.h"
#include "image/manifest.h"
#include "image/ref.h"

struct record {
	char *ref; /* normal form */
	struct digest manifest, config, chain;
	bool folder; /* packed: no manifest, no config, ref is its path; one
	                layer, so that the chain's id is the layer's too */
	/*
	 * A pin only: over the image, or the folder's `layer`, there is one
	 * more layer, and the chain is of all (see patch.h).
	 */
	bool patched;
	struct digest layer, patch;
	struct digest index; /* what the tag named, when that was an index */
	bool has_index;
	char platform[80];
	uint64_t size;
	int64_t pulled_unix;
};

void record_release(struct record *r); /* zeroed is fine */
int record_write(struct store *s, const struct ref *ref, const struct record *r,
                 struct err *err);
int record_write_at(struct store *s, const char *path, const char *name,
                    const struct record *r, struct err *err);

/* @path is relative to the store; -ENOENT, -EBADMSG when damaged. */
int record_read(struct store *s, const char *path, struct record *ret,
                struct err *err);

/*
 * Call fn(arg, path) for each record file; it returns 0 to go on, else the
 * walk ends with that value. Damaged ones are reported like others.
 */
int record_walk(struct store *s, int (*fn)(void *arg, const char *path),
                void *arg);

/* Remove the record and the folders that this leaves empty; -ENOENT. */
int record_remove(struct store *s, const char *path);

/* "manifests" or "configs": append the bytes to @b, hashed. */
int record_document(struct store *s, const char *kind, const struct digest *d,
                    struct buf *b, struct err *err);
int record_put_document(struct store *s, const char *kind,
                        const struct digest *d, const void *data, size_t len,
                        struct err *err);

/* Record, manifest and config together. */
int record_image(struct store *s, const char *path, struct image *ret,
                 struct err *err);

/* Bytes on the disk below @path, links not followed. */
uint64_t record_disk_usage(int at, const char *path);

/*
 * The folder of a chain, "chains/<aa>/<id>.<abi>", whatever its abi; false
 * when there is none.
 */
bool record_chain_path(struct store *s, const struct digest *chain, char *out,
                       size_t out_len);
const char *record_layer_path(const struct digest *diff_id, char *out,
                              size_t out_len);

#define cleanup_record cleanup(record_release)

#endif
