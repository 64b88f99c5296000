#include "call.h"

static VALUE exec_result(struct call *c)
{
	VALUE object = handle_wrap(HANDLE_EXEC, c->ret);

	c->ret = NULL;
	return object;
}

static void exec_drop(struct call *c)
{
	handle_drop(HANDLE_EXEC, c->ret);
}

static void exec_start(struct call *c)
{
	struct msb_exec *exec = NULL;

	c->r = lib.msb_exec_start(c->h, c->opts, &exec, &c->error);
	c->ret = exec;
}

static void exec_attach(struct call *c)
{
	struct msb_exec *exec = NULL;

	c->r = lib.msb_exec_attach(c->h, (uint64_t)c->n[0], &exec, &c->error);
	c->ret = exec;
}

static void exec_detach(struct call *c)
{
	c->r = lib.msb_exec_detach(c->h, &c->error);
}

static void exec_run(struct call *c)
{
	struct msb_output *output = NULL;

	c->r = lib.msb_exec_run(c->h, c->opts, c->data, c->len, (size_t)c->n[0],
	                        (int)c->n[1], &output, &c->error);
	c->ret = output;
}

static VALUE output_result(struct call *c)
{
	return hash_of(shape_find("msb_output"), c->ret);
}

static void output_drop(struct call *c)
{
	lib.msb_output_free(c->ret);
}

static void logs_open(struct call *c)
{
	struct msb_logs *logs = NULL;

	c->r = lib.msb_logs_open(c->h, c->s[0], c->opts, &logs, &c->error);
	c->ret = logs;
}

static VALUE logs_result(struct call *c)
{
	VALUE object = handle_wrap(HANDLE_LOGS, c->ret);

	c->ret = NULL;
	return object;
}

static void logs_drop(struct call *c)
{
	handle_drop(HANDLE_LOGS, c->ret);
}

const struct op exec_ops[] = {
	{"exec_start",    "So", exec_start, exec_result, exec_drop, NULL,
         "msb_exec_opts", NULL},
	{"exec_attach",     "Sq", exec_attach, exec_result, exec_drop, NULL, NULL,
         "command"},
	{"exec_detach",      "X", exec_detach, NULL, NULL, NULL, NULL, NULL},
	{"exec_run", "Sobqi", exec_run, output_result, output_drop, NULL,
         "msb_exec_opts", "command"},
	{"logs_open",               "Hso", logs_open, logs_result, logs_drop, NULL,
         "msb_log_opts", "sandbox"},
	{0      }
};
