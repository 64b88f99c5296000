#include "image/manifest.h"

#include <errno.h>
#include <string.h>

#include "base/escape.h"
#include "base/json.h"
#include "base/num.h"
#include "image/archive_out.h"

#include "base/banned.h"

#define TEXT_SHOWN 100 /* bytes of a foreign string that an error repeats */

#define OCI         "application/vnd.oci.image."
#define DOCKER      "application/vnd.docker.distribution."
#define DOCKER_DIFF "application/vnd.docker.image.rootfs.diff.tar"

static const struct {
	const char *type;
	enum manifest_kind kind;
} kinds[] = {
	{OCI "manifest.v1+json",         MANIFEST_IMAGE},
	{DOCKER "manifest.v2+json",      MANIFEST_IMAGE},
	{OCI "index.v1+json",            MANIFEST_INDEX},
	{DOCKER "manifest.list.v2+json", MANIFEST_INDEX},
};

static const char *const layer_types[] = {
	OCI "layer.v1.tar", OCI "layer.v1.tar+gzip", OCI "layer.v1.tar+zstd",
	DOCKER_DIFF,        DOCKER_DIFF ".gzip",     DOCKER_DIFF ".zstd",
};

static const char *const config_types[] = {
	OCI "config.v1+json", "application/vnd.docker.container.image.v1+json",
	"application/octet-stream", /* written by docker before 1.11 */
};

static int bad(struct err *err, const char *what, const char *why)
{
	return err_set(err, -EBADMSG, "bad %s: %s", what, why);
}

/* "bad WHAT: WHY "TEXT"", the text made harmless. */
static int bad_text(struct err *err, const char *what, const char *why,
                    const char *text)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(4 * TEXT_SHOWN + 8);

	(void)escape_text(&b, text, strnlen(text, TEXT_SHOWN), 0);
	return err_set(err, -EBADMSG, "bad %s: %s \"%s\"", what, why,
	               buf_str(&b));
}

static bool is_one_of(const char *type, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(type, list[i]) == 0)
			return true;
	return false;
}

static bool platform_word_ok(const char *s, size_t len)
{
	if (len == 0 || len >= sizeof(((struct platform *)0)->os))
		return false;
	for (size_t i = 0; i < len; i++)
		if (!(s[i] >= 'a' && s[i] <= 'z') &&
		    !(s[i] >= '0' && s[i] <= '9') && !strchr("._-", s[i]))
			return false;
	return true;
}

static int set_word(char *out, const char *s, size_t len)
{
	if (!platform_word_ok(s, len))
		return -EINVAL;
	memcpy(out, s, len);
	out[len] = '\0';
	return 0;
}

/* What uname calls the machine is understood, too. */
static void platform_normalise(struct platform *p)
{
	if (strcmp(p->arch, "x86_64") == 0)
		(void)set_word(p->arch, "amd64", 5);
	if (strcmp(p->arch, "aarch64") == 0)
		(void)set_word(p->arch, "arm64", 5);
	if ((strcmp(p->arch, "arm64") == 0 && strcmp(p->variant, "v8") == 0) ||
	    (strcmp(p->arch, "amd64") == 0 && strcmp(p->variant, "v1") == 0))
		p->variant[0] = '\0';
}

int platform_parse(const char *text, struct platform *ret, struct err *err)
{
	struct platform p = {0};
	const char *arch, *variant;
	int r;

	if (!text)
#ifdef __aarch64__
		text = "linux/arm64";
#else
		text = "linux/amd64";
#endif
	arch = strchr(text, '/');
	variant = arch ? strchr(arch + 1, '/') : NULL;
	r = arch ? set_word(p.os, text, (size_t)(arch - text)) : -EINVAL;
	if (r == 0)
		r = set_word(p.arch, arch + 1,
		             variant ? (size_t)(variant - arch - 1)
		                     : strlen(arch + 1));
	if (r == 0 && variant)
		r = set_word(p.variant, variant + 1, strlen(variant + 1));
	if (r < 0) {
		err_set(err, r, "bad platform: it must be os/arch[/variant]");
		err_hint(err, "for example linux/amd64");
		return r;
	}
	platform_normalise(&p);
	*ret = p;
	return 0;
}

const char *platform_text(const struct platform *p, char *out)
{
	(void)snprintf(out, 80, "%s/%s%s%s", p->os, p->arch,
	               p->variant[0] ? "/" : "", p->variant);
	return out;
}

static int parse_descriptor(const json_t *j, const char *what, uint64_t max,
                            struct descriptor *ret, struct err *err)
{
	const char *digest = json_str(j, "digest", NULL);
	int64_t size = json_int(j, "size", -1);

