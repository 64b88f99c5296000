#include "image/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "image/install.h"
#include "image/record.h"

#include "base/banned.h"

#define TYPE_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define TYPE_CONFIG   "application/vnd.oci.image.config.v1+json"
#define TYPE_LAYER    "application/vnd.oci.image.layer.v1.tar"

/* All that becomes the new image. */
struct commit {
	struct store *s;
	const struct image *base;
	const struct commit_info *info;
	struct layer_info layer;
	json_t *config, *manifest;
	struct digest *diff_ids;
	struct descriptor *blobs;
	uint32_t nlayers;
	char *config_text, *manifest_text;
};

static void commit_release(struct commit *c)
{
	json_decref(c->config);
	json_decref(c->manifest);
	free(c->diff_ids);
	free(c->blobs);
	free(c->config_text);
	free(c->manifest_text);
}

static int no_memory(struct err *err)
{
	return err_set(err, -ENOMEM, "out of memory");
}

/* ---- the configuration --------------------------------------------------- */

static void now_text(char out[32])
{
	struct timespec ts;
	struct tm tm;

	(void)clock_gettime(CLOCK_REALTIME, &ts);
	(void)gmtime_r(&ts.tv_sec, &tm);
	(void)strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static int change_all(json_t *config, const char *const *list, struct err *err)
{
	json_t *o = json_object_get(config, "config");
	int r = 0;

	if (!json_is_object(o)) {
		o = json_object();
		if (json_object_set_new(config, "config", o) < 0)
			return no_memory(err);
	}
	for (; list && *list && r == 0; list++)
		r = commit_change(o, *list, err);
	return r;
}

static int add_history(struct commit *c, const char *now)
{
	json_t *list = json_object_get(c->config, "history"), *line;

	if (!json_is_array(list)) {
		list = json_array();
		if (json_object_set_new(c->config, "history", list) < 0)
			return -ENOMEM;
	}
	line = json_pack("{ss ss* ss* ss*}", "created", now, "created_by",
	                 c->info->created_by, "author", c->info->author,
	                 "comment", c->info->message);
	return line && json_array_append_new(list, line) == 0 ? 0 : -EINVAL;
}

static int set_rootfs(struct commit *c)
{
	json_t *ids = json_array(), *rootfs;
	char text[DIGEST_TEXT_LEN + 1];

	for (uint32_t i = 0; i < c->nlayers; i++)
		if (json_array_append_new(
			    ids, json_string(digest_text(&c->diff_ids[i],
		                                         text))) < 0)
			return -ENOMEM;
	rootfs = json_pack("{ss so}", "type", "layers", "diff_ids", ids);
	return rootfs && json_object_set_new(c->config, "rootfs", rootfs) == 0
	               ? 0
	               : -ENOMEM;
}

/* What docker keeps there about the one container, and its own numbers. */
static void drop_foreign(json_t *config)
{
	static const char *const keys[] = {"container", "container_config",
	                                   "id", "parent", "docker_version"};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		(void)json_object_del(config, keys[i]);
}

static int make_config(struct commit *c, struct err *err)
{
	char now[32];
	int r;

	now_text(now);
	drop_foreign(c->config);
	r = add_history(c, now);
	if (r == 0)
		r = set_rootfs(c);
	if (r == 0 &&
	    json_object_set_new(c->config, "created", json_string(now)) < 0)
		r = -ENOMEM;
	if (r == 0 && c->info->author)
		r = json_object_set_new(c->config, "author",
		                        json_string(c->info->author)) < 0
		            ? -EINVAL
		            : 0;
	if (r < 0)
		return err_set(err, r,
		               r == -EINVAL ? "author or message is not UTF-8"
		                            : "out of memory");
	c->config_text = json_text(c->config, JSON_COMPACT);
	return c->config_text ? 0 : no_memory(err);
}

/* ---- the manifest -------------------------------------------------------- */

/* The uncompressed length of a layer that is in the store. */
static int tar_bytes_of(struct store *s, const struct digest *d, uint64_t *ret,
                        struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(4096);
	cleanup_json json_t *j = NULL;
	char path[LAYER_PATH_LEN];
	int64_t n = -1;
	int r;

	layer_path(d, "meta.json", path);
	r = file_read(s->fd, path, &b);
	if (r == 0)
		j = json_parse(b.data, b.len, "meta.json", err);
	if (j)
		n = json_int(j, "tar_bytes", -1);
	if (n < 0)
		return err_set(err, r < 0 ? r : -EBADMSG,
		               "a layer of the image is damaged");
	*ret = (uint64_t)n;
	return 0;
}

/* OCI's name for what docker calls a layer's type. */
static const char *layer_type(const char *type)
{
	if (strstr(type, "zstd"))
		return TYPE_LAYER "+zstd";
	return strstr(type, "gzip") ? TYPE_LAYER "+gzip" : TYPE_LAYER;
}

static int add_layer(json_t *list, const char *type, const struct digest *d,
                     uint64_t size)
{
	char text[DIGEST_TEXT_LEN + 1];
	json_t *j = json_pack("{ss ss sI}", "mediaType", type, "digest",
	                      digest_text(d, text), "size", (json_int_t)size);

	return j && json_array_append_new(list, j) == 0 ? 0 : -ENOMEM;
}

/* The base's, as its manifest has them; then those that it does not know. */
static int list_layers(struct commit *c, json_t *list, const struct manifest *m,
                       const json_t *types, struct err *err)
{
	int r = 0;

	for (uint32_t i = 0; i < c->nlayers && r == 0; i++) {
		struct descriptor *b = &c->blobs[i];
		const char *type = TYPE_LAYER;

		if (i < m->nlayers) {
			*b = m->layers[i];
			type = layer_type(json_str(json_array_get(types, i),
			                           "mediaType", ""));
		} else {
			b->digest = c->diff_ids[i];
			r = tar_bytes_of(c->s, &b->digest, &b->size, err);
		}
		if (r == 0 && add_layer(list, type, &b->digest, b->size) < 0)
			r = no_memory(err);
	}
	return r;
}

static int dump_manifest(struct commit *c, json_t *layers, struct err *err)
{
	char text[DIGEST_TEXT_LEN + 1];
	size_t len = strlen(c->config_text);
	struct digest d;

	digest_of(c->config_text, len, &d);
	c->manifest =
		json_pack("{si ss s{ss ss sI} sO}", "schemaVersion", 2,
	                  "mediaType", TYPE_MANIFEST, "config", "mediaType",
	                  TYPE_CONFIG, "digest", digest_text(&d, text), "size",
	                  (json_int_t)len, "layers", layers);
	if (c->manifest)
		c->manifest_text = json_text(c->manifest, JSON_COMPACT);
	return c->manifest_text ? 0 : no_memory(err);
}

static int make_manifest(struct commit *c, struct err *err)
{
	struct manifest_doc cleanup_manifest doc = {0};
	struct buf cleanup_buf b = BUF_INIT;
	cleanup_json json_t *old = NULL, *layers = json_array();
	int r = record_document(c->s, "manifests", &c->base->manifest, &b, err);

	if (r == 0)
		r = manifest_parse(b.data, b.len, NULL, &doc, err);
	if (r == 0 && (doc.kind != MANIFEST_IMAGE ||
	               doc.image.nlayers > c->base->nlayers))
		r = err_set(err, -EBADMSG, "the image's manifest is none");
	if (r == 0)
		old = json_parse(b.data, b.len, "the manifest", err);
	if (r == 0 && !old)
		r = -EBADMSG;
	if (r == 0)
		r = list_layers(c, layers, &doc.image,
		                json_object_get(old, "layers"), err);
	return r < 0 ? r : dump_manifest(c, layers, err);
}

/* ---- all together -------------------------------------------------------- */

int commit_check(const struct commit_info *info, struct err *err)
{
	cleanup_json json_t *config = json_object();
	struct ref ref;
	int r = ref_parse(info->reference, &ref, err);

	if (r == 0 && ref.has_digest)
		r = err_set(err, -EINVAL,
		            "%s: a new image is named by a tag, not by a "
		            "digest",
		            info->reference);
	return r < 0 ? r : change_all(config, info->changes, err);
}

static int collect(struct commit *c, struct err *err)
{
	const struct image *base = c->base;
	size_t n = (size_t)base->nlayers + 1;

	c->diff_ids = calloc(n, sizeof(*c->diff_ids));
	c->blobs = calloc(n, sizeof(*c->blobs));
	if (!c->diff_ids || !c->blobs)
		return no_memory(err);
	memcpy(c->diff_ids, base->diff_ids,
	       base->nlayers * sizeof(*c->diff_ids));
	c->diff_ids[base->nlayers] = c->layer.diff_id;
	c->nlayers = (uint32_t)n;
	c->config = json_parse(base->config_json, strlen(base->config_json),
	                       "the image's configuration", err);
	if (!c->config)
		return -EBADMSG;
	return change_all(c->config, c->info->changes, err);
}

static int publish(struct commit *c, struct digest *ret_id, struct err *err)
{
	const struct image_pull_opts opts = {0};
	struct meter meter;
	struct ref ref;
	int r = ref_parse(c->info->reference, &ref, err);
	struct install in = {.s = c->s,
	                     .meter = &meter,
	                     .diff_ids = c->diff_ids,
	                     .blobs = c->blobs,
	                     .nlayers = c->nlayers};
	struct install_image img = {.ref = &ref,
	                            .manifest = c->manifest_text,
	                            .config = c->config_text,
	                            .platform = c->base->platform};

	if (r < 0)
		return r;
	img.manifest_len = strlen(c->manifest_text);
	img.config_len = strlen(c->config_text);
	meter_init(&meter, &opts, c->info->reference);
	r = install_commit(&in, &img, err);
	meter_release(&meter);
	if (r == 0)
		digest_of(img.manifest, img.manifest_len, ret_id);
	return r;
}

int image_commit(struct store *s, const struct image *base,
                 const struct layer_source *layer,
                 const struct commit_info *info, struct digest *ret_id,
                 struct err *err)
{
	struct commit c cleanup(commit_release) = {
		.s = s, .base = base, .info = info};
	cleanup_close int guard = -1;
	int r = commit_check(info, err);

	if (r < 0)
		return r;
	if (!base->config_json)
		return err_set(err, -EOPNOTSUPP,
		               "the sandbox's root is a folder, not an image");
	guard = install_guard(s, err);
	if (guard < 0)
		return guard;
	r = layer_ingest(s, layer, NULL, NULL, NULL, NULL, &c.layer, err);
	if (r == 0)
		r = collect(&c, err);
	if (r == 0)
		r = make_config(&c, err);
	if (r == 0)
		r = make_manifest(&c, err);
	return r < 0 ? r : publish(&c, ret_id, err);
}
