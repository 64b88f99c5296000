#include "call.h"

/* ---- volumes ----------------------------------------------------------- */

static void volume_create(struct call *c)
{
	c->r = lib.msb_volume_create(c->h, c->s[0], c->opts, &c->error);
}

static void volume_list(struct call *c)
{
	struct msb_volumes *list = NULL;

	c->r = lib.msb_volume_list(c->h, c->s[0], &list, &c->error);
	c->ret = list;
}

static VALUE volumes_result(struct call *c)
{
	const struct shape *shape = shape_find("msb_volume_info");
	size_t count = lib.msb_volumes_count(c->ret);
	VALUE array = rb_ary_new();

	for (size_t i = 0; i < count; i++)
		rb_ary_push(array,
		            hash_of(shape, lib.msb_volumes_get(c->ret, i)));
	return array;
}

static void volumes_drop(struct call *c)
{
	lib.msb_volumes_free(c->ret);
}

static void volume_remove(struct call *c)
{
	c->r = lib.msb_volume_remove(c->h, c->s[0], (int)c->n[0], &c->error);
}

static void volume_prune(struct call *c)
{
	char **names = NULL;

	c->r = lib.msb_volume_prune(c->h, &names, &c->number, &c->error);
	c->ret = names;
}

static VALUE volume_prune_result(struct call *c)
{
	return rb_assoc_new(result_strings(c), ULL2NUM(c->number));
}

/* ---- snapshots --------------------------------------------------------- */

static void snapshot_create(struct call *c)
{
	struct msb_snapshot_opts *opts = c->opts;

	opts->event = call_copy_event;
	opts->event_arg = c;
	c->r = lib.msb_snapshot_create(c->h, c->s[0], c->s[1], opts, &c->error);
}

static void snapshot_list(struct call *c)
{
	struct msb_snapshots *list = NULL;

	c->r = lib.msb_snapshot_list(c->h, c->s[0], &list, &c->error);
	c->ret = list;
}

static VALUE snapshots_result(struct call *c)
{
	const struct shape *shape = shape_find("msb_snapshot_info");
	size_t count = lib.msb_snapshots_count(c->ret);
	VALUE array = rb_ary_new();

	for (size_t i = 0; i < count; i++)
		rb_ary_push(array,
		            hash_of(shape, lib.msb_snapshots_get(c->ret, i)));
	return array;
}

static void snapshots_drop(struct call *c)
{
	lib.msb_snapshots_free(c->ret);
}

static void snapshot_verify(struct call *c)
{
	c->r = lib.msb_snapshot_verify(c->h, c->s[0], &c->error);
}

static void snapshot_remove(struct call *c)
{
	c->r = lib.msb_snapshot_remove(c->h, c->s[0], &c->error);
}

static void snapshot_save(struct call *c)
{
	c->r = lib.msb_snapshot_save(c->h, c->s[0], c->s[1], (uint32_t)c->n[0],
	                             &c->error);
}

static void snapshot_load(struct call *c)
{
	c->r = lib.msb_snapshot_load(c->h, c->s[0], c->s[1], &c->ret_text,
	                             &c->error);
}

/* ---- the host ---------------------------------------------------------- */

static void doctor(struct call *c)
{
	struct msb_report *report = NULL;

	c->r = lib.msb_doctor(c->s[0], &report, &c->error);
	c->ret = report;
}

static VALUE doctor_result(struct call *c)
{
	const struct shape *shape = shape_find("msb_check");
	size_t count = lib.msb_report_count(c->ret);
	VALUE array = rb_ary_new();

	for (size_t i = 0; i < count; i++)
		rb_ary_push(array,
		            hash_of(shape, lib.msb_report_get(c->ret, i)));
	return array;
}

static void doctor_drop(struct call *c)
{
	lib.msb_report_free(c->ret);
}

static void repair(struct call *c)
{
	char **done = NULL;

	c->r = lib.msb_repair(c->s[0], (int)c->n[0], &done, &c->error);
	c->ret = done;
}

const struct op store_ops[] = {
	{"volume_create",   "Hso", volume_create, NULL, NULL, NULL,
         "msb_volume_opts", "volume"},
	{"volume_list",    "Hz", volume_list, volumes_result, volumes_drop, NULL,
         NULL, "volume"},
	{"volume_remove",             "Hsu", volume_remove, NULL, NULL, NULL, NULL,
         "volume"},
	{"volume_prune", "H", volume_prune, volume_prune_result, drop_strings,
         NULL, NULL, "volume"},
	{"snapshot_create",                 "Hsso", snapshot_create, NULL, NULL, NULL,
         "msb_snapshot_opts", "snapshot"},
	{"snapshot_list",          "Hz", snapshot_list, snapshots_result, snapshots_drop,
         NULL, NULL, "snapshot"},
	{"snapshot_verify",   "Hs", snapshot_verify, NULL, NULL, NULL, NULL,
         "snapshot"},
	{"snapshot_remove",             "Hs", snapshot_remove, NULL, NULL, NULL, NULL,
         "snapshot"},
	{"snapshot_save",         "Hssu", snapshot_save, NULL, NULL, NULL, NULL,
         "snapshot"},
	{"snapshot_load",   "Hsz", snapshot_load, result_text, drop_text, NULL,
         NULL, "snapshot"},
	{"doctor",    "z", doctor, doctor_result, doctor_drop, NULL, NULL, NULL},
	{"repair",             "zu", repair, result_strings, drop_strings, NULL, NULL,
         NULL},
	{0	    }
};
