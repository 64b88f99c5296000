#include "call.h"

#include <stdio.h>

static VALUE sandbox_result(struct call *c)
{
	VALUE object;

	if (!c->ret)
		return Qnil; /* only on record */
	object = handle_wrap(HANDLE_SANDBOX, c->ret);
	c->ret = NULL;
	return object;
}

static void sandbox_drop(struct call *c)
{
	handle_drop(HANDLE_SANDBOX, c->ret);
}

static void sandbox_create(struct call *c)
{
	struct msb_sandbox *sb = NULL;

	c->r = lib.msb_sandbox_create(c->h, c->opts, &sb, &c->error);
	c->ret = sb;
}

/*
 * Made, and then nobody wanted it: it would stay on record. Where only the
 * record was made its name is what was asked for.
 */
static void sandbox_undo(struct call *c)
{
	const struct msb_sandbox_opts *opts = c->opts;
	struct msb_sandbox *sb = c->ret;
	char id[64] = "";

	if (sb)
		(void)snprintf(id, sizeof(id), "%s", lib.msb_sandbox_id(sb));
	lib.msb_sandbox_free(sb);
	c->ret = NULL;
	if (id[0])
		(void)lib.msb_sandbox_remove(c->h, id, MSB_REMOVE_FORCE, NULL);
	else if (opts->name)
		(void)lib.msb_sandbox_remove(c->h, opts->name, 0, NULL);
}

static void sandbox_start(struct call *c)
{
	struct msb_sandbox *sb = NULL;

	c->r = lib.msb_sandbox_start(c->h, c->s[0], c->opts, &sb, &c->error);
	c->ret = sb;
}

static void sandbox_open(struct call *c)
{
	struct msb_sandbox *sb = NULL;

	c->r = lib.msb_sandbox_open(c->h, c->s[0], &sb, &c->error);
	c->ret = sb;
}

static void sandbox_restart(struct call *c)
{
	struct msb_sandbox *sb = NULL;

	c->r = lib.msb_sandbox_restart(c->h, c->s[0], (uint32_t)c->n[0],
	                               c->opts, &sb, &c->error);
	c->ret = sb;
}

static void sandbox_run_main(struct call *c)
{
	c->r = lib.msb_sandbox_run_main(c->h, &c->error);
}

static void sandbox_detach(struct call *c)
{
	c->r = lib.msb_sandbox_detach(c->h, &c->error);
}

static void sandbox_wait_ready(struct call *c)
{
	c->r = lib.msb_sandbox_wait_ready(c->h, (int)c->n[0], &c->error);
}

static void sandbox_stop(struct call *c)
{
	c->r = lib.msb_sandbox_stop(c->h, (uint32_t)c->n[0], &c->error);
}

static void sandbox_kill(struct call *c)
{
	c->r = lib.msb_sandbox_kill(c->h, &c->error);
}

static void sandbox_wait(struct call *c)
{
	c->r = lib.msb_sandbox_wait(c->h, (int)c->n[0], &c->error);
}

static void sandbox_touch(struct call *c)
{
	c->r = lib.msb_sandbox_touch(c->h, &c->error);
}

static void sandbox_ping(struct call *c)
{
	c->r = lib.msb_sandbox_ping(c->h, (int)c->n[0], &c->number, &c->error);
}

static VALUE number_result(struct call *c)
{
	return ULL2NUM(c->number);
}

static void sandbox_metrics(struct call *c)
{
	c->out.metrics.size = sizeof(c->out.metrics);
	c->r = lib.msb_sandbox_metrics(c->h, &c->out.metrics, &c->error);
}

static VALUE metrics_result(struct call *c)
{
	return hash_of(shape_find("msb_metrics"), &c->out.metrics);
}

/* ---- on record --------------------------------------------------------- */

static void sandbox_inspect(struct call *c)
{
	struct msb_sandbox_info *info = NULL;

	c->r = lib.msb_sandbox_inspect(c->h, c->s[0], &info, &c->error);
	c->ret = info;
}

static VALUE inspect_result(struct call *c)
{
	return hash_of(shape_find("msb_sandbox_info"), c->ret);
}

static void inspect_drop(struct call *c)
{
	lib.msb_sandbox_info_free(c->ret);
}

static void sandbox_list(struct call *c)
{
	struct msb_sandbox_list *list = NULL;

	c->r = lib.msb_sandbox_list(c->h, c->list, &list, &c->error);
	c->ret = list;
}

static VALUE list_result(struct call *c)
{
	const struct shape *shape = shape_find("msb_sandbox_info");
	size_t count = lib.msb_sandbox_list_count(c->ret);
	VALUE array = rb_ary_new();

	for (size_t i = 0; i < count; i++)
		rb_ary_push(array, hash_of(shape, lib.msb_sandbox_list_get(
							  c->ret, i)));
	return array;
}

