#include "lib/snapshot_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/json.h"
#include "base/num.h"
#include "lib/record.h"
#include "lib/sandbox.h"

#include "base/banned.h"

#define FOLDER       "snapshots"
#define FILE_NAME    "snapshot.json"
#define DIGEST_MIN   12
#define LABELS_MAX   1024
#define DIFF_IDS_MAX 513 /* of an image, and a patch */
#define BYTES_MAX    (8ULL << 40)
#define COUNT_MAX    100000

/* ---- snapshot.json ------------------------------------------------------- */

void snapshot_text_release(struct snapshot_text *t)
{
	free(t->name);
	free(t->sandbox);
	free(t->image);
	strv_release(&t->diff_ids);
	strv_release(&t->labels);
	*t = (struct snapshot_text){0};
}

char *snapshot_text_write(const struct snapshot_text *t)
{
	json_t *cleanup_json o = json_pack(
		"{s:i, s:s, s:s, s:o, s:o, s:{s:o, s:s, s:s, s:s, s:o, s:b}, "
		"s:s, "
		"s:s, s:o, s:{s:s, s:I}, s:I}",
		"schema", SNAPSHOT_SCHEMA, "id", t->id, "name", t->name,
		"sandbox", record_text(t->sandbox), "labels",
		record_list(&t->labels), "image", "reference",
		record_text(t->image), "manifest", t->image_id, "config",
		t->config, "chain", t->chain, "layers",
		record_list(&t->diff_ids), "patched", t->patched, "parent",
		t->parent, "content", t->content, "requires", json_array(),
		"disk", "fstype", "ext4", "size", (json_int_t)t->bytes,
		"created_ms", (json_int_t)t->created_ms);

	return o ? json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
}

static bool take_digest(const json_t *o, const char *key, bool may_lack,
                        char to[DIGEST_TEXT_LEN + 1])
{
	const char *text = json_str(o, key, NULL);
	struct digest d;

	if (!text || !(digest_parse(text, &d) || (may_lack && !*text)))
		return false;
	(void)snprintf(to, DIGEST_TEXT_LEN + 1, "%s", text);
	return true;
}

static bool take_list(const json_t *list, size_t max, struct strv *to)
{
	if (!json_is_array(list) || json_array_size(list) > max)
		return false;
	for (size_t i = 0; i < json_array_size(list); i++) {
		cleanup_free char *s =
			record_read_text(json_array_get(list, i));

		if (!s || strv_add(to, s) < 0)
			return false;
	}
	return true;
}

static bool take_image(const json_t *o, struct snapshot_text *t)
{
	struct digest d;

	t->image = record_read_text(json_object_get(o, "reference"));
	t->patched = json_bool(o, "patched", false);
	if (!t->image || !take_digest(o, "manifest", true, t->image_id) ||
	    !take_digest(o, "config", true, t->config) ||
	    !take_digest(o, "chain", false, t->chain) ||
	    !*t->image_id != !*t->config ||
	    !take_list(json_object_get(o, "layers"), DIFF_IDS_MAX,
	               &t->diff_ids) ||
	    t->diff_ids.n < (t->patched ? 2u : 1u))
		return false;
	for (size_t i = 0; i < t->diff_ids.n; i++)
		if (!digest_parse(t->diff_ids.v[i], &d))
			return false;
	return true;
}

static bool are_labels(const struct strv *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (*list->v[i] == '=' || !strchr(list->v[i], '='))
			return false;
	return true;
}

static bool take_disk(const json_t *o, struct snapshot_text *t)
{
	int64_t bytes = json_int(o, "size", 0);

	t->bytes = (uint64_t)bytes;
	return bytes > 0 && t->bytes <= BYTES_MAX && bytes % 4096 == 0 &&
	       strcmp(json_str(o, "fstype", ""), "ext4") == 0;
}

