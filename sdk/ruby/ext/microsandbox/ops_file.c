#include "call.h"

#include <stdlib.h>

/* More at once is no faster, and a program may ask for any number. */
#define PIECE_MAX (1 << 20)

/*
 * The strings of the answer live as long as the thread does no other: it is
 * copied while it is in that thread.
 */
static void file_stat(struct call *c)
{
	c->out.file.size = sizeof(c->out.file);
	c->r = lib.msb_file_stat(c->h, c->s[0], (uint32_t)c->n[0], &c->out.file,
	                         &c->error);
	if (c->r >= 0)
		c->ret = shape_copy(shape_find("msb_file_info"), &c->out.file);
}

static VALUE stat_result(struct call *c)
{
	return hash_of(shape_find("msb_file_info"), c->ret);
}

static void stat_drop(struct call *c)
{
	shape_free(shape_find("msb_file_info"), c->ret);
}

static void file_list(struct call *c)
{
	struct msb_file_list *list = NULL;

	c->r = lib.msb_file_list(c->h, c->s[0], &list, &c->error);
	c->ret = list;
}

static VALUE list_result(struct call *c)
{
	const struct shape *shape = shape_find("msb_file_info");
	size_t count = lib.msb_file_list_count(c->ret);
	VALUE array = rb_ary_new();

	for (size_t i = 0; i < count; i++)
		rb_ary_push(array,
		            hash_of(shape, lib.msb_file_list_get(c->ret, i)));
	return array;
}

static void list_drop(struct call *c)
{
	lib.msb_file_list_free(c->ret);
}

static void file_mkdir(struct call *c)
{
	c->r = lib.msb_file_mkdir(c->h, c->s[0], (uint32_t)c->n[0],
	                          (uint32_t)c->n[1], &c->error);
}

static void file_remove(struct call *c)
{
	c->r = lib.msb_file_remove(c->h, c->s[0], (uint32_t)c->n[0], &c->error);
}

static void file_rename(struct call *c)
{
	c->r = lib.msb_file_rename(c->h, c->s[0], c->s[1], (uint32_t)c->n[0],
	                           &c->error);
}

static void file_chmod(struct call *c)
{
	c->r = lib.msb_file_chmod(c->h, c->s[0], (uint32_t)c->n[0], &c->error);
}

static void file_chown(struct call *c)
{
	c->r = lib.msb_file_chown(c->h, c->s[0], (uint32_t)c->n[0],
	                          (uint32_t)c->n[1], (uint32_t)c->n[2],
	                          &c->error);
}

static void file_symlink(struct call *c)
{
	c->r = lib.msb_file_symlink(c->h, c->s[0], c->s[1], &c->error);
}

static void file_copy(struct call *c)
{
	c->r = lib.msb_file_copy(c->h, c->s[0], c->s[1], &c->error);
}

static void file_read(struct call *c)
{
	c->r = lib.msb_file_read(c->h, c->s[0], (size_t)c->n[0], &c->ret,
	                         &c->count, &c->error);
}

static VALUE bytes_result(struct call *c)
{
	return rb_str_new(c->ret, (long)c->count);
}

static void bytes_drop(struct call *c)
{
	lib.msb_free(c->ret);
}

static void file_write(struct call *c)
{
	c->r = lib.msb_file_write(c->h, c->s[0], c->data, c->len,
	                          (uint32_t)c->n[0], (uint32_t)c->n[1],
	                          &c->error);
}

/* ---- in pieces --------------------------------------------------------- */

static void file_open(struct call *c)
{
	struct msb_file *file = NULL;

	c->r = lib.msb_file_open(c->h, c->s[0], c->opts, &file, &c->error);
	c->ret = file;
}

static VALUE file_result(struct call *c)
{
	VALUE object = handle_wrap(HANDLE_FILE, c->ret);

	c->ret = NULL;
	return object;
}

static void file_drop(struct call *c)
{
	handle_drop(HANDLE_FILE, c->ret);
}