static void list_drop(struct call *c)
{
	lib.msb_sandbox_list_free(c->ret);
}

static void sandbox_remove(struct call *c)
{
	c->r = lib.msb_sandbox_remove(c->h, c->s[0], (uint32_t)c->n[0],
	                              &c->error);
}

static void sandbox_modify(struct call *c)
{
	struct msb_plan *plan = NULL;

	c->r = lib.msb_sandbox_modify(c->h, c->s[0], c->opts, &plan, &c->error);
	c->ret = plan;
}

static void sandbox_pending(struct call *c)
{
	struct msb_plan *plan = NULL;

	c->r = lib.msb_sandbox_pending(c->h, c->s[0], &plan, &c->error);
	c->ret = plan;
}

static VALUE plan_result(struct call *c)
{
	const struct shape *shape = shape_find("msb_change");
	size_t count = lib.msb_plan_count(c->ret);
	VALUE array = rb_ary_new();

	for (size_t i = 0; i < count; i++)
		rb_ary_push(array, hash_of(shape, lib.msb_plan_get(c->ret, i)));
	return array;
}

static void plan_drop(struct call *c)
{
	lib.msb_plan_free(c->ret);
}

/* ---- network ----------------------------------------------------------- */

static void sandbox_ports(struct call *c)
{
	c->r = lib.msb_sandbox_ports(c->h, c->s[0], &c->ret_text, &c->error);
}

static void net_explain(struct call *c)
{
	c->r = lib.msb_net_explain(c->h, c->s[0], c->s[1], (uint16_t)c->n[0],
	                           c->s[2], &c->ret_text, &c->error);
}

static void net_rules(struct call *c)
{
	c->r = lib.msb_net_rules(c->h, c->s[0], &c->ret_text, &c->error);
}

#define ONE "sandbox"
const struct op sandbox_ops[] = {
	{"sandbox_create",    "Ho", sandbox_create, sandbox_result, sandbox_drop,
         sandbox_undo, "msb_sandbox_opts", ONE},
	{"sandbox_start",     "Hso", sandbox_start, sandbox_result, sandbox_drop,
         NULL, "msb_start_opts", ONE},
	{"sandbox_open",       "Hs", sandbox_open, sandbox_result, sandbox_drop, NULL,
         NULL, ONE},
	{"sandbox_restart", "Hsuo", sandbox_restart, sandbox_result,
         sandbox_drop, NULL, "msb_start_opts", ONE},
	{"sandbox_run_main",                   "S", sandbox_run_main, NULL, NULL, NULL, NULL,
         NULL},
	{"sandbox_detach",          "S", sandbox_detach, NULL, NULL, NULL, NULL, NULL},
	{"sandbox_wait_ready",     "Si", sandbox_wait_ready, NULL, NULL, NULL, NULL,
         NULL},
	{"sandbox_stop",                "Su", sandbox_stop, NULL, NULL, NULL, NULL, NULL},
	{"sandbox_kill",                "S", sandbox_kill, NULL, NULL, NULL, NULL, NULL},
	{"sandbox_wait",      "Si", sandbox_wait, NULL, NULL, NULL, NULL, NULL},
	{"sandbox_touch",       "S", sandbox_touch, NULL, NULL, NULL, NULL, NULL},
	{"sandbox_ping",       "Si", sandbox_ping, number_result, NULL, NULL, NULL,
         NULL},
	{"sandbox_metrics",                "S", sandbox_metrics, metrics_result, NULL, NULL,
         NULL, NULL},
	{"sandbox_inspect",                   "Hs", sandbox_inspect, inspect_result, inspect_drop,
         NULL, NULL, ONE},
	{"sandbox_list",             "Hl", sandbox_list, list_result, list_drop, NULL, NULL,
         ONE},
	{"sandbox_remove",     "Hsu", sandbox_remove, NULL, NULL, NULL, NULL, ONE},
	{"sandbox_modify",               "Hso", sandbox_modify, plan_result, plan_drop, NULL,
         "msb_modify_opts", ONE},
	{"sandbox_pending",                "Hs", sandbox_pending, plan_result, plan_drop, NULL,
         NULL, ONE},
	{"sandbox_ports",  "Hs", sandbox_ports, result_text, drop_text, NULL,
         NULL, ONE},
	{"net_explain",   "Hsspz", net_explain, result_text, drop_text, NULL,
         NULL, ONE},
	{"net_rules",               "Hs", net_rules, result_text, drop_text, NULL, NULL, ONE},
	{0	      }
};
