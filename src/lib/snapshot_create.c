/* A sandbox's disk becomes a snapshot: upper.c has the steps. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "lib/disk_tree.h"
#include "lib/error.h"
#include "lib/life.h"
#include "lib/options.h"
#include "lib/record.h"
#include "lib/snapshot.h"

#include "base/banned.h"

struct making {
	struct msb_home *home;
	struct store *s;
	const char *name;
	struct msb_snapshot_opts o;
	struct snapshot_meter meter;
	struct state_sandbox row;
	struct place place;
	int lock;
	struct snapshot_text text;
	char *json;
	char digest[DIGEST_TEXT_LEN + 1];
	int flat; /* a copy of it all in one file; -1: not needed */
};

static void making_release(struct making *m)
{
	close_fd(&m->flat);
	free(m->json);
	snapshot_text_release(&m->text);
	state_sandbox_release(&m->row);
	close_fd(&m->lock);
	place_release(&m->place);
}
#define cleanup_making cleanup(making_release)

/* ---- whether it can be --------------------------------------------------- */

static int check_opts(const struct making *m, struct err *err)
{
	const uint32_t known = MSB_SNAPSHOT_REPLACE | MSB_SNAPSHOT_INTEGRITY;

	if (m->o.flags & ~known)
		return err_set(err, -EINVAL, "unknown flags 0x%x",
		               (unsigned)(m->o.flags & ~known));
	for (const char *const *l = m->o.labels; l && *l; l++)
		if (**l == '=' || !strchr(*l, '='))
			return err_set(err, -EINVAL,
			               "label %s is not KEY=VALUE", *l);
	return snapshot_check_name(m->name, err);
}

static int check_free(const struct making *m, struct err *err)
{
	if ((m->o.flags & MSB_SNAPSHOT_REPLACE) ||
	    !snapshot_exists(m->s, m->name))
		return 0;
	err_set(err, -EEXIST, "there is a snapshot %s already", m->name);
	err_hint(err, "--force replaces it");
	return -EEXIST;
}

static int check_kept(const struct making *m, struct err *err)
{
	if (!m->row.ephemeral)
		return 0;
	err_set(err, -EOPNOTSUPP,
	        "%s is not kept: nothing of it is left when it stops",
	        m->row.name);
	err_hint(err, "make it with a --name, stop it, then take a snapshot");
	return -EOPNOTSUPP;
}

static int busy(const struct making *m, struct err *err)
{
	err_set(err, -EBUSY,
	        "%s is running: only what has stopped can be kept "
	        "as a snapshot",
	        m->row.name);
	err_hint(err, "msb stop %s ends it", m->row.name);
	return -EBUSY;
}

static int take_lock(struct making *m, struct err *err)
{
	char id[STATE_ID_LEN + 1];
	int r = check_kept(m, err);

	if (r == 0)
		r = place_open(m->s, m->row.id, &m->place, err);
	if (r < 0)
		return r;
	m->lock = life_lock(&m->place, m->row.name, err);
	if (m->lock == -EBUSY)
		return busy(m, err);
	if (m->lock < 0)
		return m->lock;
	/* What was read before the lock may be gone or changed. */
	memcpy(id, m->row.id, sizeof(id));
	state_sandbox_release(&m->row);
	return life_get(m->home, id, &m->row, err);
}

/* ---- what it is ---------------------------------------------------------- */

static int check_root(const struct making *m, struct err *err)
{
	struct sandbox_config cleanup_sandbox_config c = {0};
	int r = sandbox_config_read(m->row.config, &c, err);

	if (r < 0 || c.root.kind == ROOT_IMAGE)
		return r;
	return err_set(err, -EOPNOTSUPP,
	               "%s has a %s of yours as its root, which a snapshot "
	               "cannot keep: it needs an image or a packed folder",
	               m->row.name,
	               c.root.kind == ROOT_DISK ? "disk image" : "live folder");
}

static int take_image(struct making *m, struct err *err)
{
	struct image cleanup(image_release) i = {0};
	struct snapshot_text *t = &m->text;
	char text[DIGEST_TEXT_LEN + 1];
	int r = image_find_pinned(m->s, m->row.id, &i, err);

	if (r < 0)
		return r;
	t->image = strdup(i.ref);
	if (!t->image)
		return -ENOMEM;
	(void)digest_text(&i.chain_id, t->chain);
	t->patched = i.patched;
	if (i.config_json) {
		(void)digest_text(&i.manifest, t->image_id);
		(void)digest_text(&i.config_digest, t->config);
	}
	for (uint32_t n = 0; n < i.nlayers && r == 0; n++)
		r = strv_add(&t->diff_ids, digest_text(&i.diff_ids[n], text));
	return r;
}

static int no_disk(const struct making *m, struct err *err)
{
	err_set(err, -EOPNOTSUPP,
	        "%s has no disk to take a snapshot of: what is written in it "
	        "is in memory, or on a disk of yours",
	        m->row.name);
	return -EOPNOTSUPP;
}

