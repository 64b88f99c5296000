/*
 * Loading. Both kinds of archive come down to the same thing, a struct bundle:
 * raw manifest and config, a list of member names for the layers, and the
 * references that it gets. A docker-archive has no manifest; it gets one that
 * follows from its content, so that loading it twice gives the same id.
 */
#include "image/load.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/escape.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "image/archive_in.h"
#include "image/archive_out.h"
#include "image/install.h"
#include "image/layer.h"

#include "base/banned.h"

#define IMAGES_MAX   256 /* in one archive */
#define HASH_CHUNK   (256 * KIB)
#define DEFAULT_NAME "localhost/"

struct loader {
	struct store *s;
	const char *path, *tag;
	const struct image_pull_opts *opts;
	struct platform want;
	struct meter meter;
	struct archive ar;
	struct strv *refs; /* of what is in the store now */
};

struct bundle {
	struct loader *ld;
	struct buf manifest, config;
	struct strv layers; /* member names */
	bool blobs_named;   /* they are checked against the manifest */
	struct manifest_doc doc;
	struct image img;
	struct strv names;   /* references as found; may be empty */
	struct buf original; /* the manifest to keep instead, if any */
};

static void bundle_release(struct bundle *b)
{
	buf_release(&b->manifest);
	buf_release(&b->config);
	buf_release(&b->original);
	strv_release(&b->layers);
	strv_release(&b->names);
	manifest_release(&b->doc);
	image_release(&b->img);
}

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

int load_check_platform(const struct image *img, const struct platform *want,
                        struct err *err)
{
	struct platform have;
	char text[80];
	int r = platform_parse(img->platform, &have, err);

	if (r < 0)
		return r;
	if (strcmp(have.os, want->os) == 0 &&
	    strcmp(have.arch, want->arch) == 0 &&
	    (!want->variant[0] || strcmp(have.variant, want->variant) == 0))
		return 0;
	return err_set(err, -ENOTSUP, "the image is for %s, not for %s",
	               img->platform, platform_text(want, text));
}

static int fetch_layer(void *arg, uint32_t i, struct err *err)
{
	struct bundle *b = arg;
	const struct descriptor *blob = &b->doc.image.layers[i];
	struct archive_source from;
	struct layer_source src = {archive_source_read, &from};
	struct layer_info info;
	int r = archive_source_open(&b->ld->ar, b->layers.v[i],
	                            b->blobs_named ? &blob->digest : NULL,
	                            &b->ld->meter, i, &from, err);

	if (r < 0)
		return r;
	if (b->blobs_named && from.m.size != blob->size)
		r = err_set(err, -EBADMSG,
		            "a layer in the archive does not have the size "
		            "that its manifest names");
	if (r == 0)
		r = layer_ingest(b->ld->s, &src, &b->img.diff_ids[i], NULL,
		                 NULL, NULL, &info, err);
	archive_source_close(&from);
	return r;
}

static int base_name(const struct loader *ld, struct buf *b)
{
	static const char *const endings[] = {".gz",  ".zst", ".tar",
	                                      ".tgz", ".oci", ".docker"};
	char *cleanup_free full = realpath(ld->path, NULL);
	const char *slash = full ? strrchr(full, '/') : NULL;
	size_t len = slash ? strlen(slash + 1) : 0;

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		size_t n = strlen(endings[i]);

		if (len > n && memcmp(slash + 1 + len - n, endings[i], n) == 0)
			len -= n;
	}
	for (size_t i = 0; i < len; i++) {
		char c = slash[1 + i];

		if (c >= 'A' && c <= 'Z')
			c = (char)(c - 'A' + 'a');
		(void)buf_addc(b, c);
	}
	return buf_ok(b) ? 0 : -ENOMEM;
}

/*
 * @name is what the archive calls the image: a full reference, only a tag (as
 * umoci and skopeo write it), or NULL.
 */
static int full_name(const struct loader *ld, const char *name, struct ref *ret,
                     struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(4096);
	struct err unused = {0};

	if (name && strpbrk(name, "/:@"))
		return ref_parse(name, ret, err);
	(void)buf_adds(&b, DEFAULT_NAME);
	if (base_name(ld, &b) < 0)
		return no_memory(err);
	(void)buf_printf(&b, ":%s", name ? name : "latest");
	if (buf_ok(&b) && ref_parse(buf_str(&b), ret, &unused) == 0)
		return 0;
	err_set(err, -EINVAL, "the archive does not name its image");
	err_hint(err, "give it a name with --tag");
	return -EINVAL;
}