	if (!json_is_object(j))
		return bad(err, what, "it is not an object");
	if (!digest || !digest_parse(digest, &ret->digest))
		return bad_text(err, what,
		                "not a sha256 digest:", digest ? digest : "");
	if (size < 0 || (uint64_t)size > max)
		return bad(err, what, "its size is missing or out of range");
	ret->size = (uint64_t)size;
	return 0;
}

static int parse_layer(const json_t *j, struct descriptor *ret, struct err *err)
{
	const char *type = json_str(j, "mediaType", "");

	if (strstr(type, "nondistributable") || strstr(type, ".foreign.")) {
		bad_text(err, "image", "a layer must not be copied:", type);
		err_hint(err, "such layers belong to Windows images");
		return -EBADMSG;
	}
	if (!is_one_of(type, layer_types, ARRAY_SIZE(layer_types)))
		return bad_text(err, "image", "unknown type of layer", type);
	return parse_descriptor(j, "layer of the manifest", MANIFEST_MAX_BLOB,
	                        ret, err);
}

static int parse_image(const json_t *doc, struct manifest *ret, struct err *err)
{
	const json_t *config = json_object_get(doc, "config");
	const json_t *layers = json_object_get(doc, "layers");
	const char *type = json_str(config, "mediaType", "");
	size_t n = json_array_size(layers);
	int r;

	if (!is_one_of(type, config_types, ARRAY_SIZE(config_types))) {
		bad_text(err, "manifest", "its config has the type", type);
		err_hint(err, "this is not a container image");
		return -EBADMSG;
	}
	if (!json_is_array(layers) || n > MANIFEST_MAX_LAYERS)
		return err_set(err, -EBADMSG,
		               "bad manifest: %zu layers (at most %d)", n,
		               MANIFEST_MAX_LAYERS);
	r = parse_descriptor(config, "config of the manifest",
	                     MANIFEST_MAX_BYTES, &ret->config, err);
	if (r < 0)
		return r;
	ret->layers = calloc(n + 1, sizeof(*ret->layers));
	if (!ret->layers)
		return err_set(err, -ENOMEM, "out of memory");
	for (; r == 0 && ret->nlayers < n; ret->nlayers++)
		r = parse_layer(json_array_get(layers, ret->nlayers),
		                &ret->layers[ret->nlayers], err);
	return r;
}

/* Words that we could not show or compare make the platform unknown. */
static void parse_platform(const json_t *j, struct platform *ret)
{
	const char *os = json_str(j, "os", "unknown");
	const char *arch = json_str(j, "architecture", "unknown");
	const char *variant = json_str(j, "variant", "");

	if (set_word(ret->os, os, strlen(os)) < 0 ||
	    set_word(ret->arch, arch, strlen(arch)) < 0 ||
	    (*variant && set_word(ret->variant, variant, strlen(variant)) < 0))
		*ret = (struct platform){.os = "unknown", .arch = "unknown"};
	platform_normalise(ret);
}

/* The annotations that tools use, the most complete name first. */
static const char *entry_name(const json_t *entry)
{
	const json_t *a = json_object_get(entry, "annotations");
	const char *name = json_str(a, "io.containerd.image.name", NULL);

	return name ? name
	            : json_str(a, "org.opencontainers.image.ref.name", NULL);
}

/* 1: taken, 0: not for us (an attestation, an artifact). */
static int parse_entry(const json_t *j, struct manifest_entry *ret,
                       struct err *err)
{
	const json_t *platform = json_object_get(j, "platform");
	const char *type = json_str(j, "mediaType", "");
	const char *name = entry_name(j);
	const char *original = json_str(json_object_get(j, "annotations"),
	                                ARCHIVE_ORIGINAL, NULL);
	int r = parse_descriptor(j, "entry of the index", MANIFEST_MAX_BYTES,
	                         &ret->desc, err);
	size_t k;

	if (r < 0)
		return r;
	for (k = 0; k < ARRAY_SIZE(kinds); k++)
		if (strcmp(type, kinds[k].type) == 0)
			break;
	if (k == ARRAY_SIZE(kinds) || json_object_get(j, "artifactType"))
		return 0;
	ret->is_index = kinds[k].kind == MANIFEST_INDEX;
	if (platform)
		parse_platform(platform, &ret->platform);
	if (strcmp(ret->platform.os, "unknown") == 0 &&
	    strcmp(ret->platform.arch, "unknown") == 0)
		return 0;
	if (original && !digest_parse(original, &ret->original))
		return bad_text(err, "entry of the index",
		                "not a sha256 digest:", original);
	ret->has_original = original != NULL;
	if (name) {
		ret->name = strdup(name);
		if (!ret->name)
			return err_set(err, -ENOMEM, "out of memory");
	}
	return 1;
}

static int parse_index(const json_t *doc, struct manifest_list *ret,
                       struct err *err)
{
	const json_t *list = json_object_get(doc, "manifests");
	size_t n = json_array_size(list);
	int r = 0;

