#include "image/record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fdio.h"
#include "base/json.h"

#include "base/banned.h"

#define RECORD_MAX       65536
#define RECORD_DEPTH_MAX 130 /* 255 characters have at most 128 parts */
#define RECORD_PATH_MAX  1024

void record_release(struct record *r)
{
	free(r->ref);
	*r = (struct record){0};
}

/* As json_object_set_new(): 0, or -1 when out of memory. */
static int set_digest(json_t *o, const char *key, const struct digest *d)
{
	char text[DIGEST_TEXT_LEN + 1];

	return json_object_set_new(o, key, json_string(digest_text(d, text)));
}

static int set_all(json_t *o, const char *name, const struct record *r)
{
	int bad = json_object_set_new(o, "ref", json_string(name));

	bad |= set_digest(o, "chain", &r->chain);
	if (r->patched)
		bad |= set_digest(o, "patch", &r->patch);
	if (r->patched && r->folder)
		bad |= set_digest(o, "layer", &r->layer);
	if (r->folder)
		return bad | json_object_set_new(o, "folder", json_true());
	bad |= set_digest(o, "manifest", &r->manifest);
	bad |= set_digest(o, "config", &r->config);
	if (r->has_index)
		bad |= set_digest(o, "index", &r->index);
	bad |= json_object_set_new(o, "platform", json_string(r->platform));
	bad |= json_object_set_new(o, "size",
	                           json_integer((json_int_t)r->size));
	bad |= json_object_set_new(o, "pulled", json_integer(r->pulled_unix));
	return bad;
}

int record_write_at(struct store *s, const char *path, const char *name,
                    const struct record *r, struct err *err)
{
	json_t *cleanup_json o = json_object();
	char *cleanup_free text = NULL;

	if (o && set_all(o, name, r) == 0)
		text = json_text(o, JSON_INDENT(2));
	if (!text)
		return err_set(err, -ENOMEM, "out of memory");
	return store_put(s, path, text, strlen(text), err);
}

int record_write(struct store *s, const struct ref *ref, const struct record *r,
                 struct err *err)
{
	struct buf cleanup_buf path = BUF_INIT, name = BUF_INIT;