static int commit_as(struct bundle *b, const struct install *in,
                     const struct ref *ref, struct err *err)
{
	const struct buf *keep = b->original.len ? &b->original : &b->manifest;
	struct buf cleanup_buf text = BUF_INIT;
	struct install_image img = {
		.ref = ref,
		.manifest = keep->data,
		.manifest_len = keep->len,
		.config = b->config.data,
		.config_len = b->config.len,
		.platform = b->img.platform,
	};
	int r = ref_text(ref, &text);

	if (r == 0)
		r = install_commit(in, &img, err);
	if (r == 0 && strv_add(b->ld->refs, buf_str(&text)) < 0)
		r = no_memory(err);
	return r;
}

static int commit_all(struct bundle *b, const struct install *in,
                      struct err *err)
{
	struct ref ref;
	int r;

	if (b->ld->tag || b->names.n == 0) {
		r = b->ld->tag ? ref_parse(b->ld->tag, &ref, err)
		               : full_name(b->ld, NULL, &ref, err);
		return r < 0 ? r : commit_as(b, in, &ref, err);
	}
	r = 0;
	for (size_t i = 0; r == 0 && i < b->names.n; i++) {
		r = full_name(b->ld, b->names.v[i], &ref, err);
		if (r == 0)
			r = commit_as(b, in, &ref, err);
	}
	return r;
}

/* Names are judged before the work, which may be long. */
static int check_names(const struct bundle *b, struct err *err)
{
	struct ref ref;
	int r = 0;

	if (b->ld->tag)
		return ref_parse(b->ld->tag, &ref, err);
	if (b->names.n == 0)
		return full_name(b->ld, NULL, &ref, err);
	for (size_t i = 0; r == 0 && i < b->names.n; i++)
		r = full_name(b->ld, b->names.v[i], &ref, err);
	return r;
}

static int bundle_install(struct bundle *b, struct err *err)
{
	struct loader *ld = b->ld;
	const struct manifest *m = &b->doc.image;
	struct install in = {
		.s = ld->s,
		.meter = &ld->meter,
		.diff_ids = b->img.diff_ids,
		.blobs = m->layers,
		.nlayers = m->nlayers,
		.workers = ld->opts->downloads,
		.force = ld->opts->force,
		.fetch = fetch_layer,
		.arg = b,
	};
	uint64_t total = 0;
	int r = meter_layers(&ld->meter, m->nlayers, err);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < m->nlayers; i++) {
		meter_layer_is(&ld->meter, i, &m->layers[i].digest,
		               m->layers[i].size);
		total += m->layers[i].size;
	}
	if (meter_state(&ld->meter, IMAGE_EV_RESOLVED) < 0)
		return err_set(err, -ECANCELED, "cancelled");
	r = store_reserve(ld->s, total, err);
	if (r == 0)
		r = install_layers(&in, err);
	return r < 0 ? r : commit_all(b, &in, err);
}

/* Config and names are there: judge them, then do the work. */
static int bundle_finish(struct bundle *b, struct err *err)
{
	int r = manifest_config(b->config.data, b->config.len,
	                        b->doc.image.nlayers, &b->img, err);

	if (r == 0)
		r = load_check_platform(&b->img, &b->ld->want, err);
	if (r == 0)
		r = check_names(b, err);
	return r < 0 ? r : bundle_install(b, err);
}

/*
 * What msb itself saved has the manifest that the image came with: of layers
 * that were compressed, so they are not those of this archive. What it says
 * about them can only be kept, not checked; but it must name the very config
 * that describes this archive's content, which is checked against that.
 */
static int take_original(struct bundle *b, const struct digest *d,
                         struct err *err)
{
	struct manifest_doc cleanup_manifest doc = {0};
	char name[96], hex[DIGEST_HEX_LEN + 1];
	struct digest got;
	int r;

