#include "lib/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fdio.h"
#include "lib/error.h"
#include "lib/home.h"
#include "lib/life.h"
#include "lib/options.h"
#include "lib/root.h"

#include "base/banned.h"

/* The adapter between image.h's events and ours: the same, size for size. */
static int forward_event(void *arg, const struct image_event *ev)
{
	static const enum msb_pull_event_kind kinds[] = {
		[IMAGE_EV_RESOLVING] = MSB_PULL_RESOLVING,
		[IMAGE_EV_RESOLVED] = MSB_PULL_RESOLVED,
		[IMAGE_EV_LAYER] = MSB_PULL_LAYER,
		[IMAGE_EV_LAYER_DONE] = MSB_PULL_LAYER_DONE,
		[IMAGE_EV_MERGING] = MSB_PULL_MERGING,
		[IMAGE_EV_DONE] = MSB_PULL_DONE,
	};
	const struct lib_listener *l = arg;
	struct msb_pull_event out = {.kind = (int32_t)kinds[ev->kind],
	                             .reference = ev->ref,
	                             .digest = ev->digest,
	                             .layer = ev->layer,
	                             .layer_count = ev->nlayers,
	                             .done = ev->done,
	                             .total = ev->total,
	                             .cached = ev->cached};

	return l->fn(l->arg, &out);
}

void lib_listen(struct lib_listener *l, msb_pull_event_fn fn, void *arg,
                struct image_pull_opts *ret)
{
	*l = (struct lib_listener){fn, arg};
	ret->event = fn ? forward_event : NULL;
	ret->event_arg = l;
}

static int take_pull_opts(const struct msb_pull_opts *opts,
                          struct lib_listener *listener,
                          struct image_pull_opts *ret, struct err *err)
{
	static const enum image_pull_policy policies[] = {
		[MSB_PULL_MISSING] = IMAGE_PULL_MISSING,
		[MSB_PULL_ALWAYS] = IMAGE_PULL_ALWAYS,
		[MSB_PULL_NEVER] = IMAGE_PULL_NEVER,
	};
	struct msb_pull_opts o = MSB_PULL_OPTS_INIT;

	if (!options_take(&o, sizeof(o), opts))
		return err_set(err, -EINVAL, "msb_pull_opts: wrong size");
	if (o.policy < 0 || o.policy > MSB_PULL_NEVER)
		return err_set(err, -EINVAL, "no such pull policy: %d",
		               (int)o.policy);
	if (o.flags & ~(uint32_t)MSB_PULL_NO_LINKS)
		return err_set(err, -EINVAL, "msb_pull_opts: no such flag");
	*ret = (struct image_pull_opts){.policy = policies[o.policy],
	                                .force = o.force != 0,
	                                .insecure = o.insecure != 0,
	                                .ca_certs = o.ca_certs,
	                                .platform = o.platform,
	                                .downloads = o.downloads,
	                                .no_links =
	                                        o.flags & MSB_PULL_NO_LINKS};
	lib_listen(listener, o.event, o.event_arg, ret);
	return 0;
}

