#include "image/archive_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "image/index.h"
#include "image/install.h"
#include "image/layer.h"
#include "image/meter.h"
#include "image/record.h"
#include "image/tar_write.h"

#include "base/banned.h"

#define CHUNK      MIB
#define IMAGES_MAX 256
#define OCI        "application/vnd.oci.image."

/* An image that is to be saved, with the documents that it came with. */
struct saved {
	struct image img;
	struct buf manifest; /* as received */
	struct manifest_doc doc;
	struct buf own; /* OCI: the manifest that describes this archive */
	struct digest own_digest;
	bool same; /* `manifest` does so itself */
};

struct saver {
	struct store *s;
	enum archive_format format;
	int fd;
	struct saved *images;
	size_t n;
	struct digest *done; /* blobs that are in the archive */
	size_t ndone;
	struct meter meter;
	uint32_t layer; /* of all */
	uint8_t *out;
	size_t out_len;
};

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

/* ---- the tar ------------------------------------------------------------- */

static int flush(struct saver *a, struct err *err)
{
	int r = cancel_write_full(a->fd, a->out, a->out_len);

	a->out_len = 0;
	if (r == -ECANCELED)
		return err_set(err, r, "cancelled");
	return r < 0 ? err_set(err, r, "cannot write the archive: %s",
	                       strerror(-r))
	             : 0;
}

