/*
 * image.h - images as the library sees them: pull, load, list, remove, and
 * what to run. All functions are synchronous and may be called from any thread
 * (each with its own err); several processes may share one store.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/err.h"
#include "base/strv.h"
#include "image/rootfs.h"
#include "store/store.h"

enum image_pull_policy {
	IMAGE_PULL_MISSING,
	IMAGE_PULL_ALWAYS,
	IMAGE_PULL_NEVER
};

enum image_event_kind {
	IMAGE_EV_RESOLVING,  /* asking the registry, or reading the archive */
	IMAGE_EV_RESOLVED,   /* nlayers and total (compressed bytes) known */
	IMAGE_EV_LAYER,      /* layer: done of total compressed bytes */
	IMAGE_EV_LAYER_DONE, /* cached: it was in the store already */
	IMAGE_EV_MERGING,
	IMAGE_EV_DONE,
};

struct image_event {
	enum image_event_kind kind;
	const char *ref;
	const char *digest; /* of the layer, "sha256:..." or NULL */
	uint32_t layer, nlayers;
	uint64_t done, total; /* bytes; total 0: unknown */
	bool cached;
};

/*
 * Called from any of the pull's threads, one call at a time, at most every
 * 50 ms a layer. Not 0 cancels the pull: it returns -ECANCELED.
 */
typedef int (*image_event_fn)(void *arg, const struct image_event *ev);

struct image_pull_opts {
	enum image_pull_policy policy;
	bool force;           /* fetch and convert again */
	bool insecure;        /* plain HTTP, or TLS without verification */
	const char *ca_certs; /* extra PEM file, or NULL */
	const char *platform; /* "linux/amd64"; NULL: this machine's */
	uint32_t downloads;   /* at once; 0: 4 */
	bool no_links;        /* no part of a path may be a symbolic link */
	image_event_fn event; /* may be NULL */
	void *event_arg;
};

/* What the image says about the command (OCI config). */
struct image_config {
	struct strv entrypoint, cmd, env;
	char *workdir, *user, *stop_signal; /* NULL when absent */
};

struct image {
	char *ref;              /* normalised: docker.io/library/x:latest */
	struct digest manifest; /* the id shown to users */
	struct digest config_digest;
	struct digest chain_id;
	struct digest *diff_ids;
	uint32_t nlayers;
	uint64_t size;        /* bytes of its layers' blobs and metadata */
	int64_t created_unix; /* from the config; 0 when absent */
	int64_t pulled_unix;
	char *platform; /* "linux/amd64" */
	struct image_config config;
	char *config_json; /* raw, as received */
	bool patched;      /* the last layer is not the image's: see patch.h */
};

void image_release(struct image *img); /* NULL and zeroed are fine */

/*
 * Make @ref usable and describe it. A registry that sends (nearly) nothing for
 * 30 seconds, or MSB_REGISTRY_TIMEOUT ("5s"), is given up after some retries.
 * A @ref that names a path (starts with "." or "/") is a docker-archive, an
 * oci-archive (tar files) or an OCI layout folder, as for image_load().
 */
int image_pull(struct store *s, const char *ref,
               const struct image_pull_opts *opts, struct image *ret,
               struct err *err);

/*
 * Read the archive at @path ("-": standard input) or OCI layout folder. Every
 * image in it gets its own name; @tag, when given, names the only image.
 * @ret_refs receives the normalised references.
 */
int image_load(struct store *s, const char *path, const char *tag,
               const struct image_pull_opts *opts, struct strv *ret_refs,
               struct err *err);

/* A reference, or a unique prefix (12 digits or more) of an image's id. */
int image_find(struct store *s, const char *ref, struct image *ret,
               struct err *err); /* -ENOENT */

/* All, sorted by reference. *ret is an array of *ret_n; release each + free. */
int image_list(struct store *s, struct image **ret, uint32_t *ret_n,
               struct err *err);

/* Drop the name; what no other image needs goes with image_gc(). */
int image_remove(struct store *s, const char *ref, struct err *err);

/*
 * Drop layers, chains, manifests and configs that no reference and no pin
 * reaches, and interrupted downloads. With @all, drop every reference first.
 */
int image_gc(struct store *s, bool all, uint64_t *ret_freed_bytes,
             uint32_t *ret_removed_refs, struct err *err);

/*
 * Keep what a sandbox was made of for as long as the sandbox is there, whatever
 * becomes of the image's names. @id is the sandbox's, 16 hex digits, and its
 * folder HOME/sandboxes/ID must be there: image_gc() drops pins without one.
 * @img may also be a packed folder, that is a chain and a path only. A pin that
 * is there is replaced. -ENOENT when the image was removed meanwhile.
 */
int image_pin(struct store *s, const struct image *img, const char *id,
              struct err *err);
int image_unpin(struct store *s, const char *id); /* fine when there is none */

/*
 * What @id was made of. Of a folder: path, chain and layer only. -ENOENT,
 * -EBADMSG when it is damaged.
 */
int image_find_pinned(struct store *s, const char *id, struct image *ret,
                      struct err *err);

/*
 * A snapshot's pin is the file `image` in its folder, HOME/snapshots/@folder,
 * and so comes and goes with that: the text of the pin of the sandbox @id,
 * which keeps the image until that file is there. -ENOENT when it has none.
 */
int image_pin_text(struct store *s, const char *id, struct buf *ret,
                   struct err *err);
/* As image_find_pinned(). */
int image_find_snapshot(struct store *s, const char *folder, struct image *ret,
                        struct err *err);

/* The path form of a run's root: a directory with a root file system. */
bool image_ref_is_path(const char *ref);

#endif