static const char *const *as_list(const struct strv *s)
{
	return (const char *const *)strv_list(s);
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

/* All strings of the info belong to the handle. */
static int fill_info(struct msb_image *h, bool folder)
{
	const struct image *i = &h->image;
	char text[DIGEST_TEXT_LEN + 1];

	h->layers = calloc((size_t)i->nlayers + 1, sizeof(*h->layers));
	if (!h->layers)
		return -ENOMEM;
	for (uint32_t n = 0; n < i->nlayers; n++) {
		h->layers[n] = strdup(digest_text(&i->diff_ids[n], text));
		if (!h->layers[n])
			return -ENOMEM;
	}
	if (!folder) {
		(void)digest_text(&i->manifest, h->id);
		(void)digest_text(&i->config_digest, h->config_digest);
	}
	h->info = (struct msb_image_info){
		.reference = or_empty(i->ref),
		.id = h->id,
		.platform = or_empty(i->platform),
		.size_bytes = i->size,
		.created_unix = i->created_unix,
		.pulled_unix = i->pulled_unix,
		.layer_count = i->nlayers,
		.layers = (const char *const *)h->layers,
		.entrypoint = as_list(&i->config.entrypoint),
		.cmd = as_list(&i->config.cmd),
		.env = as_list(&i->config.env),
		.workdir = or_empty(i->config.workdir),
		.user = or_empty(i->config.user),
		.stop_signal = or_empty(i->config.stop_signal),
		.config_json = or_empty(i->config_json),
		.config_digest = h->config_digest,
	};
	return 0;
}

static int open_folder(const char *path, bool no_links, struct err *err)
{
	const enum file_links links = no_links ? LINKS_NONE : LINKS_ANY;
	int fd = file_open(path, O_RDONLY | O_DIRECTORY, links);

	return fd < 0 ? err_set(err, fd, "cannot open %s: %s", path,
	                        file_open_text(fd, links))
	              : fd;
}

/*
 * A folder that is not an OCI layout is a root file system. Of what cannot be
 * opened, who opens it as something else says why; but not of a link.
 */
static int is_root_folder(const char *path, bool no_links, struct err *err)
{
	struct err why = {0};
	cleanup_close int fd = open_folder(path, no_links, &why);

	if (fd == -ELOOP) {
		*err = why;
		return fd;
	}

	return fd >= 0 && faccessat(fd, "oci-layout", F_OK, 0) < 0 &&
	       faccessat(fd, "index.json", F_OK, 0) < 0;
}

static int pack_folder(struct store *s, const char *path, bool no_links,
                       struct image *ret, struct err *err)
{
	cleanup_close int fd = open_folder(path, no_links, err);
	struct digest chain;
	int r;

	if (fd < 0)
		return fd;
	r = rootfs_pack_dir(s, fd, &chain, err);
	if (r < 0)
		return r;
	*ret = (struct image){.chain_id = chain, .ref = strdup(path)};
	return ret->ref ? 0 : -ENOMEM;
}

/* Checked by take_pull_opts(). */
static bool wants_live(const struct msb_pull_opts *opts)
{
	struct msb_pull_opts o = MSB_PULL_OPTS_INIT;

	return options_take(&o, sizeof(o), opts) && o.root == MSB_ROOT_LIVE;
}

/* Nothing of it goes into the store. */
static int look_at(struct msb_image *h, const char *reference, bool no_links,
                   int (*look)(const char *, bool, struct root_source *,
                               struct err *),
                   struct err *err)
{
	int r = look(reference, no_links, &h->root, err);

	if (r < 0)
		return r;
	h->image.ref = strdup(h->root.path);
	return h->image.ref ? fill_info(h, true) : -ENOMEM;
}

static int pull(struct store *s, const char *reference,
                const struct msb_pull_opts *opts, struct msb_image *h,
                struct err *err)
{
	struct image_pull_opts po;
	struct lib_listener listener;
	const bool is_path = image_ref_is_path(reference);
	int r = take_pull_opts(opts, &listener, &po, err);
	int folder;

	if (r < 0)
		return r;
	if (is_path && root_is_disk(reference))
		return look_at(h, reference, po.no_links, root_look_disk, err);
	folder = is_path ? is_root_folder(reference, po.no_links, err) : 0;
	if (folder < 0)
		return folder;
	if (wants_live(opts)) {
		if (folder)
			return look_at(h, reference, po.no_links,
			               root_look_live, err);
		return err_set(err, -EINVAL,
		               "%s is not a folder with a root file system",
		               reference);
	}
	if (folder) {
		r = pack_folder(s, reference, po.no_links, &h->image, err);
		return r < 0 ? r : fill_info(h, true);
	}
	r = image_pull(s, reference, &po, &h->image, err);
	return r < 0 ? r : fill_info(h, false);
}

int msb_image_pull(struct msb_home *home, const char *reference,
                   const struct msb_pull_opts *opts,
                   struct msb_image **ret_image, struct msb_error *error)
{
	struct msb_image *h;
	struct err err = {0};
	int r;

	if (!reference || !*reference)
		return error_set(error, -EINVAL, "no image was named");
	h = calloc(1, sizeof(*h));
	if (!h)
		return error_return(error, -ENOMEM, NULL);
	r = pull(home->store, reference, opts, h, &err);
	if (r < 0) {
		msb_image_free(h);
		return error_return(error, r, &err);
	}
	*ret_image = h;
	return 0;
}

int msb_image_load(struct msb_home *home, const char *path, const char *tag,
                   const struct msb_pull_opts *opts, char ***ret_references,
                   struct msb_error *error)
{
	struct image_pull_opts po;
	struct lib_listener listener;
	struct strv refs = {0};
	struct err err = {0};
	int r = take_pull_opts(opts, &listener, &po, &err);

	if (r == 0)
		r = image_load(home->store, path, tag, &po, &refs, &err);
	if (r == 0 && !refs.v) {
		refs.v = calloc(1, sizeof(*refs.v));
		r = refs.v ? 0 : -ENOMEM;
	}
	if (r < 0) {
		strv_release(&refs);
		return error_return(error, r, &err);
	}
	*ret_references = refs.v;
	return 0;
}

void msb_strings_free(char **list)
{
	for (char **p = list; p && *p; p++)
		free(*p);
	free(list);
}

int msb_image_open(struct msb_home *home, const char *reference,
                   struct msb_image **ret_image, struct msb_error *error)
{
	struct msb_image *h = calloc(1, sizeof(*h));
	struct err err = {0};
	int r;

	if (!h)
		return error_return(error, -ENOMEM, NULL);
	r = image_find(home->store, reference, &h->image, &err);
	if (r == 0)
		r = fill_info(h, false);
	if (r < 0) {
		msb_image_free(h);
		return error_return(error, r, &err);
	}
	*ret_image = h;
	return 0;
}

struct msb_image *lib_image_new(struct image *image)
{
	struct msb_image *h = calloc(1, sizeof(*h));

	if (h) {
		h->image = *image;
		*image = (struct image){0};
	}
	if (h && fill_info(h, !h->image.config_json) == 0)
		return h;
	msb_image_free(h);
	image_release(image);
	return NULL;
}

/* Takes what is in @images; what is not taken is released by the caller. */
static int wrap_all(struct image *images, uint32_t n, struct msb_image **list)
{
	for (uint32_t i = 0; i < n; i++) {
		int r;

		list[i] = calloc(1, sizeof(**list));
		if (!list[i])
			return -ENOMEM;
		list[i]->image = images[i];
		images[i] = (struct image){0};
		r = fill_info(list[i], false);
		if (r < 0)
			return r;
	}
	return 0;
}

int msb_image_list(struct msb_home *home, struct msb_image ***ret_list,
                   size_t *ret_count, struct msb_error *error)
{
	struct image *images = NULL;
	struct msb_image **list;
	struct err err = {0};
	uint32_t n = 0;
	int r = image_list(home->store, &images, &n, &err);

	if (r < 0)
		return error_return(error, r, &err);
	list = calloc((size_t)n + 1, sizeof(struct msb_image *));
	r = list ? wrap_all(images, n, list) : -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		image_release(&images[i]);
	free(images);
	if (r < 0) {
		msb_image_list_free(list, list ? n : 0);
		return error_return(error, r, NULL);
	}
	*ret_list = list;
	*ret_count = n;
	return 0;
}

void msb_image_list_free(struct msb_image **list, size_t count)
{
	for (size_t i = 0; list && i < count; i++)
		msb_image_free(list[i]);
	free(list);
}

void msb_image_free(struct msb_image *h)
{
	if (!h)
		return;
	msb_strings_free(h->layers);
	image_release(&h->image);
	root_source_release(&h->root);
	free(h);
}

const struct msb_image_info *msb_image_info(const struct msb_image *image)
{
	return &image->info;
}

int msb_image_remove(struct msb_home *home, const char *reference,
                     struct msb_error *error)
{
	struct err err = {0};
	int r = image_remove(home->store, reference, &err);

	return r < 0 ? error_return(error, r, &err) : 0;
}

static int find_users(struct msb_home *home, const char *id, struct strv *users,
                      struct err *err)
{
	struct state_sandbox *list = NULL;
	struct state *st;
	size_t n = 0;
	int r = home_lock(home, &st, err);

	if (r < 0)
		return r;
	r = state_list(st, NULL, &list, &n, err);
	home_unlock(home);
	for (size_t i = 0; r == 0 && i < n; i++)
		if (strcmp(list[i].image_id, id) == 0)
			r = strv_add(users, list[i].name);
	state_list_free(list, n);
	return r;
}

int msb_image_users(struct msb_home *home, const char *reference,
                    char ***ret_names, struct msb_error *error)
{
	struct image cleanup(image_release) image = {0};
	struct strv cleanup_strv users = {0};
	char id[DIGEST_TEXT_LEN + 1];
	struct err err = {0};
	int r = image_find(home->store, reference, &image, &err);

	if (r == 0) {
		life_reap(home);
		r = find_users(home, digest_text(&image.manifest, id), &users,
		               &err);
	}
	if (r == 0 && !users.v) {
		users.v = calloc(1, sizeof(*users.v));
		r = users.v ? 0 : -ENOMEM;
	}
	if (r < 0)
		return error_return(error, r, &err);
	*ret_names = users.v;
	users = (struct strv){0};
	return 0;
}

int msb_image_prune(struct msb_home *home, int all, uint64_t *ret_freed_bytes,
                    uint32_t *ret_removed_references, struct msb_error *error)
{
	struct err err = {0};
	uint64_t freed = 0;
	uint32_t removed = 0;
	int r = image_gc(home->store, all != 0, &freed, &removed, &err);

	if (r < 0)
		return error_return(error, r, &err);
	*ret_freed_bytes = freed;
	*ret_removed_references = removed;
	return 0;
}

int lib_image_open_root(struct store *s, const struct image *image,
                        struct rootfs *ret, struct err *err)
{
	struct digest chain;
	int r = rootfs_open(s, &image->chain_id, ret, err);

	if (r != -ENOENT || image->nlayers == 0)
		return r;
	r = rootfs_build(s, image->diff_ids, image->nlayers, &chain, err);
	return r < 0 ? r : rootfs_open(s, &chain, ret, err);
}
