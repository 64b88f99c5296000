#include "call.h"

/* ---- home -------------------------------------------------------------- */

static void home_open(struct call *c)
{
	struct msb_home *home = NULL;

	c->r = lib.msb_home_open(c->s[0], &home, &c->error);
	c->ret = home;
}

static VALUE home_result(struct call *c)
{
	VALUE object = handle_wrap(HANDLE_HOME, c->ret);

	c->ret = NULL;
	return object;
}

static void home_drop(struct call *c)
{
	handle_drop(HANDLE_HOME, c->ret);
}

/* ---- images ------------------------------------------------------------ */

static VALUE image_result(struct call *c)
{
	VALUE object = handle_wrap(HANDLE_IMAGE, c->ret);

	c->ret = NULL;
	return object;
}

static void image_drop(struct call *c)
{
	handle_drop(HANDLE_IMAGE, c->ret);
}

static void image_pull(struct call *c)
{
	struct msb_pull_opts *opts = c->opts;
	struct msb_image *image = NULL;

	opts->event = call_pull_event;
	opts->event_arg = c;
	c->r = lib.msb_image_pull(c->h, c->s[0], opts, &image, &c->error);
	c->ret = image;
}

static void image_open(struct call *c)
{
	struct msb_image *image = NULL;

	c->r = lib.msb_image_open(c->h, c->s[0], &image, &c->error);
	c->ret = image;
}

static void image_load(struct call *c)
{
	struct msb_pull_opts *opts = c->opts;
	char **references = NULL;

	opts->event = call_pull_event;
	opts->event_arg = c;
	c->r = lib.msb_image_load(c->h, c->s[0], c->s[1], opts, &references,
	                          &c->error);
	c->ret = references;
}

static void image_list(struct call *c)
{
	struct msb_image **list = NULL;

	c->r = lib.msb_image_list(c->h, &list, &c->count, &c->error);
	c->ret = list;
}

static VALUE image_list_result(struct call *c)
{
	const struct shape *shape = shape_find("msb_image_info");
	struct msb_image **list = c->ret;
	VALUE array = rb_ary_new();

	for (size_t i = 0; i < c->count; i++)
		rb_ary_push(array, hash_of(shape, lib.msb_image_info(list[i])));
	return array;
}

static void image_list_drop(struct call *c)
{
	if (c->ret)
		lib.msb_image_list_free(c->ret, c->count);
}

static void image_remove(struct call *c)
{
	c->r = lib.msb_image_remove(c->h, c->s[0], &c->error);
}

static void image_users(struct call *c)
{
	char **names = NULL;

	c->r = lib.msb_image_users(c->h, c->s[0], &names, &c->error);
	c->ret = names;
}

static void image_prune(struct call *c)
{
	uint32_t removed = 0;

	c->r = lib.msb_image_prune(c->h, (int)c->n[0], &c->number, &removed,
	                           &c->error);
	c->number2 = removed;
}

static VALUE prune_result(struct call *c)
{
	return rb_assoc_new(ULL2NUM(c->number), ULL2NUM(c->number2));
}

static void image_save(struct call *c)
{
	static const char *const none[] = {NULL};
	struct msb_save_opts *opts = c->opts;

	opts->event = call_pull_event;
	opts->event_arg = c;
	c->r = lib.msb_image_save(c->h, c->list ? c->list : none, opts, c->s[0],
	                          &c->error);
}

static void image_commit(struct call *c)
{
	c->r = lib.msb_image_commit(c->h, c->s[0], c->s[1], c->opts,
	                            &c->ret_text, &c->error);
}

static void snapshot_image(struct call *c)
{
	struct msb_image *image = NULL;

	c->r = lib.msb_snapshot_image(c->h, c->s[0], &image, &c->error);
	c->ret = image;
}

const struct op image_ops[] = {
	{"home_open",   "z", home_open, home_result, home_drop, NULL, NULL, NULL},
	{"image_pull",    "Hso", image_pull, image_result, image_drop, NULL,
         "msb_pull_opts", "image"},
	{"image_open",    "Hs", image_open, image_result, image_drop, NULL, NULL,
         "image"},
	{"image_load",         "Hszo", image_load, result_strings, drop_strings, NULL,
         "msb_pull_opts", NULL},
	{"image_list",             "H", image_list, image_list_result, image_list_drop,
         NULL, NULL, NULL},
	{"image_remove",     "Hs", image_remove, NULL, NULL, NULL, NULL, "image"},
	{"image_users", "Hs", image_users, result_strings, drop_strings, NULL,
         NULL, "image"},
	{"image_prune",         "Hu", image_prune, prune_result, NULL, NULL, NULL,
         NULL},
	{"image_save",      "Hlso", image_save, NULL, NULL, NULL, "msb_save_opts",
         "image"},
	{"image_commit",  "Hsso", image_commit, result_text, drop_text, NULL,
         "msb_commit_opts", "sandbox"},
	{"snapshot_image",   "Hs", snapshot_image, image_result, image_drop, NULL,
         NULL, "snapshot"},
	{0  }
};