static bool take_text(const json_t *o, struct snapshot_text *t)
{
	const char *id = json_str(o, "id", "");
	const char *name = json_str(o, "name", "");

	t->created_ms = json_int(o, "created_ms", -1);
	t->sandbox = record_read_text(json_object_get(o, "sandbox"));
	if (json_int(o, "schema", 0) != SNAPSHOT_SCHEMA || strlen(id) != 16 ||
	    strspn(id, "0123456789abcdef") != 16 ||
	    !sandbox_is_name(name, MSB_NAME_MAX) || !t->sandbox ||
	    t->created_ms < 0 ||
	    json_array_size(json_object_get(o, "requires")))
		return false;
	memcpy(t->id, id, sizeof(t->id));
	t->name = strdup(name);
	return t->name && take_image(json_object_get(o, "image"), t) &&
	       take_digest(o, "parent", true, t->parent) &&
	       take_digest(o, "content", true, t->content) &&
	       take_list(json_object_get(o, "labels"), LABELS_MAX,
	                 &t->labels) &&
	       are_labels(&t->labels) &&
	       take_disk(json_object_get(o, "disk"), t);
}

static int too_new(const json_t *o, struct err *err)
{
	if (json_int(o, "schema", 0) <= SNAPSHOT_SCHEMA &&
	    !json_array_size(json_object_get(o, "requires")))
		return 0;
	return err_set(err, -EPROTONOSUPPORT,
	               "the snapshot was made by a newer msb");
}

int snapshot_text_read(const void *data, size_t len, struct snapshot_text *ret,
                       struct err *err)
{
	struct snapshot_text cleanup_snapshot_text t = {0};
	json_t *cleanup_json o = json_parse(data, len, FILE_NAME, err);
	cleanup_free char *again = NULL;

	if (!o)
		return -EUCLEAN;
	if (too_new(o, err) < 0)
		return -EPROTONOSUPPORT;
	if (take_text(o, &t))
		again = snapshot_text_write(&t);
	if (!again || strlen(again) != len || memcmp(again, data, len) != 0)
		return err_set(err, -EUCLEAN,
		               FILE_NAME " is not what msb writes");
	*ret = t;
	t = (struct snapshot_text){0};
	return 0;
}

void snapshot_text_digest(const char *text, char ret[DIGEST_TEXT_LEN + 1])
{
	struct digest d;

	digest_of(text, strlen(text), &d);
	(void)digest_text(&d, ret);
}

/* ---- folders ------------------------------------------------------------- */

void snapshot_release(struct snapshot *s)
{
	snapshot_text_release(&s->text);
	disk_chain_release(&s->chain);
	*s = (struct snapshot){0};
}

int snapshot_check_name(const char *name, struct err *err)
{
	if (name && sandbox_is_name(name, MSB_NAME_MAX))
		return 0;
	err_set(err, -EINVAL, "'%.150s' cannot be a snapshot's name",
	        name ? name : "");
	err_hint(err,
	         "1 to %d letters, digits, . _ -, beginning with a letter or "
	         "digit",
	         MSB_NAME_MAX);
	return -EINVAL;
}

static int open_folder(const struct store *s, struct err *err)
{
	int fd = dir_private(s->home_fd, FOLDER, true);

	return fd < 0 ? err_set(err, fd, "cannot open %s/" FOLDER ": %s",
	                        s->home, strerror(-fd))
	              : fd;
}

static int read_files(int dir, struct snapshot *sn, struct err *err)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(SNAPSHOT_JSON_MAX);
	int r = file_read(dir, FILE_NAME, &b);

	if (r == -ENOENT)
		return r;
	if (r < 0)
		return err_set(err, r, "cannot read its " FILE_NAME ": %s",
		               strerror(-r));
	r = snapshot_text_read(b.data, b.len, &sn->text, err);
	if (r < 0)
		return r;
	snapshot_text_digest(buf_str(&b), sn->digest);
	r = disk_chain_read(dir, &sn->chain, err);
	if (r == 0 && (*sn->chain.file || !sn->chain.layers.n))
		r = -EUCLEAN;
	return r == -ENOENT || r == -EUCLEAN
	               ? err_set(err, -EUCLEAN,
	                         "its " DISKS_FILE " is missing or damaged")
	               : r;
}

