#include "image/image.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "base/num.h"
#include "image/archive_out.h"
#include "image/gc.h"
#include "image/install.h"
#include "image/load.h"
#include "image/pull.h"
#include "image/record.h"

#include "base/banned.h"

#define ID_PREFIX_MIN 12

static const struct image_pull_opts no_opts;

void image_release(struct image *img)
{
	if (!img)
		return;
	free(img->ref);
	free(img->diff_ids);
	free(img->platform);
	free(img->config_json);
	strv_release(&img->config.entrypoint);
	strv_release(&img->config.cmd);
	strv_release(&img->config.env);
	free(img->config.workdir);
	free(img->config.user);
	free(img->config.stop_signal);
	*img = (struct image){0};
}

bool image_ref_is_path(const char *ref)
{
	return ref[0] == '.' || ref[0] == '/';
}

/*
 * Which record a text means: its own, one of the same repository with that
 * digest, or the one whose id starts with it.
 */
struct search {
	struct store *s;
	struct ref ref;
	bool by_digest;
	const char *prefix;
	size_t prefix_len;
	char path[1024];
	struct digest id;
	unsigned names, ids;
};

static bool record_matches(const struct search *q, const struct record *rec)
{
	char hex[DIGEST_HEX_LEN + 1];
	struct ref own;

	if (q->prefix)
		return strncmp(digest_hex(&rec->manifest, hex), q->prefix,
		               q->prefix_len) == 0;
	return ref_parse(rec->ref, &own, NULL) == 0 &&
	       strcmp(own.host, q->ref.host) == 0 &&
	       strcmp(own.repo, q->ref.repo) == 0 &&
	       (digest_equal(&rec->manifest, &q->ref.digest) ||
	        (rec->has_index && digest_equal(&rec->index, &q->ref.digest)));
}

static int search_one(void *arg, const char *path)
{
	struct search *q = arg;
	struct record cleanup_record rec = {0};

	if (record_read(q->s, path, &rec, NULL) < 0 || !record_matches(q, &rec))
		return 0;
	if (q->names == 0 || !digest_equal(&q->id, &rec.manifest))
		q->ids++;
	q->names++;
	q->id = rec.manifest;
	(void)snprintf(q->path, sizeof(q->path), "%s", path);
	return 0;
}

static bool set_prefix(struct search *q, const char *text)
{
	if (strncmp(text, "sha256:", 7) == 0)
		text += 7;
	q->prefix = text;
	q->prefix_len = strspn(text, "0123456789abcdef");
	return text[q->prefix_len] == '\0' && q->prefix_len >= ID_PREFIX_MIN &&
	       q->prefix_len <= DIGEST_HEX_LEN;
}

static int not_found(const char *text, struct err *err)
{
	err_set(err, -ENOENT, "there is no image %s in the store", text);
	err_hint(err,
	         "fetch it with msb pull %s; msb image ls shows what is "
	         "there",
	         text);
	return -ENOENT;
}

static int search_id(struct search *q, const char *text, struct err *err)
{
	if (!set_prefix(q, text))
		return -ENOENT;
	(void)record_walk(q->s, search_one, q);
	if (q->ids > 1)
		return err_set(err, -ENOTUNIQ,
		               "more than one image's id starts with %s", text);
	return q->ids == 1 ? 0 : -ENOENT;
}

/* Fill q->path. */
static int search(struct search *q, const char *text, struct err *err)
{
	struct buf cleanup_buf path = BUF_INIT_MAX(sizeof(q->path) - 1);
	struct record cleanup_record rec = {0};
	int r, id;

	r = ref_parse(text, &q->ref, err);
	if (r == 0) {
		(void)ref_path(&q->ref, &path);
		(void)snprintf(q->path, sizeof(q->path), "%s", buf_str(&path));
		r = record_read(q->s, q->path, &rec, NULL);
		if (r == 0 || r != -ENOENT)
			return 0; /* a damaged one is reported by its reader */
	}
	if (r == -ENOENT && q->ref.has_digest) {
		(void)record_walk(q->s, search_one, q);
		if (q->names)
			return 0;
	}
	id = search_id(q, text, err);
	if (id != -ENOENT)
		return id;
	return r == -ENOENT ? not_found(text, err) : r;
}

int image_find(struct store *s, const char *ref, struct image *ret,
               struct err *err)
{
	struct search q = {.s = s};
	int r = search(&q, ref, err);

	return r < 0 ? r : record_image(s, q.path, ret, err);
}

struct list {
	struct store *s;
	struct image *images;
	uint32_t n, cap;
	int code;
};

/* Damaged images are left out: image_find() says what is wrong with one. */
static int list_one(void *arg, const char *path)
{
	struct list *l = arg;

	if (l->n == l->cap) {
		uint32_t cap = l->cap ? l->cap * 2 : 16;
		struct image *more =
			reallocarray(l->images, cap, sizeof(*more));

		if (!more)
			return -ENOMEM;
		l->images = more;
		l->cap = cap;
	}
	if (record_image(l->s, path, &l->images[l->n], NULL) == 0)
		l->n++;
	return 0;
}

static int by_ref(const void *a, const void *b)
{
	const struct image *x = a, *y = b;

	return strcmp(x->ref, y->ref);
}

int image_list(struct store *s, struct image **ret, uint32_t *ret_n,
               struct err *err)
{
	struct list l = {.s = s};
	int r = record_walk(s, list_one, &l);