	(void)snprintf(name, sizeof(name), "blobs/sha256/%s",
	               digest_hex(d, hex));
	b->original.max = MANIFEST_MAX_BYTES;
	r = archive_read(&b->ld->ar, name, &b->original, err);
	if (r < 0)
		return r;
	digest_of(b->original.data, b->original.len, &got);
	if (!digest_equal(&got, d))
		return err_set(err, -EBADMSG, "%s does not have its digest",
		               name);
	r = manifest_parse(b->original.data, b->original.len, NULL, &doc, err);
	if (r < 0)
		return r;
	if (doc.kind == MANIFEST_IMAGE &&
	    digest_equal(&doc.image.config.digest,
	                 &b->doc.image.config.digest) &&
	    doc.image.config.size == b->doc.image.config.size &&
	    doc.image.nlayers == b->doc.image.nlayers)
		return 0;
	return err_set(err, -EBADMSG,
	               "the archive names a manifest that is another image's");
}

/* From an entry of the top index down to a manifest. */
static int oci_descend(struct bundle *b, const struct manifest_entry *entry,
                       struct err *err)
{
	struct descriptor d = entry->desc;

	for (int depth = 0; depth < MANIFEST_MAX_DEPTH; depth++) {
		const struct manifest_entry *next;
		int r;

		buf_release(&b->manifest);
		manifest_release(&b->doc);
		r = archive_document(&b->ld->ar, &d, &b->manifest, err);
		if (r == 0)
			r = manifest_parse(b->manifest.data, b->manifest.len,
			                   NULL, &b->doc, err);
		if (r < 0 || b->doc.kind == MANIFEST_IMAGE)
			return r;
		r = manifest_choose(&b->doc.index, &b->ld->want, &next, err);
		if (r < 0)
			return r;
		d = next->desc;
	}
	return err_set(err, -EBADMSG, "indexes are nested too deeply");
}

static int oci_image(struct loader *ld, const struct manifest_entry *entry,
                     struct err *err)
{
	struct bundle b = {.ld = ld, .blobs_named = true};
	char hex[DIGEST_HEX_LEN + 1];
	int r = oci_descend(&b, entry, err);

	if (r == 0)
		r = archive_document(&ld->ar, &b.doc.image.config, &b.config,
		                     err);
	for (uint32_t i = 0; r == 0 && i < b.doc.image.nlayers; i++)
		r = strv_addf(&b.layers, "blobs/sha256/%s",
		              digest_hex(&b.doc.image.layers[i].digest, hex));
	if (r == 0 && entry->name)
		r = strv_add(&b.names, entry->name);
	if (r == 0 && entry->has_original)
		r = take_original(&b, &entry->original, err);
	if (r == 0)
		r = bundle_finish(&b, err);
	else if (r == -ENOMEM)
		r = no_memory(err);
	bundle_release(&b);
	return r;
}

static bool same_name(const struct manifest_entry *a,
                      const struct manifest_entry *b)
{
	return a->name && b->name ? strcmp(a->name, b->name) == 0
	                          : a->name == b->name;
}

/* Entries that share a name are one image for several platforms. */
static int oci_group(struct loader *ld, const struct manifest_list *ix,
                     uint32_t first, struct err *err)
{
	struct manifest_list group = {0};
	const struct manifest_entry *entry;
	int r;

	group.entries = calloc(ix->n, sizeof(*group.entries));
	if (!group.entries)
		return no_memory(err);
	for (uint32_t i = first; i < ix->n; i++)
		if (same_name(&ix->entries[first], &ix->entries[i]))
			group.entries[group.n++] = ix->entries[i];
	r = manifest_choose(&group, &ld->want, &entry, err);
	if (r == 0)
		r = oci_image(ld, entry, err);
	free(group.entries);
	return r;
}

static bool name_is_new(const struct manifest_list *ix, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (same_name(&ix->entries[k], &ix->entries[i]))
			return false;
	return true;
}

static int too_many(const struct loader *ld, size_t n, struct err *err)
{
	if (n == 0)
		return err_set(err, -EBADMSG, "there is no image in %s",
		               ld->path);
	if (n > IMAGES_MAX)
		return err_set(err, -E2BIG, "more than %d images in %s",
		               IMAGES_MAX, ld->path);
	if (!ld->tag || n == 1)
		return 0;
	err_set(err, -EINVAL, "%s holds %zu images, --tag can name only one",
	        ld->path, n);
	err_hint(err, "load it without --tag");
	return -EINVAL;
}