static int put(struct saver *a, const void *data, size_t len, struct err *err)
{
	const uint8_t *p = data;

	while (len) {
		size_t n = MIN(len, CHUNK - a->out_len);

		memcpy(a->out + a->out_len, p, n);
		a->out_len += n;
		p += n;
		len -= n;
		if (a->out_len == CHUNK) {
			int r = flush(a, err);

			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int put_header(struct saver *a, const char *name, uint64_t size,
                      struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT;
	const struct tar_entry e = {.type = TAR_REG,
	                            .path = name,
	                            .path_len = strlen(name),
	                            .link = "",
	                            .mode = 0644,
	                            .size = size};

	return tar_put_header(&b, &e) < 0 ? no_memory(err)
	                                  : put(a, b.data, b.len, err);
}

static int put_padding(struct saver *a, uint64_t size, struct err *err)
{
	static const uint8_t zeros[TAR_BLOCK];

	return put(a, zeros, tar_padding(size), err);
}

static int put_file(struct saver *a, const char *name, const void *data,
                    size_t len, struct err *err)
{
	int r = put_header(a, name, len, err);

	if (r == 0)
		r = put(a, data, len, err);
	return r < 0 ? r : put_padding(a, len, err);
}

/* ---- blobs --------------------------------------------------------------- */

/* Whether it is to be written; from now on it is there. */
static bool is_new(struct saver *a, const struct digest *d)
{
	for (size_t i = 0; i < a->ndone; i++)
		if (digest_equal(&a->done[i], d))
			return false;
	a->done[a->ndone++] = *d;
	return true;
}

/* What a blob is called in this form of archive. */
static const char *blob_name(const struct saver *a, const struct digest *d,
                             const char *end, char out[128])
{
	char hex[DIGEST_HEX_LEN + 1];

	(void)digest_hex(d, hex);
	if (a->format == ARCHIVE_OCI || !end)
		(void)snprintf(out, 128, "blobs/sha256/%s", hex);
	else
		(void)snprintf(out, 128, "%s%s", hex, end);
	return out;
}

static int put_document(struct saver *a, const struct digest *d,
                        const char *end, const void *data, size_t len,
                        struct err *err)
{
	char name[128];

	return is_new(a, d)
	               ? put_file(a, blob_name(a, d, end, name), data, len, err)
	               : 0;
}

/* A layer on its way. */
struct flow {
	struct saver *a;
	struct digest_ctx hash;
	uint64_t done, size;
};

static int layer_bytes(void *arg, const void *data, size_t len, struct err *err)
{
	struct flow *f = arg;

	/* The header has promised a size. */
	if (len > f->size - f->done)
		return err_set(err, -EBADMSG, "it is longer than it was");
	digest_add(&f->hash, data, len);
	f->done += len;
	if (meter_bytes(&f->a->meter, f->a->layer, f->done) < 0)
		return err_set(err, -ECANCELED, "cancelled");
	return put(f->a, data, len, err);
}

static int layer_size(struct store *s, const struct digest *d, uint64_t *ret,
                      struct err *err)
{
	char path[LAYER_PATH_LEN], text[DIGEST_TEXT_LEN + 1];
	cleanup_close int fd = -1;
	struct index_header h;
	int r;

	layer_path(d, "index", path);
	fd = openat(s->fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	r = fd < 0 ? -errno : index_read_header(fd, &h);
	if (r < 0)
		return err_set(err, r == -ENOENT ? -EBADMSG : r,
		               "layer %s in the store is %s",
		               digest_text(d, text),
		               r == -ENOENT ? "missing" : "damaged");
	*ret = h.tar_bytes;
	return 0;
}

static int put_layer_bytes(struct saver *a, const struct digest *d,
                           uint64_t size, struct err *err)
{
	struct flow f = {.a = a, .size = size};
	char text[DIGEST_TEXT_LEN + 1];
	struct digest got;
	int r = digest_init(&f.hash);

	if (r < 0)
		return no_memory(err);
	r = layer_export(a->s, d, layer_bytes, &f, err);
	if (r == 0) {
		digest_final(&f.hash, &got);
		if (f.done != size || !digest_equal(&got, d))
			r = -EBADMSG;
	}
	digest_release(&f.hash);
	if (r != -EBADMSG)
		return r;
	err_set(err, r, "layer %s in the store is damaged",
	        digest_text(d, text));
	err_hint(err, "pull the image again with msb pull --force");
	return r;
}

static int put_layer(struct saver *a, const struct digest *d, struct err *err)
{
	bool fresh = is_new(a, d);
	uint64_t size;
	char name[128];
	int r = fresh ? layer_size(a->s, d, &size, err) : 0;

	if (r == 0 && fresh) {
		meter_layer_is(&a->meter, a->layer, d, size);
		r = put_header(a, blob_name(a, d, ".tar", name), size, err);
		if (r == 0)
			r = put_layer_bytes(a, d, size, err);
		if (r == 0)
			r = put_padding(a, size, err);
	}
	if (r == 0 && meter_layer_done(&a->meter, a->layer, !fresh) < 0)
		r = err_set(err, -ECANCELED, "cancelled");
	a->layer++;
	return r;
}

/* ---- documents ----------------------------------------------------------- */

static json_t *descriptor(const char *type, const struct digest *d,
                          uint64_t size)
{
	char text[DIGEST_TEXT_LEN + 1];

	return json_pack("{s:s, s:s, s:I}", "mediaType", type, "digest",
	                 digest_text(d, text), "size", (json_int_t)size);
}

static json_t *layer_list(struct saver *a, const struct image *img,
                          struct err *err)
{
	json_t *cleanup_json list = json_array();

	for (uint32_t i = 0; list && i < img->nlayers; i++) {
		uint64_t size;

		if (layer_size(a->s, &img->diff_ids[i], &size, err) < 0)
			return NULL;
		if (json_array_append_new(list, descriptor(OCI "layer.v1.tar",
		                                           &img->diff_ids[i],
		                                           size)) < 0)
			return NULL;
	}
	return take_ptr(list);
}

/* Of plain layers, with the annotations that the image's had. */
static int make_manifest(struct saver *a, struct saved *m, struct err *err)
{
	json_t *cleanup_json was = json_parse(m->manifest.data, m->manifest.len,
	                                      "the manifest", err);
	json_t *cleanup_json layers = layer_list(a, &m->img, err);
	json_t *cleanup_json doc = NULL;
	json_t *notes = json_object_get(was, "annotations");
	char *cleanup_free text = NULL;

	if (!was || !layers)
		return err && err->code ? err->code : no_memory(err);
	doc = json_pack("{s:i, s:s, s:o, s:O}", "schemaVersion", 2, "mediaType",
	                OCI "manifest.v1+json", "config",
	                descriptor(OCI "config.v1+json", &m->img.config_digest,
	                           strlen(m->img.config_json)),
	                "layers", layers);
	if (doc && json_is_object(notes) &&
	    json_object_set(doc, "annotations", notes) < 0)
		return no_memory(err);
	text = json_text(doc, JSON_COMPACT);
	return text && buf_adds(&m->own, text) == 0 ? 0 : no_memory(err);
}

/* An OCI manifest whose layers are plain already. */
static bool is_plain(const struct saved *m)
{
	const struct manifest *doc = &m->doc.image;
	json_t *cleanup_json j =
		json_parse(m->manifest.data, m->manifest.len, "", NULL);
	const char *type = json_str(j, "mediaType", OCI "manifest.v1+json");

	if (strcmp(type, OCI "manifest.v1+json") != 0)
		return false;
	for (uint32_t i = 0; i < doc->nlayers; i++)
		if (!digest_equal(&doc->layers[i].digest, &m->img.diff_ids[i]))
			return false;
	return true;
}

static int describe(struct saver *a, struct saved *m, struct err *err)
{
	int r = 0;

	m->same = is_plain(m);
	if (m->same) {
		m->own_digest = m->img.manifest;
		return buf_add(&m->own, m->manifest.data, m->manifest.len) < 0
		               ? no_memory(err)
		               : 0;
	}
	r = make_manifest(a, m, err);
	if (r == 0)
		digest_of(m->own.data, m->own.len, &m->own_digest);
	return r;
}

/* Whether it is called by a tag; a digest of this archive's cannot be one. */
static bool has_tag(const struct image *img)
{
	struct ref ref;

	return ref_parse(img->ref, &ref, NULL) == 0 && !ref.has_digest;
}

static json_t *notes_of(const struct saved *m)
{
	char text[DIGEST_TEXT_LEN + 1];
	json_t *cleanup_json notes =
		json_pack("{s:s}", "io.containerd.image.name", m->img.ref);
	int bad = notes ? 0 : -1;

	if (has_tag(&m->img))
		bad |= json_object_set_new(notes,
		                           "org.opencontainers.image.ref.name",
		                           json_string(m->img.ref));
	if (!m->same)
		bad |= json_object_set_new(
			notes, ARCHIVE_ORIGINAL,
			json_string(digest_text(&m->img.manifest, text)));
	return bad ? NULL : take_ptr(notes);
}

static json_t *platform_of(const struct image *img)
{
	struct platform p;
	json_t *cleanup_json j = NULL;

	if (platform_parse(img->platform, &p, NULL) < 0)
		return NULL;
	j = json_pack("{s:s, s:s}", "architecture", p.arch, "os", p.os);
	if (j && p.variant[0] &&
	    json_object_set_new(j, "variant", json_string(p.variant)) < 0)
		return NULL;
	return take_ptr(j);
}

static int put_json(struct saver *a, const char *name, const json_t *doc,
                    struct err *err)
{
	char *cleanup_free text = json_text(doc, JSON_COMPACT);

	return text ? put_file(a, name, text, strlen(text), err)
	            : no_memory(err);
}

/* ---- OCI ----------------------------------------------------------------- */

static int put_index(struct saver *a, struct err *err)
{
	json_t *cleanup_json list = json_array();
	json_t *cleanup_json doc = NULL;

	for (size_t i = 0; i < a->n; i++) {
		const struct saved *m = &a->images[i];
		json_t *d = descriptor(OCI "manifest.v1+json", &m->own_digest,
		                       m->own.len);

		if (!d ||
		    json_object_set_new(d, "platform", platform_of(&m->img)) <
		            0 ||
		    json_object_set_new(d, "annotations", notes_of(m)) < 0 ||
		    json_array_append(list, d) < 0) {
			json_decref(d);
			return no_memory(err);
		}
		json_decref(d);
	}
	doc = json_pack("{s:i, s:s, s:O}", "schemaVersion", 2, "mediaType",
	                OCI "index.v1+json", "manifests", list);
	return put_json(a, "index.json", doc, err);
}

static int put_oci_image(struct saver *a, struct saved *m, struct err *err)
{
	int r = describe(a, m, err);

	if (r == 0)
		r = put_document(a, &m->own_digest, NULL, m->own.data,
		                 m->own.len, err);
	return r;
}

static int put_oci(struct saver *a, struct err *err)
{
	static const char layout[] = "{\"imageLayoutVersion\":\"1.0.0\"}";
	int r = put_file(a, "oci-layout", layout, strlen(layout), err);

	for (size_t i = 0; r == 0 && i < a->n; i++)
		r = put_oci_image(a, &a->images[i], err);
	return r < 0 ? r : put_index(a, err);
}

/* ---- docker -------------------------------------------------------------- */

static bool same_image(const struct saved *x, const struct saved *y)
{
	return digest_equal(&x->img.manifest, &y->img.manifest);
}

/* All names of one image; those with a digest are no tags. */
static json_t *tags_of(const struct saver *a, const struct saved *m)
{
	json_t *cleanup_json tags = json_array();

	for (size_t i = 0; tags && i < a->n; i++)
		if (same_image(&a->images[i], m) &&
		    has_tag(&a->images[i].img) &&
		    json_array_append_new(
			    tags, json_string(a->images[i].img.ref)) < 0)
			return NULL;
	return take_ptr(tags);
}

static json_t *docker_item(const struct saver *a, const struct saved *m)
{
	json_t *cleanup_json layers = json_array();
	json_t *tags = tags_of(a, m);
	char name[128], text[DIGEST_TEXT_LEN + 1];

	for (uint32_t i = 0; i < m->img.nlayers; i++)
		if (json_array_append_new(
			    layers,
			    json_string(blob_name(a, &m->img.diff_ids[i],
		                                  ".tar", name))) < 0) {
			json_decref(tags);
			return NULL;
		}
	return json_pack("{s:s, s:o, s:O, s:s}", "Config",
	                 blob_name(a, &m->img.config_digest, ".json", name),
	                 "RepoTags", tags, "Layers", layers,
	                 ARCHIVE_ORIGINAL_KEY,
	                 digest_text(&m->img.manifest, text));
}

static int put_docker(struct saver *a, struct err *err)
{
	json_t *cleanup_json list = json_array();

	for (size_t i = 0; i < a->n; i++) {
		bool seen = false;

		for (size_t k = 0; k < i; k++)
			seen |= same_image(&a->images[k], &a->images[i]);
		if (!seen && json_array_append_new(
				     list, docker_item(a, &a->images[i])) < 0)
			return no_memory(err);
	}
	return put_json(a, "manifest.json", list, err);
}

/* ---- all ----------------------------------------------------------------- */

static int put_contents(struct saver *a, const struct saved *m, struct err *err)
{
	const struct image *img = &m->img;
	int r = put_document(a, &img->manifest, NULL, m->manifest.data,
	                     m->manifest.len, err);

	if (r == 0)
		r = put_document(a, &img->config_digest, ".json",
		                 img->config_json, strlen(img->config_json),
		                 err);
	for (uint32_t i = 0; r == 0 && i < img->nlayers; i++)
		r = put_layer(a, &img->diff_ids[i], err);
	return r;
}

static int put_end(struct saver *a, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT;
	int r = tar_put_end(&b) < 0 ? no_memory(err)
	                            : put(a, b.data, b.len, err);

	return r < 0 ? r : flush(a, err);
}

static int put_all(struct saver *a, struct err *err)
{
	int r = 0;

	if (meter_state(&a->meter, IMAGE_EV_RESOLVED) < 0)
		return err_set(err, -ECANCELED, "cancelled");
	for (size_t i = 0; r == 0 && i < a->n; i++)
		r = put_contents(a, &a->images[i], err);
	if (r == 0)
		r = a->format == ARCHIVE_OCI ? put_oci(a, err)
		                             : put_docker(a, err);
	if (r == 0)
		r = put_end(a, err);
	if (r == 0)
		(void)meter_state(&a->meter, IMAGE_EV_DONE);
	return r;
}

/* It may be named twice, by name and by id. */
static bool is_named(const struct saver *a, const char *ref)
{
	for (size_t i = 0; i + 1 < a->n; i++)
		if (strcmp(a->images[i].img.ref, ref) == 0)
			return true;
	return false;
}

static int find(struct saver *a, const char *ref, struct err *err)
{
	struct saved *m = &a->images[a->n++];
	int r = image_find(a->s, ref, &m->img, err);

	if (r == 0 && is_named(a, m->img.ref)) {
		image_release(&m->img);
		a->n--;
		return 0;
	}
	if (r == 0)
		r = record_document(a->s, "manifests", &m->img.manifest,
		                    &m->manifest, err);
	return r < 0 ? r
	             : manifest_parse(m->manifest.data, m->manifest.len, NULL,
	                              &m->doc, err);
}

static int find_all(struct saver *a, const char *const *refs, size_t n,
                    struct err *err)
{
	size_t blobs = 0;
	uint32_t layers = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = find(a, refs[i], err);
	for (size_t i = 0; i < a->n; i++)
		layers += a->images[i].img.nlayers;
	blobs = (size_t)layers + 3 * n; /* config and two manifests */
	a->done = r == 0 ? calloc(blobs, sizeof(*a->done)) : NULL;
	if (r == 0 && !a->done)
		r = no_memory(err);
	return r < 0 ? r : meter_layers(&a->meter, layers, err);
}

static void saver_release(struct saver *a)
{
	for (size_t i = 0; i < a->n; i++) {
		image_release(&a->images[i].img);
		buf_release(&a->images[i].manifest);
		buf_release(&a->images[i].own);
		manifest_release(&a->images[i].doc);
	}
	free(a->images);
	free(a->done);
	free(a->out);
	meter_release(&a->meter);
}

int archive_save(struct store *s, const char *const *refs, size_t n,
                 enum archive_format format, int fd,
                 const struct image_pull_opts *opts, struct err *err)
{
	static const struct image_pull_opts none;
	cleanup_close int guard = -1;
	struct saver a = {.s = s, .format = format, .fd = fd};
	struct err local = {0};
	int r = 0;

	err = err ? err : &local;
	if (n == 0 || n > IMAGES_MAX)
		return err_set(err, -EINVAL, "%zu images, not 1 to %d", n,
		               IMAGES_MAX);
	guard = install_guard(s, err);
	if (guard < 0)
		return guard;
	meter_init(&a.meter, opts ? opts : &none, refs[0]);
	a.images = calloc(n, sizeof(*a.images));
	a.out = malloc(CHUNK);
	for (size_t i = 0; a.images && i < n; i++)
		a.images[i].manifest = a.images[i].own =
			(struct buf)BUF_INIT_MAX(MANIFEST_MAX_BYTES);
	r = a.images && a.out ? find_all(&a, refs, n, err) : no_memory(err);
	if (r == 0)
		r = put_all(&a, err);
	saver_release(&a);
	return r;
}