static int read_one(const struct store *s, int parent, const char *name,
                    struct snapshot *ret, struct err *err)
{
	struct snapshot cleanup_snapshot sn = {0};
	cleanup_close int dir = openat(
		parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int r = dir < 0 ? -errno : read_files(dir, &sn, err);

	if (r == -ENOENT || (dir < 0 && r == -ENOTDIR))
		return -ENOENT;
	if (r < 0) {
		if (dir < 0)
			err_set(err, r, "%s", strerror(-r));
		err_wrap(err, "%s/" FOLDER "/%s", s->home, name);
		return r;
	}
	(void)snprintf(sn.name, sizeof(sn.name), "%s", name);
	*ret = sn;
	sn = (struct snapshot){0};
	return 0;
}

static int no_such(const char *name, struct err *err)
{
	err_set(err, -ENOENT, "there is no snapshot %.150s", name);
	err_hint(err, "msb snapshot ls shows which there are");
	return -ENOENT;
}

void snapshot_list_free(struct snapshot *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		snapshot_release(&list[i]);
	free(list);
}

static int list_names(int parent, struct strv *ret)
{
	int copy = openat(parent, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	int r = 0;

	if (!d) {
		r = -errno;
		close_fd(&copy);
		return r;
	}
	while (r == 0 && (e = readdir(d)))
		if (sandbox_is_name(e->d_name, MSB_NAME_MAX) &&
		    ret->n < COUNT_MAX)
			r = strv_add(ret, e->d_name);
	(void)closedir(d);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct snapshot *)a)->name,
	              ((const struct snapshot *)b)->name);
}

int snapshot_read_all(struct store *s, struct snapshot **ret, size_t *ret_n,
                      struct err *err)
{
	struct strv cleanup_strv names = {0};
	cleanup_close int parent = open_folder(s, err);
	struct snapshot *list;
	size_t n = 0;
	int r = parent < 0 ? parent : list_names(parent, &names);

	if (r < 0)
		return r;
	list = calloc(names.n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	for (size_t i = 0; i < names.n; i++)
		if (read_one(s, parent, names.v[i], &list[n], NULL) == 0)
			n++;
	qsort(list, n, sizeof(*list), by_name);
	*ret = list;
	*ret_n = n;
	return 0;
}

static bool is_digest_part(const char **text)
{
	if (strncmp(*text, "sha256:", 7) == 0)
		*text += 7;
	return strlen(*text) >= DIGEST_MIN && strlen(*text) <= DIGEST_HEX_LEN &&
	       (*text)[strspn(*text, "0123456789abcdef")] == '\0';
}

static int find_digest(struct store *s, const char *part, struct snapshot *ret,
                       struct err *err)
{
	struct snapshot *list;
	size_t n, found = 0, at = 0;
	int r = snapshot_read_all(s, &list, &n, err);

	if (r < 0)
		return r;
	for (size_t i = 0; i < n; i++) {
		if (strncmp(list[i].digest + 7, part, strlen(part)) != 0)
			continue;
		/* The same one under two names is one. */
		if (!found || strcmp(list[i].digest, list[at].digest) != 0)
			found++;
		at = i;
	}
	if (found == 1) {
		*ret = list[at];
		list[at] = (struct snapshot){0};
	}
	snapshot_list_free(list, n);
	if (found > 1)
		return err_set(err, -ENOTUNIQ,
		               "more than one snapshot's digest begins with %s",
		               part);
	return found ? 0 : -ENOENT;
}

int snapshot_find(struct store *s, const char *name, struct snapshot *ret,
                  struct err *err)
{
	cleanup_close int parent = open_folder(s, err);
	const char *part = name;
	int r = -ENOENT;