static int load_oci(struct loader *ld, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(MANIFEST_MAX_BYTES);
	struct manifest_doc cleanup_manifest doc = {0};
	size_t names = 0;
	int r = archive_read(&ld->ar, "index.json", &b, err);

	if (r == 0)
		r = manifest_parse(b.data, b.len, NULL, &doc, err);
	if (r < 0)
		return err_wrap(err, "index.json"), r;
	if (doc.kind != MANIFEST_INDEX)
		return err_set(err, -EBADMSG, "index.json is not an index");
	for (uint32_t i = 0; i < doc.index.n; i++)
		names += name_is_new(&doc.index, i);
	r = too_many(ld, names, err);
	for (uint32_t i = 0; r == 0 && i < doc.index.n; i++)
		if (name_is_new(&doc.index, i))
			r = oci_group(ld, &doc.index, i, err);
	return r;
}

static int member_digest(const struct archive_member *m, struct digest *ret)
{
	char *cleanup_free chunk = malloc(HASH_CHUNK);
	struct digest_ctx hash;
	uint64_t off = 0;
	int r = chunk ? digest_init(&hash) : -ENOMEM;

	if (r < 0)
		return r;
	while (r == 0 && off < m->size) {
		ssize_t n = fd_pread_full(m->fd, chunk,
		                          MIN(HASH_CHUNK, m->size - off),
		                          m->offset + off);

		if (n <= 0) {
			r = n < 0 ? (int)n : -EIO;
			break;
		}
		digest_add(&hash, chunk, (size_t)n);
		off += (uint64_t)n;
	}
	if (r == 0)
		digest_final(&hash, ret);
	digest_release(&hash);
	return r;
}

/*
 * What a manifest would say about a layer: of a plain tar the digest is the
 * diff_id (which layer_ingest() checks), a compressed one has to be hashed.
 */
static int docker_layer(struct bundle *b, uint32_t i, json_t *layers,
                        struct err *err)
{
	char text[DIGEST_TEXT_LEN + 1];
	struct digest digest = b->img.diff_ids[i];
	struct archive_member m;
	uint8_t head[2] = {0};
	bool gzip;
	int r = archive_member(&b->ld->ar, b->layers.v[i], &m, err);

	if (r < 0)
		return r;
	if (m.size >= sizeof(head))
		(void)fd_pread_full(m.fd, head, sizeof(head), m.offset);
	gzip = head[0] == 0x1f && head[1] == 0x8b;
	if (gzip && member_digest(&m, &digest) < 0)
		r = err_set(err, -EIO, "cannot read a layer of the archive");
	archive_member_release(&m);
	if (r == 0 &&
	    json_array_append_new(
		    layers,
		    json_pack("{s:s, s:I, s:s}", "mediaType",
	                      gzip ? "application/vnd.docker.image.rootfs.diff."
	                             "tar.gzip"
	                           : "application/vnd.docker.image.rootfs.diff."
	                             "tar",
	                      "size", (json_int_t)m.size, "digest",
	                      digest_text(&digest, text))) < 0)
		r = no_memory(err);
	return r;
}

static int docker_manifest(struct bundle *b, struct err *err)
{
	json_t *cleanup_json layers = json_array(), *cleanup_json doc = NULL;
	char *cleanup_free text = NULL;
	char config[DIGEST_TEXT_LEN + 1];
	struct digest digest;
	int r = layers ? 0 : no_memory(err);

	for (uint32_t i = 0; r == 0 && i < b->layers.n; i++)
		r = docker_layer(b, i, layers, err);
	if (r < 0)
		return r;
	digest_of(b->config.data, b->config.len, &digest);
	doc = json_pack("{s:i, s:s, s:{s:s, s:I, s:s}, s:O}", "schemaVersion",
	                2, "mediaType",
	                "application/vnd.docker.distribution.manifest.v2+json",
	                "config", "mediaType",
	                "application/vnd.docker.container.image.v1+json",
	                "size", (json_int_t)b->config.len, "digest",
	                digest_text(&digest, config), "layers", layers);
	text = json_text(doc, JSON_INDENT(2));
	if (!text || buf_adds(&b->manifest, text) < 0)
		return no_memory(err);
	return manifest_parse(b->manifest.data, b->manifest.len, NULL, &b->doc,
	                      err);
}

static int get_names(const json_t *list, struct strv *ret, struct err *err)
{
	const json_t *item;
	size_t i;

	if (list && !json_is_null(list) && !json_is_array(list))
		return err_set(err, -EBADMSG,
		               "bad manifest.json: a list of "
		               "names is not one");
	json_array_foreach(list, i, item)
	{
		if (!json_is_string(item) || i >= MANIFEST_MAX_LAYERS)
			return err_set(err, -EBADMSG,
			               "bad manifest.json: a name is not text, "
			               "or there are too many");
		if (strv_add(ret, json_string_value(item)) < 0)
			return no_memory(err);
	}
	return 0;
}