	if (ref_path(ref, &path) < 0 || ref_text(ref, &name) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return record_write_at(s, buf_str(&path), buf_str(&name), r, err);
}

static bool get_digest(const json_t *o, const char *key, struct digest *ret)
{
	return digest_parse(json_str(o, key, ""), ret);
}

static int parse_record(const json_t *o, struct record *r)
{
	const char *ref = json_str(o, "ref", NULL);
	const char *platform = json_str(o, "platform", NULL);
	int64_t size = json_int(o, "size", -1);

	r->folder = json_is_true(json_object_get(o, "folder"));
	if (!ref || !get_digest(o, "chain", &r->chain))
		return -EBADMSG;
	r->patched = json_object_get(o, "patch");
	if (r->patched && !get_digest(o, "patch", &r->patch))
		return -EBADMSG;
	if (r->patched && r->folder && !get_digest(o, "layer", &r->layer))
		return -EBADMSG;
	if (r->folder) {
		r->ref = strdup(ref);
		return r->ref ? 0 : -ENOMEM;
	}
	if (!platform || strlen(platform) >= sizeof(r->platform) ||
	    !get_digest(o, "manifest", &r->manifest) ||
	    !get_digest(o, "config", &r->config) || size < 0)
		return -EBADMSG;
	r->has_index = get_digest(o, "index", &r->index);
	memcpy(r->platform, platform, strlen(platform) + 1);
	r->size = (uint64_t)size;
	r->pulled_unix = json_int(o, "pulled", 0);
	r->ref = strdup(ref);
	return r->ref ? 0 : -ENOMEM;
}

int record_read(struct store *s, const char *path, struct record *ret,
                struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(RECORD_MAX);
	struct record cleanup_record rec = {0};
	json_t *cleanup_json o = NULL;
	int r = file_read(s->fd, path, &b);

	if (r == -ENOENT || r == -ENOTDIR)
		return err_set(err, -ENOENT, "no such image");
	if (r == 0) {
		o = json_parse(b.data, b.len, path, NULL);
		r = o ? parse_record(o, &rec) : -EBADMSG;
	}
	if (r < 0)
		return err_set(err, r, "the record %s/store/%s is damaged",
		               s->home, path);
	*ret = rec;
	rec = (struct record){0};
	return 0;
}

struct walk {
	int (*fn)(void *arg, const char *path);
	void *arg;
	char path[RECORD_PATH_MAX];
};

static int walk_dir(struct walk *w, int at, size_t len, int depth);

static int walk_entry(struct walk *w, int at, const char *name, size_t len,
                      int depth)
{
	size_t n = strlen(name);
	struct stat st;

	if (len + n + 2 > sizeof(w->path) || depth == RECORD_DEPTH_MAX)
		return 0;
	w->path[len] = '/';
	memcpy(w->path + len + 1, name, n + 1);
	if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (S_ISDIR(st.st_mode))
		return walk_dir(w, at, len + 1 + n, depth + 1);
	if (S_ISREG(st.st_mode) && (name[0] == '_' || name[0] == '@'))
		return w->fn(w->arg, w->path);
	return 0;
}

static int walk_dir(struct walk *w, int at, size_t len, int depth)
{
	const char *name = depth ? strrchr(w->path, '/') + 1 : w->path;
	int fd = openat(at, name,
	                O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!d) {
		r = errno == ENOENT ? 0 : -errno;
		close_fd(&fd);
		return r;
	}
	while (r == 0 && (e = readdir(d)))
		if (e->d_name[0] != '.')
			r = walk_entry(w, dirfd(d), e->d_name, len, depth);
	(void)closedir(d);
	return r;
}

int record_walk(struct store *s, int (*fn)(void *arg, const char *path),
                void *arg)
{
	struct walk w = {.fn = fn, .arg = arg, .path = "refs"};

	return walk_dir(&w, s->fd, 4, 0);
}

int record_remove(struct store *s, const char *path)
{
	char dir[RECORD_PATH_MAX];
	char *slash;

	if (strlen(path) >= sizeof(dir))
		return -ENAMETOOLONG;
	memcpy(dir, path, strlen(path) + 1);
	if (unlinkat(s->fd, path, 0) < 0)
		return errno == ENOTDIR ? -ENOENT : -errno;
	while ((slash = strrchr(dir, '/')) && slash != strchr(dir, '/')) {
		*slash = '\0';
		if (unlinkat(s->fd, dir, AT_REMOVEDIR) < 0)
			break;
	}
	return 0;
}

static void document_path(const char *kind, const struct digest *d, char *out,
                          size_t out_len)
{
	char hex[DIGEST_HEX_LEN + 1];

	(void)snprintf(out, out_len, "%s/%s", kind, digest_hex(d, hex));
}

int record_document(struct store *s, const char *kind, const struct digest *d,
                    struct buf *b, struct err *err)
{
	struct digest got;
	char path[96];
	int r;

	document_path(kind, d, path, sizeof(path));
	b->max = MANIFEST_MAX_BYTES;
	r = file_read(s->fd, path, b);
	if (r == 0) {
		digest_of(b->data, b->len, &got);
		r = digest_equal(&got, d) ? 0 : -EBADMSG;
	}
	if (r == -ENOENT)
		return err_set(err, -EBADMSG, "%s/store/%s is missing", s->home,
		               path);
	if (r < 0)
		return err_set(err, r, "%s/store/%s is damaged", s->home, path);
	return 0;
}

int record_put_document(struct store *s, const char *kind,
                        const struct digest *d, const void *data, size_t len,
                        struct err *err)
{
	char path[96];

	document_path(kind, d, path, sizeof(path));
	return store_put(s, path, data, len, err);
}

static int load_documents(struct store *s, const struct record *rec,
                          struct image *img, struct err *err)
{
	struct manifest_doc cleanup_manifest doc = {0};
	struct buf cleanup_buf m = BUF_INIT, c = BUF_INIT;
	int r = record_document(s, "manifests", &rec->manifest, &m, err);

