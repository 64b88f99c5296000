/*
 * Pull: find out what the reference means today (a manifest, by way of an
 * index when there is one), fetch its config, bring the layers, commit.
 *
 * A digest decides what is taken, never a name or a header: each document is
 * hashed when it comes, and a tag's answer defines its digest.
 */
#include "image/pull.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/num.h"
#include "image/download.h"
#include "image/install.h"
#include "image/layer.h"
#include "image/load.h"
#include "image/record.h"
#include "image/registry.h"

#include "base/banned.h"

struct pull {
	struct store *s;
	const struct image_pull_opts *opts;
	struct ref ref;
	struct platform want;
	struct meter meter;
	struct registry reg;
	struct buf name, path; /* of the reference; of its record */

	struct buf manifest, config;
	struct manifest_doc doc;
	struct digest manifest_digest, tag_digest;
	struct image img; /* diff_ids and what else the config says */
};

static int cancelled(struct err *err)
{
	return err_set(err, -ECANCELED, "cancelled");
}

/* The image as it is in the store, if it can be used as it is. */
static bool find_local(struct pull *p, struct image *ret)
{
	struct image img = {0};

	if (record_image(p->s, buf_str(&p->path), &img, NULL) < 0)
		return false;
	if (load_check_platform(&img, &p->want, NULL) < 0 ||
	    !install_is_whole(p->s, &img)) {
		image_release(&img);
		return false;
	}
	*ret = img;
	return true;
}

static int fetch_document(struct pull *p, const char *kind,
                          const struct descriptor *d, struct buf *b,
                          char *ret_type, struct err *err)
{
	char want[DIGEST_TEXT_LEN + 1], have[DIGEST_TEXT_LEN + 1];
	struct digest got;
	int r;

	buf_reset(b);
	r = registry_document(&p->reg, kind, digest_text(&d->digest, want),
	                      d->size, b, ret_type, err);
	if (r < 0)
		return r;
	digest_of(b->data, b->len, &got);
	if (digest_equal(&got, &d->digest))
		return 0;
	return err_set(err, -EBADMSG,
	               "%s sent something with the digest %s for %s",
	               p->ref.host, digest_text(&got, have), want);
}

/* The document that the tag or digest stands for. */
static int fetch_top(struct pull *p, char *ret_type, struct err *err)
{
	struct descriptor d = {p->ref.digest, MANIFEST_MAX_BYTES};
	int r;

	if (p->ref.has_digest)
		r = fetch_document(p, "manifests", &d, &p->manifest, ret_type,
		                   err);
	else
		r = registry_document(&p->reg, "manifests", p->ref.tag,
		                      MANIFEST_MAX_BYTES, &p->manifest,
		                      ret_type, err);
	if (r == 0)
		digest_of(p->manifest.data, p->manifest.len, &p->tag_digest);
	return r;
}

/* Down to the manifest for our platform. */
static int resolve(struct pull *p, struct err *err)
{
	char type[128] = "";
	int r = fetch_top(p, type, err);

	p->manifest_digest = p->tag_digest;
	for (int depth = 0; r == 0; depth++) {
		const struct manifest_entry *entry;
		struct descriptor next;

		manifest_release(&p->doc);
		r = manifest_parse(p->manifest.data, p->manifest.len, type,
		                   &p->doc, err);
		if (r < 0 || p->doc.kind == MANIFEST_IMAGE)
			break;
		if (depth == MANIFEST_MAX_DEPTH)
			return err_set(err, -EBADMSG,
			               "indexes are nested too deeply");
		r = manifest_choose(&p->doc.index, &p->want, &entry, err);
		if (r < 0)
			break;
		next = entry->desc;
		p->manifest_digest = next.digest;
		r = fetch_document(p, "manifests", &next, &p->manifest, type,
		                   err);
	}
	return r;
}

static int tell_layers(struct pull *p, struct err *err)
{
	const struct manifest *m = &p->doc.image;
	int r = meter_layers(&p->meter, m->nlayers, err);

	if (r < 0)
		return r;
	for (uint32_t i = 0; i < m->nlayers; i++)
		meter_layer_is(&p->meter, i, &m->layers[i].digest,
		               m->layers[i].size);
	return meter_state(&p->meter, IMAGE_EV_RESOLVED) < 0 ? cancelled(err)
	                                                     : 0;
}

/* Another process pulls the same image: show how far it is. */
static void watch_parts(void *arg)
{
	struct pull *p = arg;
	const struct manifest *m = &p->doc.image;

	for (uint32_t i = 0; i < m->nlayers; i++)
		(void)meter_bytes(
			&p->meter, i,
			install_part_size(p->s, &m->layers[i].digest));
}

static int get_config(struct pull *p, struct err *err)
{
	const struct descriptor *d = &p->doc.image.config;
	int r = record_document(p->s, "configs", &d->digest, &p->config, NULL);

	if (r < 0)
		r = fetch_document(p, "blobs", d, &p->config, NULL, err);
	if (r == 0)
		r = manifest_config(p->config.data, p->config.len,
		                    p->doc.image.nlayers, &p->img, err);
	return r < 0 ? r : load_check_platform(&p->img, &p->want, err);
}

static int fetch_layer(void *arg, uint32_t i, struct err *err)
{
	struct pull *p = arg;

	return download_layer(p->s, &p->reg, &p->doc.image.layers[i],
	                      &p->img.diff_ids[i], i, err);
}

/*
 * What is still to come, twice: once as it comes and once unpacked (more often
 * than not it is more, then the write fails and nothing is left of it).
 */
