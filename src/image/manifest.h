/*
 * manifest.h - the JSON documents of an image: index (manifest list), manifest,
 * config. OCI and Docker schema 2; nothing here touches network or store.
 *
 * All of it was written by a stranger. Size, depth and counts are bounded,
 * duplicate keys are refused, a document that could be read as two kinds is
 * refused, and digests are compared by the callers, who hold the bytes.
 */
#ifndef IMAGE_MANIFEST_H
#define IMAGE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/digest.h"
#include "base/err.h"
#include "image/image.h"

#define MANIFEST_MAX_BYTES   (4u << 20)
#define MANIFEST_MAX_LAYERS  512
#define MANIFEST_MAX_ENTRIES 1024
#define MANIFEST_MAX_DEPTH   4            /* indexes inside indexes */
#define MANIFEST_MAX_BLOB    (1ull << 36) /* 64 GiB compressed */

/* What we ask a registry for, as an Accept header's value. */
#define MANIFEST_ACCEPT                                                        \
	"application/vnd.oci.image.index.v1+json, "                            \
	"application/vnd.docker.distribution.manifest.list.v2+json, "          \
	"application/vnd.oci.image.manifest.v1+json, "                         \
	"application/vnd.docker.distribution.manifest.v2+json"

struct descriptor {
	struct digest digest;
	uint64_t size;
};

struct platform {
	char os[24], arch[24], variant[24];
};

/* "os/arch[/variant]"; NULL: this machine's. */
int platform_parse(const char *text, struct platform *ret, struct err *err);

/* "linux/amd64" into @out of at least 80 bytes; returns @out. */
const char *platform_text(const struct platform *p, char *out);

struct manifest {
	struct descriptor config, *layers;
	uint32_t nlayers;
};

struct manifest_entry {
	struct descriptor desc;
	struct platform platform; /* os "" when the index does not say */
	bool is_index;
	char *name;             /* annotation that names the image, or NULL */
	bool has_original;      /* the manifest that the image came with: see */
	struct digest original; /* archive_out.h */
};

struct manifest_list {
	struct manifest_entry *entries;
	uint32_t n;
};

enum manifest_kind { MANIFEST_IMAGE, MANIFEST_INDEX };

struct manifest_doc {
	enum manifest_kind kind;
	struct manifest image;
	struct manifest_list index;
};

/*
 * @media_type is what the transport called it (Content-Type, descriptor), or
 * NULL. On success exactly one of image and index is filled.
 */
int manifest_parse(const void *data, size_t len, const char *media_type,
                   struct manifest_doc *ret, struct err *err);
void manifest_release(struct manifest_doc *d); /* zeroed is fine */

/*
 * The entry for @want: one of that platform, else one that names none, else a
 * nested index. The error lists the platforms that there are.
 */
int manifest_choose(const struct manifest_list *ix, const struct platform *want,
                    const struct manifest_entry **ret, struct err *err);

/*
 * Fill diff_ids, nlayers, platform, created_unix, config, config_json of @ret
 * (zeroed before). The number of layers must be @nlayers.
 */
int manifest_config(const void *data, size_t len, uint32_t nlayers,
                    struct image *ret, struct err *err);

static inline void cleanup_manifest_fn(struct manifest_doc *d)
{
	manifest_release(d);
}
#define cleanup_manifest cleanup(cleanup_manifest_fn)

#endif
