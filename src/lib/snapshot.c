#include "lib/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/num.h"
#include "lib/disk_tree.h"
#include "lib/error.h"
#include "lib/image.h"

#include "base/banned.h"

#define TICK_NS (50 * NS_PER_MS)

struct msb_snapshots {
	struct snapshot *list;
	struct msb_snapshot_info *infos;
	char **paths;
	size_t n;
};

/* ---- shared -------------------------------------------------------------- */

int snapshot_tick(void *arg, uint64_t bytes)
{
	struct snapshot_meter *m = arg;
	struct msb_copy_event event = {.path = m->name, .files = 0};
	uint64_t now;

	if (cancel_fired())
		return -ECANCELED;
	m->bytes += bytes;
	if (!m->fn)
		return 0;
	now = clock_now_ns();
	if (now < m->next_ns)
		return 0;
	m->next_ns = now + TICK_NS;
	event.bytes = m->bytes;
	return m->fn(m->arg, &event);
}

void snapshot_disk_release(struct snapshot_disk *d)
{
	disk_close(d->disk);
	d->disk = NULL;
	upper_release(&d->files);
}

int snapshot_open_disk(struct store *s, const struct snapshot *sn,
                       struct snapshot_disk *ret, struct err *err)
{
	struct snapshot_disk cleanup_snapshot_disk d = {0};
	int r = disks_open(s, &sn->chain.layers, d.files.layers, &d.files.n,
	                   err);

	if (r == 0)
		r = disk_open_layers(d.files.layers, d.files.n, true, &d.disk,
		                     err);
	if (r == 0 && disk_size(d.disk) != sn->text.bytes)
		r = err_set(err, -EBADMSG,
		            "the disk of snapshot %s has not the size that it "
		            "should have",
		            sn->name);
	if (r < 0)
		return r;
	*ret = d;
	d = (struct snapshot_disk){0};
	return 0;
}

int snapshot_find_open(struct store *s, const char *name, struct snapshot *ret,
                       struct snapshot_disk *ret_disk, struct err *err)
{
	struct snapshot cleanup_snapshot sn = {0};
	cleanup_close int guard = disks_guard(s, err);
	int r = guard < 0 ? guard : snapshot_find(s, name, &sn, err);

	if (r == 0)
		r = snapshot_open_disk(s, &sn, ret_disk, err);
	if (r < 0)
		return r;
	*ret = sn;
	sn = (struct snapshot){0};
	return 0;
}

/* ---- forks --------------------------------------------------------------- */

static int check_bytes(const struct snapshot *sn, uint64_t *bytes,
                       struct err *err)
{
	char text[32];

	if (!*bytes)
		*bytes = sn->text.bytes;
	if (*bytes >= sn->text.bytes)
		return 0;
	return err_set(err, -EINVAL,
	               "root disk: the snapshot's has %s, and it can only grow",
	               num_format_size(sn->text.bytes, text, sizeof(text)));
}

int snapshot_for_fork(struct store *s, const char *name, struct snapshot *ret,
                      struct image *ret_image, uint64_t *bytes, struct err *err)
{
	struct snapshot cleanup_snapshot sn = {0};
	int r = snapshot_find(s, name, &sn, err);

	if (r == 0)
		r = check_bytes(&sn, bytes, err);
	if (r == 0)
		r = image_find_snapshot(s, sn.name, ret_image, err);
	if (r < 0)
		return r;
	*ret = sn;
	sn = (struct snapshot){0};
	return 0;
}

int snapshot_fork(struct store *s, const char *digest, const struct place *p,
                  uint64_t bytes, struct err *err)
{
	struct snapshot cleanup_snapshot sn = {0};
	cleanup_close int guard = disks_guard(s, err);
	int r = guard < 0 ? guard : snapshot_find(s, digest, &sn, err);

	return r < 0 ? r : upper_fork(s, p, bytes, &sn.chain, sn.digest, err);
}

/* ---- list ---------------------------------------------------------------- */

/* Of its own: what lies below belongs to its parent, too. */
static uint64_t used_bytes(const struct store *s, const struct snapshot *sn)
{
	cleanup_close int dir = disks_folder(s, NULL);
	struct stat st;

	return dir >= 0 && fstatat(dir, sn->chain.layers.v[0], &st,
	                           AT_SYMLINK_NOFOLLOW) == 0
	               ? (uint64_t)st.st_blocks * 512
	               : 0;
}

static int fill(const struct store *s, struct msb_snapshots *l, size_t i)
{
	const struct snapshot *sn = &l->list[i];
	const struct snapshot_text *t = &sn->text;

	if (asprintf(&l->paths[i], "%s/snapshots/%s", s->home, sn->name) < 0) {
		l->paths[i] = NULL;
		return -ENOMEM;
	}
	l->infos[i] = (struct msb_snapshot_info){
		.size = sizeof(l->infos[i]),
		.name = sn->name,
		.digest = sn->digest,
		.image = t->image,
		.image_id = t->image_id,
		.sandbox = t->sandbox,
		.parent = t->parent,
		.content = t->content,
		.size_bytes = t->bytes,
		.used_bytes = used_bytes(s, sn),
		.created_ms = t->created_ms,
		.labels = (const char *const *)strv_list(&t->labels),
		.path = l->paths[i],
	};
	return 0;
}