static int docker_original(struct bundle *b, const json_t *item,
                           struct err *err)
{
	const char *text = json_str(item, ARCHIVE_ORIGINAL_KEY, NULL);
	struct digest d;

	if (!text)
		return 0;
	if (!digest_parse(text, &d))
		return err_set(err, -EBADMSG,
		               "bad manifest.json: " ARCHIVE_ORIGINAL_KEY
		               " is not a sha256 digest");
	return take_original(b, &d, err);
}

static int docker_read(struct bundle *b, const json_t *item, struct err *err)
{
	const char *config = json_str(item, "Config", NULL);
	int r;

	if (!config)
		return err_set(err, -EBADMSG,
		               "bad manifest.json: an image has no Config");
	b->config.max = MANIFEST_MAX_BYTES;
	r = archive_read(&b->ld->ar, config, &b->config, err);
	if (r == 0)
		r = get_names(json_object_get(item, "Layers"), &b->layers, err);
	if (r == 0)
		r = get_names(json_object_get(item, "RepoTags"), &b->names,
		              err);
	if (r == 0)
		r = manifest_config(b->config.data, b->config.len,
		                    (uint32_t)b->layers.n, &b->img, err);
	if (r == 0)
		r = docker_manifest(b, err);
	if (r == 0)
		r = docker_original(b, item, err);
	image_release(&b->img);
	return r;
}

static int docker_image(struct loader *ld, const json_t *item, struct err *err)
{
	struct bundle b = {
		.ld = ld,
		.manifest = BUF_INIT_MAX(MANIFEST_MAX_BYTES),
	};
	int r = docker_read(&b, item, err);

	if (r == 0)
		r = bundle_finish(&b, err);
	bundle_release(&b);
	return r;
}

static int load_docker(struct loader *ld, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(MANIFEST_MAX_BYTES);
	json_t *cleanup_json doc = NULL;
	const json_t *item;
	size_t i;
	int r = archive_read(&ld->ar, "manifest.json", &b, err);

	if (r < 0)
		return r;
	doc = json_parse(b.data, b.len, "manifest.json", err);
	if (!doc)
		return -EBADMSG;
	if (!json_is_array(doc))
		return err_set(err, -EBADMSG, "manifest.json is not a list");
	r = too_many(ld, json_array_size(doc), err);
	json_array_foreach(doc, i, item)
	{
		if (r == 0)
			r = docker_image(ld, item, err);
	}
	return r;
}

/* Both forms may be there (docker save does so): OCI says more. */
static int load_opened(struct loader *ld, struct err *err)
{
	struct archive_member m;
	struct err why = {0};
	int r = archive_member(&ld->ar, "index.json", &m, &why);

	if (r == 0) {
		archive_member_release(&m);
		return load_oci(ld, err);
	}
	if (r == -ENOENT)
		r = archive_member(&ld->ar, "manifest.json", &m, &why);
	if (r == 0) {
		archive_member_release(&m);
		return load_docker(ld, err);
	}
	if (r != -ENOENT)
		return err_set(err, r, "%s", why.msg);
	return err_set(err, -EBADMSG,
	               "%s is neither a docker-archive, an oci-archive, nor an "
	               "OCI layout folder",
	               ld->path);
}

int load_archive(struct store *s, const char *path, const char *tag,
                 const struct image_pull_opts *opts, struct strv *ret_refs,
                 struct err *err)
{
	struct loader ld = {.s = s,
	                    .path = path,
	                    .tag = tag,
	                    .opts = opts,
	                    .refs = ret_refs};
	cleanup_close int guard = install_guard(s, err);
	int r = guard < 0 ? guard
	                  : platform_parse(opts->platform, &ld.want, err);

	if (r < 0)
		return r;
	meter_init(&ld.meter, opts, path);
	if (meter_state(&ld.meter, IMAGE_EV_RESOLVING) < 0)
		r = err_set(err, -ECANCELED, "cancelled");
	if (r == 0)
		r = archive_open(s, path, opts->no_links, &ld.meter, &ld.ar,
		                 err);
	if (r == 0) {
		r = load_opened(&ld, err);
		archive_close(&ld.ar);
	}
	meter_release(&ld.meter);
	return r;
}