	if (r == 0)
		r = record_document(s, "configs", &rec->config, &c, err);
	if (r == 0)
		r = manifest_parse(m.data, m.len, NULL, &doc, err);
	if (r < 0)
		return r;
	if (doc.kind != MANIFEST_IMAGE ||
	    !digest_equal(&doc.image.config.digest, &rec->config))
		return err_set(err, -EBADMSG,
		               "manifest and config in the "
		               "store do not fit together");
	return manifest_config(c.data, c.len, doc.image.nlayers, img, err);
}

static int folder_image(struct record *rec, struct image *ret, struct err *err)
{
	struct digest *layers = calloc(2, sizeof(*layers));

	if (!layers)
		return err_set(err, -ENOMEM, "out of memory");
	layers[0] = rec->patched ? rec->layer : rec->chain;
	layers[1] = rec->patch;
	*ret = (struct image){
		.ref = take_ptr(rec->ref),
		.chain_id = rec->chain,
		.diff_ids = layers,
		.nlayers = rec->patched ? 2 : 1,
		.patched = rec->patched,
	};
	return 0;
}

static int add_patch(const struct record *rec, struct image *img,
                     struct err *err)
{
	struct digest *more =
		reallocarray(img->diff_ids, img->nlayers + 1, sizeof(*more));

	if (!more)
		return err_set(err, -ENOMEM, "out of memory");
	img->diff_ids = more;
	more[img->nlayers++] = rec->patch;
	img->patched = true;
	return 0;
}

int record_image(struct store *s, const char *path, struct image *ret,
                 struct err *err)
{
	struct record cleanup_record rec = {0};
	struct image img = {0};
	int r = record_read(s, path, &rec, err);

	if (r < 0)
		return r;
	if (rec.folder)
		return folder_image(&rec, ret, err);
	r = load_documents(s, &rec, &img, err);
	if (r == 0 && rec.patched)
		r = add_patch(&rec, &img, err);
	if (r < 0) {
		image_release(&img);
		(void)err_wrap(err, "image %s", rec.ref);
		err_hint(err, "repair it with msb pull --force %s", rec.ref);
		return r;
	}
	rootfs_chain_id(img.diff_ids, img.nlayers, &img.chain_id);
	img.ref = take_ptr(rec.ref);
	img.manifest = rec.manifest;
	img.config_digest = rec.config;
	img.size = rec.size;
	img.pulled_unix = rec.pulled_unix;
	*ret = img;
	return 0;
}

static uint64_t dir_usage(int fd, int depth)
{
	DIR *d = fdopendir(fd);
	struct dirent *e;
	uint64_t sum = 0;

	if (!d) {
		(void)close(fd);
		return 0;
	}
	while (depth < RECORD_DEPTH_MAX && (e = readdir(d))) {
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 ||
		    strcmp(e->d_name, "..") == 0 ||
		    fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		sum += (uint64_t)st.st_blocks * 512;
		if (S_ISDIR(st.st_mode)) {
			int sub = openat(dirfd(d), e->d_name,
			                 O_RDONLY | O_DIRECTORY | O_NOFOLLOW |
			                         O_CLOEXEC);

			sum += sub < 0 ? 0 : dir_usage(sub, depth + 1);
		}
	}
	(void)closedir(d);
	return sum;
}

uint64_t record_disk_usage(int at, const char *path)
{
	struct stat st;
	int fd;

	if (fstatat(at, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	if (!S_ISDIR(st.st_mode))
		return (uint64_t)st.st_blocks * 512;
	fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return (uint64_t)st.st_blocks * 512 + (fd < 0 ? 0 : dir_usage(fd, 0));
}

const char *record_layer_path(const struct digest *diff_id, char *out,
                              size_t out_len)
{
	char hex[DIGEST_HEX_LEN + 1];

	(void)digest_hex(diff_id, hex);
	(void)snprintf(out, out_len, "layers/%.2s/%s", hex, hex);
	return out;
}

bool record_chain_path(struct store *s, const struct digest *chain, char *out,
                       size_t out_len)
{
	char hex[DIGEST_HEX_LEN + 1], dir[16];
	struct dirent *e;
	bool found = false;
	DIR *d;
	int fd;

	(void)digest_hex(chain, hex);
	(void)snprintf(dir, sizeof(dir), "chains/%.2s", hex);
	fd = openat(s->fd, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		close_fd(&fd);
		return false;
	}
	while (!found && (e = readdir(d))) {
		found = strncmp(e->d_name, hex, DIGEST_HEX_LEN) == 0;
		if (found)
			(void)snprintf(out, out_len, "%s/%s", dir, e->d_name);
	}
	(void)closedir(d);
	return found;
}