	if (!json_is_array(list) || n > MANIFEST_MAX_ENTRIES)
		return err_set(err, -EBADMSG,
		               "bad index: %zu manifests (at most %d)", n,
		               MANIFEST_MAX_ENTRIES);
	ret->entries = calloc(n + 1, sizeof(*ret->entries));
	if (!ret->entries)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; r >= 0 && i < n; i++) {
		struct manifest_entry e = {0};

		r = parse_entry(json_array_get(list, i), &e, err);
		if (r == 1)
			ret->entries[ret->n++] = e;
	}
	return r < 0 ? r : 0;
}

/* The kind that @type names, -1 when it names none. */
static int kind_of_type(const char *type)
{
	size_t len = type ? strcspn(type, "; \t") : 0;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strlen(kinds[i].type) == len &&
		    strncasecmp(kinds[i].type, type, len) == 0)
			return (int)kinds[i].kind;
	return -1;
}

/*
 * A document with both lists would be one image to us and another to a tool
 * that looks at the other half, so it is refused, as is one whose own type
 * contradicts the transport's or its content.
 */
static int find_kind(const json_t *doc, const char *media_type,
                     enum manifest_kind *ret, struct err *err)
{
	const char *own = json_str(doc, "mediaType", NULL);
	bool index = json_object_get(doc, "manifests") != NULL;
	bool image = json_object_get(doc, "layers") != NULL;
	int kind = index ? MANIFEST_INDEX : MANIFEST_IMAGE;

	if (json_int(doc, "schemaVersion", 2) == 1 ||
	    json_object_get(doc, "fsLayers")) {
		bad(err, "manifest", "it has the old schema 1");
		err_hint(err, "push the image again with a current tool");
		return -EBADMSG;
	}
	if (json_int(doc, "schemaVersion", 0) != 2)
		return bad(err, "manifest", "schemaVersion is not 2");
	if (index == image)
		return bad(err, "manifest",
		           index ? "it is an index and an image at once"
		                 : "it is neither an index nor an image");
	if ((own && kind_of_type(own) != kind) ||
	    (kind_of_type(media_type) >= 0 && kind_of_type(media_type) != kind))
		return bad_text(err, "manifest", "its content does not match",
		                own ? own : media_type);
	*ret = (enum manifest_kind)kind;
	return 0;
}

int manifest_parse(const void *data, size_t len, const char *media_type,
                   struct manifest_doc *ret, struct err *err)
{
	struct manifest_doc cleanup_manifest d = {0};
	json_t *cleanup_json doc = NULL;
	int r;

	if (len > MANIFEST_MAX_BYTES)
		return bad(err, "manifest", "larger than 4 MiB");
	doc = json_parse(data, len, "the manifest", err);
	if (!doc)
		return -EBADMSG;
	if (!json_is_object(doc))
		return bad(err, "manifest", "it is not an object");
	r = find_kind(doc, media_type, &d.kind, err);
	if (r == 0)
		r = d.kind == MANIFEST_INDEX ? parse_index(doc, &d.index, err)
		                             : parse_image(doc, &d.image, err);
	if (r < 0)
		return r;
	*ret = d;
	d = (struct manifest_doc){0};
	return 0;
}

void manifest_release(struct manifest_doc *d)
{
	for (uint32_t i = 0; i < d->index.n; i++)
		free(d->index.entries[i].name);
	free(d->index.entries);
	free(d->image.layers);
	*d = (struct manifest_doc){0};
}

/* How well an entry serves @want: 0 not at all, higher is better. */
static int match(const struct manifest_entry *e, const struct platform *want)
{
	if (e->platform.os[0] == '\0')
		return e->is_index ? 1 : 2;
	if (strcmp(e->platform.os, want->os) != 0 ||
	    strcmp(e->platform.arch, want->arch) != 0)
		return 0;
	if (strcmp(e->platform.variant, want->variant) == 0)
		return 4;
	return want->variant[0] ? 0 : 3;
}

int manifest_choose(const struct manifest_list *ix, const struct platform *want,
                    const struct manifest_entry **ret, struct err *err)
{
	struct buf cleanup_buf have = BUF_INIT_MAX(ERR_MSG_MAX);
	const struct manifest_entry *best = NULL;
	char text[80];
	int score = 0;

	for (uint32_t i = 0; i < ix->n; i++) {
		int m = match(&ix->entries[i], want);

		if (m > score) {
			score = m;
			best = &ix->entries[i];
		}
		(void)buf_printf(&have, "%s%s", have.len ? ", " : "",
		                 platform_text(&ix->entries[i].platform, text));
	}
	if (best) {
		*ret = best;
		return 0;
	}
	err_set(err, -ENOENT, "there is no image for %s; there is: %s",
	        platform_text(want, text), have.len ? buf_str(&have) : "none");
	return -ENOENT;
}