	if (parent < 0)
		return parent;
	if (sandbox_is_name(name, MSB_NAME_MAX))
		r = read_one(s, parent, name, ret, err);
	if (r == -ENOENT && is_digest_part(&part))
		r = find_digest(s, part, ret, err);
	return r == -ENOENT ? no_such(name, err) : r;
}

bool snapshot_exists(struct store *s, const char *name)
{
	cleanup_close int parent = open_folder(s, NULL);

	return parent >= 0 &&
	       faccessat(parent, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- made and removed ---------------------------------------------------- */

void snapshot_stage_release(struct snapshot_stage *st)
{
	if (!st)
		return;
	for (unsigned i = 0; i < st->nfiles; i++)
		close_fd(&st->files[i]);
	st->nfiles = 0;
	if (st->parent_fd >= 0 && *st->name)
		(void)dir_remove(st->parent_fd, st->name);
	close_fd(&st->dir_fd);
	close_fd(&st->parent_fd);
}

static int new_stage_name(char *to, size_t len, struct err *err)
{
	char random[17];
	int r = disks_random(random, err);

	if (r == 0)
		(void)snprintf(to, len, "_%s", random);
	return r;
}

static int cannot_make(struct store *s, int r, struct err *err)
{
	return err_set(err, r, "cannot make a snapshot in %s/" FOLDER ": %s",
	               s->home, strerror(-r));
}

/* Who looks at it meanwhile sees it whole or not at all. */
int snapshot_stage_put(struct snapshot_stage *st, const char *name,
                       const char *text, struct err *err)
{
	char other[32];
	int r = st->nfiles < ARRAY_SIZE(st->files) ? 0 : -E2BIG;

	(void)snprintf(other, sizeof(other), "%s.new", name);
	if (r == 0)
		r = disks_put_file(st->dir_fd, other, text, strlen(text), 0444);
	if (r >= 0)
		st->files[st->nfiles++] = r;
	if (r >= 0 && renameat(st->dir_fd, other, st->dir_fd, name) < 0)
		r = -errno;
	return r < 0 ? err_set(err, r, "cannot write its %s: %s", name,
	                       strerror(-r))
	             : 0;
}

int snapshot_stage(struct store *s, const char *text,
                   struct snapshot_stage *ret, struct err *err)
{
	struct snapshot_stage cleanup_stage st = SNAPSHOT_STAGE_INIT;
	int r;

	st.parent_fd = open_folder(s, err);
	if (st.parent_fd < 0)
		return st.parent_fd;
	r = new_stage_name(st.name, sizeof(st.name), err);
	if (r < 0)
		return r;
	st.dir_fd = dir_private(st.parent_fd, st.name, true);
	if (st.dir_fd < 0)
		return cannot_make(s, st.dir_fd, err);
	r = snapshot_stage_put(&st, FILE_NAME, text, err);
	if (r < 0)
		return r;
	*ret = st;
	st = (struct snapshot_stage)SNAPSHOT_STAGE_INIT;
	return 0;
}

int snapshot_publish(struct snapshot_stage *st, const char *name, bool replace,
                     struct err *err)
{
	int r = 0;

	for (unsigned i = 0; i < st->nfiles && r == 0; i++)
		r = fsync(st->files[i]) < 0 ? -errno : 0;
	if (r < 0)
		return err_set(err, r, "cannot write the snapshot %s: %s", name,
		               strerror(-r));
	if (fsync(st->dir_fd) < 0 ||
	    renameat2(st->parent_fd, st->name, st->parent_fd, name,
	              RENAME_NOREPLACE) < 0)
		r = -errno;
	/* The other one is called _... then, and goes with the stage. */
	if (r == -EEXIST && replace)
		r = renameat2(st->parent_fd, st->name, st->parent_fd, name,
		              RENAME_EXCHANGE) < 0
		            ? -errno
		            : 1;
	if (r == -EEXIST) {
		err_set(err, r, "there is a snapshot %s already", name);
		err_hint(err, "--force replaces it");
		return r;
	}
	if (r < 0)
		return err_set(err, r, "cannot name the snapshot %s: %s", name,
		               strerror(-r));
	(void)fsync(st->parent_fd);
	if (r == 0)
		st->name[0] = '\0';
	return 0;
}

int snapshot_unname(struct store *s, const char *name, struct err *err)
{
	cleanup_close int parent = open_folder(s, err);
	char gone[32];
	int r = parent < 0 ? parent : new_stage_name(gone, sizeof(gone), err);

	if (r < 0)
		return r;
	if (!sandbox_is_name(name, MSB_NAME_MAX))
		return no_such(name, err);
	if (renameat(parent, name, parent, gone) < 0)
		return errno == ENOENT
		               ? no_such(name, err)
		               : err_set(err, -errno,
		                         "cannot remove %s/" FOLDER "/%s: %s",
		                         s->home, name, strerror(errno));
	(void)fsync(parent);
	(void)dir_remove(parent, gone);
	return 0;
}