static int read_list(struct store *s, const char *name, struct msb_snapshots *l,
                     struct err *err)
{
	if (!name)
		return snapshot_read_all(s, &l->list, &l->n, err);
	l->list = calloc(1, sizeof(*l->list));
	if (!l->list)
		return -ENOMEM;
	l->n = 1;
	return snapshot_find(s, name, l->list, err);
}

int msb_snapshot_list(struct msb_home *home, const char *name,
                      struct msb_snapshots **ret_list, struct msb_error *error)
{
	struct msb_snapshots *l = calloc(1, sizeof(*l));
	struct err err = {0};
	int r = l ? read_list(home->store, name, l, &err) : -ENOMEM;

	if (r == 0) {
		l->infos = calloc(l->n + 1, sizeof(*l->infos));
		l->paths = calloc(l->n + 1, sizeof(*l->paths));
		r = l->infos && l->paths ? 0 : -ENOMEM;
	}
	for (size_t i = 0; r == 0 && i < l->n; i++)
		r = fill(home->store, l, i);
	if (r < 0) {
		msb_snapshots_free(l);
		return error_return(error, r, &err);
	}
	*ret_list = l;
	return 0;
}

void msb_snapshots_free(struct msb_snapshots *l)
{
	if (!l)
		return;
	for (size_t i = 0; l->paths && i < l->n; i++)
		free(l->paths[i]);
	free(l->paths);
	free(l->infos);
	if (l->list)
		snapshot_list_free(l->list, l->n);
	free(l);
}

size_t msb_snapshots_count(const struct msb_snapshots *list)
{
	return list->n;
}

const struct msb_snapshot_info *
msb_snapshots_get(const struct msb_snapshots *list, size_t i)
{
	return i < list->n ? &list->infos[i] : NULL;
}

int msb_snapshot_image(struct msb_home *home, const char *name,
                       struct msb_image **ret_image, struct msb_error *error)
{
	struct snapshot cleanup_snapshot sn = {0};
	struct image image = {0};
	struct msb_image *h = NULL;
	struct err err = {0};
	int r = snapshot_find(home->store, name, &sn, &err);

	if (r == 0)
		r = image_find_snapshot(home->store, sn.name, &image, &err);
	if (r == 0) {
		h = lib_image_new(&image);
		r = h ? 0 : -ENOMEM;
	}
	if (r < 0)
		return error_return(error, r, &err);
	*ret_image = h;
	return 0;
}

/* ---- verify and remove --------------------------------------------------- */

static int no_content(const struct snapshot *sn, struct err *err)
{
	err_set(err, -EOPNOTSUPP,
	        "snapshot %s has no digest of its content to compare with",
	        sn->name);
	err_hint(err, "make it with --integrity");
	return -EOPNOTSUPP;
}

static int verify(struct store *s, const char *name, struct err *err)
{
	struct snapshot_disk cleanup_snapshot_disk d = {0};
	struct snapshot cleanup_snapshot sn = {0};
	struct snapshot_meter meter = {.name = name};
	char got[DIGEST_TEXT_LEN + 1];
	struct digest digest;
	int r = snapshot_find_open(s, name, &sn, &d, err);

	if (r < 0)
		return r;
	if (!*sn.text.content)
		return no_content(&sn, err);
	r = disk_tree_of(d.disk, snapshot_tick, &meter, &digest, err);
	if (r < 0)
		return r;
	if (strcmp(digest_text(&digest, got), sn.text.content) == 0)
		return 0;
	return err_set(err, -EBADMSG,
	               "the content of snapshot %s is %s, not %s as it was "
	               "made",
	               sn.name, got, sn.text.content);
}

int msb_snapshot_verify(struct msb_home *home, const char *name,
                        struct msb_error *error)
{
	struct err err = {0};
	int r = verify(home->store, name, &err);

	return r < 0 ? error_return(error, r, &err) : 0;
}

int msb_snapshot_remove(struct msb_home *home, const char *name,
                        struct msb_error *error)
{
	struct snapshot cleanup_snapshot sn = {0};
	struct err err = {0};
	int r = snapshot_find(home->store, name, &sn, &err);

	/* One that cannot be read goes by its name. */
	if (r == 0)
		r = snapshot_unname(home->store, sn.name, &err);
	else if (r != -ENOENT && r != -ENOTUNIQ)
		r = snapshot_unname(home->store, name, &err);
	if (r < 0)
		return error_return(error, r, &err);
	disks_sweep(home->store);
	return 0;
}