/* With the disk as it is now. */
static int look_at_disk(struct making *m, struct err *err)
{
	struct snapshot_disk cleanup_snapshot_disk d = {0};
	struct digest content;
	int r = upper_open(m->s, &m->place, 0, true, &d.files, err);

	if (r < 0)
		return r == -ENOENT ? no_disk(m, err) : r;
	m->text.bytes = d.files.bytes;
	if (!(m->o.flags & MSB_SNAPSHOT_INTEGRITY))
		return 0;
	r = disk_open_layers(d.files.layers, d.files.n, true, &d.disk, err);
	if (r == 0)
		r = disk_tree_of(d.disk, snapshot_tick, &m->meter, &content,
		                 err);
	if (r == 0)
		(void)digest_text(&content, m->text.content);
	return r;
}

static int take_parent(struct making *m, struct err *err)
{
	struct disk_chain cleanup_disk_chain c = {0};
	int r = upper_chain(&m->place, &c, err);

	if (r == 0)
		memcpy(m->text.parent, c.parent, sizeof(m->text.parent));
	return r;
}

static int describe(struct making *m, struct err *err)
{
	struct snapshot_text *t = &m->text;
	int r = disks_random(t->id, err);

	t->name = strdup(m->name);
	t->sandbox = strdup(m->row.name);
	t->created_ms = (int64_t)(clock_unix_ns() / NS_PER_MS);
	if (r == 0 && (!t->name || !t->sandbox))
		r = -ENOMEM;
	if (r == 0)
		r = check_root(m, err);
	if (r == 0)
		r = take_image(m, err);
	if (r == 0)
		r = take_parent(m, err);
	if (r == 0)
		r = look_at_disk(m, err);
	for (const char *const *l = m->o.labels; l && *l && r == 0; l++)
		r = strv_env_set(&t->labels, *l);
	if (r < 0)
		return r;
	m->json = snapshot_text_write(t);
	if (!m->json)
		return -ENOMEM;
	if (strlen(m->json) >= SNAPSHOT_JSON_MAX)
		return err_set(err, -E2BIG, "the labels are too long");
	snapshot_text_digest(m->json, m->digest);
	return 0;
}

/* ---- made ---------------------------------------------------------------- */

static int make_flat(struct making *m, struct err *err)
{
	struct snapshot_disk cleanup_snapshot_disk d = {0};
	cleanup_close int dir = disks_folder(m->s, err);
	int r = dir < 0 ? dir
	                : upper_open(m->s, &m->place, 0, true, &d.files, err);

	if (r == 0)
		r = disk_open_layers(d.files.layers, d.files.n, true, &d.disk,
		                     err);
	if (r == 0)
		m->flat = disks_new_file(dir, err);
	if (r == 0 && m->flat < 0)
		r = m->flat;
	return r < 0 ? r
	             : upper_copy(d.disk, m->flat, snapshot_tick, &m->meter,
	                          err);
}

/* The order of the steps is upper.c's. */
static int make(struct making *m, struct err *err)
{
	struct snapshot_stage cleanup_stage st = SNAPSHOT_STAGE_INIT;
	struct upper_aside cleanup_aside a = {0};
	struct buf cleanup_buf pin = BUF_INIT;
	cleanup_free char *chain = NULL;
	cleanup_close int guard = disks_guard(m->s, err);
	int r = guard < 0 ? guard : image_pin_text(m->s, m->row.id, &pin, err);

	if (r == 0)
		r = snapshot_stage(m->s, m->json, &st, err);
	if (r == 0)
		r = snapshot_stage_put(&st, "image", buf_str(&pin), err);
	if (r == 0)
		r = upper_set_aside(m->s, &m->place, m->text.bytes, m->flat,
		                    m->digest, &a, err);
	if (r == 0) {
		chain = disk_chain_text(&a.chain);
		r = chain ? snapshot_stage_put(&st, DISKS_FILE, chain, err)
		          : -ENOMEM;
	}
	if (r == 0)
		r = snapshot_publish(&st, m->name,
		                     m->o.flags & MSB_SNAPSHOT_REPLACE, err);
	if (*a.next.file)
		upper_drop_old(m->s, &m->place, &a);
	return r;
}

static int create(struct making *m, const char *sandbox, struct err *err)
{
	int r = check_opts(m, err);

	if (r == 0)
		r = check_free(m, err);
	if (r == 0)
		r = life_get(m->home, sandbox, &m->row, err);
	if (r == 0)
		r = take_lock(m, err);
	if (r == 0)
		r = describe(m, err);
	if (r < 0)
		return r;
	r = make(m, err);
	if (r != -EMLINK)
		return r;
	r = make_flat(m, err);
	return r < 0 ? r : make(m, err);
}

int msb_snapshot_create(struct msb_home *home, const char *sandbox,
                        const char *name, const struct msb_snapshot_opts *opts,
                        struct msb_error *error)
{
	struct making cleanup_making m = {.home = home,
	                                  .s = home->store,
	                                  .name = name,
	                                  .o = MSB_SNAPSHOT_OPTS_INIT,
	                                  .place = PLACE_INIT,
	                                  .lock = -1,
	                                  .flat = -1};
	struct err err = {0};
	int r;

	if (!options_take(&m.o, sizeof(m.o), opts))
		return error_set(error, -EINVAL,
		                 "msb_snapshot_opts: wrong size");
	m.meter = (struct snapshot_meter){
		.fn = m.o.event, .arg = m.o.event_arg, .name = name};
	r = create(&m, sandbox, &err);
	disks_sweep(home->store);
	return r < 0 ? error_return(error, r, &err) : 0;
}