	if (r < 0) {
		while (l.n > 0)
			image_release(&l.images[--l.n]);
		free(l.images);
		return err_set(err, r, "cannot list the images: %s",
		               strerror(-r));
	}
	if (l.n)
		qsort(l.images, l.n, sizeof(*l.images), by_ref);
	*ret = l.images;
	*ret_n = l.n;
	return 0;
}

int image_remove(struct store *s, const char *ref, struct err *err)
{
	cleanup_close int lock = store_lock(s, "store", 0, err);
	struct search q = {.s = s};
	int r = lock < 0 ? lock : search(&q, ref, err);

	if (r < 0)
		return r;
	if (q.prefix && q.names > 1) {
		err_set(err, -ENOTUNIQ, "image %s has %u names", ref, q.names);
		err_hint(err, "remove each by its name: msb image ls");
		return -ENOTUNIQ;
	}
	r = record_remove(s, q.path);
	if (r == -ENOENT)
		return not_found(ref, err);
	return r < 0 ? err_set(err, r, "cannot remove image %s: %s", ref,
	                       strerror(-r))
	             : 0;
}

struct removal {
	struct store *s;
	uint32_t n;
};

static int remove_one(void *arg, const char *path)
{
	struct removal *rm = arg;
	int r = record_remove(rm->s, path);

	rm->n += r == 0;
	return r == -ENOENT ? 0 : r;
}

int image_gc(struct store *s, bool all, uint64_t *ret_freed_bytes,
             uint32_t *ret_removed_refs, struct err *err)
{
	struct removal rm = {.s = s};
	uint64_t freed = 0;
	int r = 0;

	if (all) {
		cleanup_close int lock = store_lock(s, "store", 0, err);

		if (lock < 0)
			return lock;
		r = record_walk(s, remove_one, &rm);
	}
	if (r < 0)
		return err_set(err, r, "cannot remove the images: %s",
		               strerror(-r));
	r = gc_run(s, &freed, err);
	if (r == 0 && ret_freed_bytes)
		*ret_freed_bytes = freed;
	if (r == 0 && ret_removed_refs)
		*ret_removed_refs = rm.n;
	return r;
}

/*
 * Writing to a connection or helper that is gone raises SIGPIPE in the thread
 * that writes, and a library may not change the process's handlers. So it is
 * blocked while we work (our threads inherit that) and, if one came, taken.
 */
struct no_sigpipe {
	sigset_t old;
	bool was_pending;
};

static void sigpipe_block(struct no_sigpipe *n)
{
	sigset_t set, pending;

	(void)sigpending(&pending);
	n->was_pending = sigismember(&pending, SIGPIPE) == 1;
	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGPIPE);
	(void)pthread_sigmask(SIG_BLOCK, &set, &n->old);
}

static void sigpipe_restore(struct no_sigpipe *n)
{
	const struct timespec now = {0};
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGPIPE);
	while (!n->was_pending && sigtimedwait(&set, NULL, &now) == SIGPIPE)
		;
	(void)pthread_sigmask(SIG_SETMASK, &n->old, NULL);
}

/* All names of an archive must be names of one image. */
static int pull_path(struct store *s, const char *path,
                     const struct image_pull_opts *opts, struct image *ret,
                     struct err *err)
{
	struct image cleanup(image_release) first = {0};
	struct strv cleanup_strv refs = {0};
	int r = load_archive(s, path, NULL, opts, &refs, err);

	if (r == 0)
		r = image_find(s, refs.v[0], &first, err);
	for (size_t i = 1; r == 0 && i < refs.n; i++) {
		struct image cleanup(image_release) other = {0};

		r = image_find(s, refs.v[i], &other, err);
		if (r < 0 || digest_equal(&other.manifest, &first.manifest))
			continue;
		r = err_set(err, -EINVAL, "%s holds more than one image", path);
		err_hint(err, "load it with msb load, then use one by its "
		              "name: msb image ls");
	}
	if (r < 0)
		return r;
	*ret = first;
	first = (struct image){0};
	return 0;
}

int image_pull(struct store *s, const char *ref,
               const struct image_pull_opts *opts, struct image *ret,
               struct err *err)
{
	struct no_sigpipe guard;
	int r;

	opts = opts ? opts : &no_opts;
	sigpipe_block(&guard);
	r = image_ref_is_path(ref) ? pull_path(s, ref, opts, ret, err)
	                           : pull_image(s, ref, opts, ret, err);
	sigpipe_restore(&guard);
	return r;
}

int image_load(struct store *s, const char *path, const char *tag,
               const struct image_pull_opts *opts, struct strv *ret_refs,
               struct err *err)
{
	struct strv cleanup_strv refs = {0};
	int r = load_archive(s, path, tag, opts ? opts : &no_opts, &refs, err);

	if (r == 0 && strv_add_all(ret_refs, strv_list(&refs)) < 0)
		r = err_set(err, -ENOMEM, "out of memory");
	return r;
}

int image_save(struct store *s, const char *const *refs, size_t n,
               enum archive_format format, int fd,
               const struct image_pull_opts *opts, struct err *err)
{
	struct no_sigpipe guard;
	int r;

	sigpipe_block(&guard);
	r = archive_save(s, refs, n, format, fd, opts, err);
	sigpipe_restore(&guard);
	return r;
}