static void file_get(struct call *c)
{
	size_t size = c->n[0] < PIECE_MAX ? (size_t)c->n[0] : PIECE_MAX;

	c->ret = malloc(size + 1);
	if (!c->ret) {
		c->error.code = MSB_ERR_NO_MEMORY;
		c->r = -MSB_ERR_NO_MEMORY;
		return;
	}
	c->r = lib.msb_file_get(c->h, c->ret, size, &c->error);
	c->count = c->r > 0 ? (size_t)c->r : 0;
}

/* nil at the end */
static VALUE piece_result(struct call *c)
{
	return c->r > 0 ? rb_str_new(c->ret, (long)c->count) : Qnil;
}

static void piece_drop(struct call *c)
{
	free(c->ret);
}

static void file_put(struct call *c)
{
	c->r = lib.msb_file_put(c->h, c->data, c->len, &c->error);
}

static void file_finish(struct call *c)
{
	c->r = lib.msb_file_finish(c->h, &c->error);
}

/* ---- trees ------------------------------------------------------------- */

static struct msb_copy_opts *with_events(struct call *c)
{
	struct msb_copy_opts *opts = c->opts;

	opts->event = call_copy_event;
	opts->event_arg = c;
	return opts;
}

static void copy_in(struct call *c)
{
	c->r = lib.msb_copy_in(c->h, c->s[0], c->s[1], with_events(c),
	                       &c->error);
}

static void copy_out(struct call *c)
{
	c->r = lib.msb_copy_out(c->h, c->s[0], c->s[1], with_events(c),
	                        &c->error);
}

static void copy_in_tar(struct call *c)
{
	c->r = lib.msb_copy_in_tar(c->h, (int)c->n[0], c->s[0], with_events(c),
	                           &c->error);
}

static void copy_out_tar(struct call *c)
{
	c->r = lib.msb_copy_out_tar(c->h, c->s[0], (int)c->n[0], with_events(c),
	                            &c->error);
}

static void copy_across(struct call *c)
{
	c->r = lib.msb_copy_across(c->h, c->s[0], c->h2, c->s[1],
	                           with_events(c), &c->error);
}

#define FILE_OP(name, args, result, drop, opts)                                \
	{                                                                      \
#name, args, name, result, drop, NULL, opts, "path"            \
	}
const struct op file_ops[] = {
	FILE_OP(file_stat, "Ssu", stat_result, stat_drop, NULL),
	FILE_OP(file_list, "Ss", list_result, list_drop, NULL),
	FILE_OP(file_mkdir, "Ssuu", NULL, NULL, NULL),
	FILE_OP(file_remove, "Ssu", NULL, NULL, NULL),
	FILE_OP(file_rename, "Sssu", NULL, NULL, NULL),
	FILE_OP(file_chmod, "Ssu", NULL, NULL, NULL),
	FILE_OP(file_chown, "Ssuuu", NULL, NULL, NULL),
	FILE_OP(file_symlink, "Sss", NULL, NULL, NULL),
	FILE_OP(file_copy, "Sss", NULL, NULL, NULL),
	FILE_OP(file_read, "Ssq", bytes_result, bytes_drop, NULL),
	FILE_OP(file_write, "Ssbuu", NULL, NULL, NULL),
	FILE_OP(file_open, "Sso", file_result, file_drop, "msb_file_opts"),
	FILE_OP(file_get, "Fq", piece_result, piece_drop, NULL),
	FILE_OP(file_put, "Fb", NULL, NULL, NULL),
	FILE_OP(file_finish, "F", NULL, NULL, NULL),
	FILE_OP(copy_in, "Ssso", NULL, NULL, "msb_copy_opts"),
	FILE_OP(copy_out, "Ssso", NULL, NULL, "msb_copy_opts"),
	FILE_OP(copy_in_tar, "Sdso", NULL, NULL, "msb_copy_opts"),
	FILE_OP(copy_out_tar, "Ssdo", NULL, NULL, "msb_copy_opts"),
	FILE_OP(copy_across, "SsSso", NULL, NULL, "msb_copy_opts"),
	{0}};