static int reserve(struct pull *p, struct err *err)
{
	const struct manifest *m = &p->doc.image;
	uint64_t need = 0;

	for (uint32_t i = 0; i < m->nlayers; i++) {
		uint64_t size = m->layers[i].size;
		uint64_t part = install_part_size(p->s, &m->layers[i].digest);

		if (layer_present(p->s, &p->img.diff_ids[i]) != 1)
			need += 2 * size - MIN(part, size);
	}
	return need ? store_reserve(p->s, need, err) : 0;
}

static int install(struct pull *p, struct err *err)
{
	struct install in = {
		.s = p->s,
		.meter = &p->meter,
		.diff_ids = p->img.diff_ids,
		.blobs = p->doc.image.layers,
		.nlayers = p->doc.image.nlayers,
		.workers = p->opts->downloads,
		.force = p->opts->force,
		.fetch = fetch_layer,
		.arg = p,
	};
	struct install_image image = {
		.ref = &p->ref,
		.manifest = p->manifest.data,
		.manifest_len = p->manifest.len,
		.config = p->config.data,
		.config_len = p->config.len,
		.tag_digest = &p->tag_digest,
		.platform = p->img.platform,
	};
	int r = reserve(p, err);

	if (r == 0)
		r = install_layers(&in, err);
	return r < 0 ? r : install_commit(&in, &image, err);
}

/*
 * With the image's lock: another process may have brought the same image
 * under the same name while we waited.
 */
static int install_locked(struct pull *p, struct image *ret, struct err *err)
{
	struct digest config = p->doc.image.config.digest;
	cleanup_close int lock = install_lock(p->s, "config", &config,
	                                      &p->meter, watch_parts, p, err);
	struct image local = {0};
	int r;

	if (lock < 0)
		return lock;
	if (!p->opts->force && find_local(p, &local)) {
		if (digest_equal(&local.manifest, &p->manifest_digest)) {
			*ret = local;
			return 0;
		}
		image_release(&local);
	}
	r = get_config(p, err);
	if (r == 0)
		r = install(p, err);
	return r < 0 ? r : record_image(p->s, buf_str(&p->path), ret, err);
}

/* Does the tag still name what we have? Only asked to save the answer. */
static bool unchanged(struct pull *p)
{
	struct record cleanup_record rec = {0};
	struct http_answer a = {0};
	struct digest now;
	const struct registry_request q = {
		.kind = "manifests",
		.name = p->ref.tag,
		.accept = MANIFEST_ACCEPT,
		.head = true,
	};
	bool same = false;

	if (p->ref.has_digest)
		return true;
	if (record_read(p->s, buf_str(&p->path), &rec, NULL) == 0 &&
	    registry_do(&p->reg, &q, &a, NULL) == 0)
		same = digest_parse(a.content_digest, &now) &&
		       digest_equal(&now,
		                    rec.has_index ? &rec.index : &rec.manifest);
	http_answer_release(&a);
	return same;
}

static int from_registry(struct pull *p, bool have, struct image *local,
                         struct image *ret, struct err *err)
{
	cleanup_close int guard = install_guard(p->s, err);
	int r = guard < 0 ? guard : 0;

	if (r == 0 && meter_state(&p->meter, IMAGE_EV_RESOLVING) < 0)
		r = cancelled(err);
	if (r < 0)
		return r;
	if (have && unchanged(p)) {
		*ret = *local;
		*local = (struct image){0};
		return 0;
	}
	r = resolve(p, err);
	if (r == 0)
		r = tell_layers(p, err);
	return r < 0 ? r : install_locked(p, ret, err);
}

static int never(const struct pull *p, struct err *err)
{
	err_set(err, -ENOENT, "%s is not in the store", buf_str(&p->name));
	err_hint(err, "fetch it with msb pull %s", buf_str(&p->name));
	return -ENOENT;
}

static int run(struct pull *p, struct image *ret, struct err *err)
{
	struct image cleanup(image_release) local = {0};
	bool have = !p->opts->force && find_local(p, &local);
	int r;

	if (have && p->opts->policy != IMAGE_PULL_ALWAYS) {
		*ret = local;
		local = (struct image){0};
		return 0;
	}
	if (p->opts->policy == IMAGE_PULL_NEVER)
		return never(p, err);
	r = registry_init(&p->reg, &p->ref, p->opts, &p->meter, err);
	if (r < 0)
		return r;
	r = from_registry(p, have, &local, ret, err);
	registry_release(&p->reg);
	return r < 0 ? err_wrap(err, "cannot pull %s", buf_str(&p->name)),
	       r     : 0;
}

static void pull_release(struct pull *p)
{
	buf_release(&p->name);
	buf_release(&p->path);
	buf_release(&p->manifest);
	buf_release(&p->config);
	manifest_release(&p->doc);
	image_release(&p->img);
	meter_release(&p->meter);
}

int pull_image(struct store *s, const char *ref,
               const struct image_pull_opts *opts, struct image *ret,
               struct err *err)
{
	struct pull p = {
		.s = s,
		.opts = opts,
		.name = BUF_INIT,
		.path = BUF_INIT,
		.manifest = BUF_INIT_MAX(MANIFEST_MAX_BYTES),
		.config = BUF_INIT_MAX(MANIFEST_MAX_BYTES),
	};
	int r = ref_parse(ref, &p.ref, err);

	if (r == 0)
		r = platform_parse(opts->platform, &p.want, err);
	if (r == 0 &&
	    (ref_text(&p.ref, &p.name) < 0 || ref_path(&p.ref, &p.path) < 0))
		r = err_set(err, -ENOMEM, "out of memory");
	meter_init(&p.meter, opts, buf_str(&p.name));
	if (r == 0)
		r = run(&p, ret, err);
	pull_release(&p);
	return r;
}
