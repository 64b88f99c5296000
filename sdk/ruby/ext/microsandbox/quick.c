/*
 * Calls that never wait, made at once under Ruby's lock; and events of
 * commands and logs, that are waited for on their descriptors.
 */
#include "call.h"

#include <time.h>

static void check(int64_t r, const struct msb_error *error)
{
	if (r < 0)
		call_raise(error, NULL, Qnil);
}

static VALUE native_version(VALUE self)
{
	call_need_library();
	return text_of(lib.msb_version());
}

static VALUE native_code_name(VALUE self, VALUE code)
{
	call_need_library();
	return text_of(lib.msb_code_name(
		(int32_t)check_integer(code, INT32_MIN, INT32_MAX, "code")));
}

static VALUE native_state_name(VALUE self, VALUE state)
{
	call_need_library();
	return text_of(lib.msb_state_name(
		(int32_t)check_integer(state, INT32_MIN, INT32_MAX, "state")));
}

static VALUE home_path(VALUE self)
{
	return text_of(lib.msb_home_path(handle_get(self, HANDLE_HOME)->ptr));
}

static VALUE image_info(VALUE self)
{
	return hash_of(shape_find("msb_image_info"),
	               lib.msb_image_info(handle_get(self, HANDLE_IMAGE)->ptr));
}

/* ---- sandboxes --------------------------------------------------------- */

static struct msb_sandbox *sandbox_of(VALUE self)
{
	return handle_get(self, HANDLE_SANDBOX)->ptr;
}

static VALUE sandbox_name(VALUE self)
{
	return text_of(lib.msb_sandbox_name(sandbox_of(self)));
}

static VALUE sandbox_id(VALUE self)
{
	return text_of(lib.msb_sandbox_id(sandbox_of(self)));
}

static VALUE sandbox_state(VALUE self)
{
	return text_of(
		lib.msb_state_name(lib.msb_sandbox_state(sandbox_of(self))));
}

static VALUE sandbox_console(VALUE self)
{
	return text_of(lib.msb_sandbox_console(sandbox_of(self)));
}

static VALUE sandbox_engine(VALUE self)
{
	return text_of(lib.msb_sandbox_engine(sandbox_of(self)));
}

static VALUE sandbox_accel(VALUE self)
{
	return text_of(lib.msb_sandbox_accel(sandbox_of(self)));
}

static VALUE sandbox_walls(VALUE self)
{
	return strings_of(lib.msb_sandbox_walls(sandbox_of(self)));
}

static VALUE sandbox_warning(VALUE self)
{
	return text_of(lib.msb_sandbox_warning(sandbox_of(self)));
}

static VALUE sandbox_times(VALUE self)
{
	struct msb_sandbox_times times = MSB_SANDBOX_TIMES_INIT;

	lib.msb_sandbox_times(sandbox_of(self), &times);
	return hash_of(shape_find("msb_sandbox_times"), &times);
}

/* For programs that have a loop of their own: readable at a change. */
static VALUE sandbox_fd(VALUE self)
{
	return INT2NUM(lib.msb_sandbox_fd(sandbox_of(self)));
}

/* ---- commands ---------------------------------------------------------- */

static struct msb_exec *exec_of(VALUE self)
{
	return handle_get(self, HANDLE_EXEC)->ptr;
}

static VALUE exec_session(VALUE self)
{
	return ULL2NUM(lib.msb_exec_session(exec_of(self)));
}

static VALUE exec_tty(VALUE self)
{
	return RBOOL(lib.msb_exec_is_tty(exec_of(self)));
}

static VALUE exec_unread(VALUE self)
{
	return SIZET2NUM(lib.msb_exec_unread(exec_of(self)));
}

static VALUE exec_fd(VALUE self)
{
	return INT2NUM(lib.msb_exec_fd(exec_of(self)));
}

/* How many bytes behind @offset were taken; 0: wait for the next event. */
static VALUE exec_write(VALUE self, VALUE data, VALUE offset)
{
	struct msb_error error;
	int64_t from, r;

	if (!RB_TYPE_P(data, T_STRING))
		rb_raise(rb_eTypeError, "data: a String is wanted, not %s",
		         rb_obj_classname(data));
	from = check_integer(offset, 0, RSTRING_LEN(data), "offset");
	r = lib.msb_exec_write(exec_of(self), RSTRING_PTR(data) + from,
	                       (size_t)(RSTRING_LEN(data) - from), &error);
	check(r, &error);
	RB_GC_GUARD(data);
	return LL2NUM(r);
}

static VALUE exec_close_stdin(VALUE self)
{
	struct msb_error error;

	check(lib.msb_exec_close_stdin(exec_of(self), &error), &error);
	return Qnil;
}

static VALUE exec_signal(VALUE self, VALUE signal)
{
	int n = (int)check_integer(signal, INT32_MIN, INT32_MAX, "signal");
	struct msb_error error;

	check(lib.msb_exec_signal(exec_of(self), n, &error), &error);
	return Qnil;
}

static VALUE exec_resize(VALUE self, VALUE rows, VALUE cols)
{
	uint16_t r = (uint16_t)check_integer(rows, 1, UINT16_MAX, "rows");
	uint16_t c = (uint16_t)check_integer(cols, 1, UINT16_MAX, "cols");
	struct msb_error error;

	check(lib.msb_exec_resize(exec_of(self), r, c, &error), &error);
	return Qnil;
}

/* ---- events ------------------------------------------------------------ */

static double now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/*
 * Wait for the descriptor as long as @timeout_ms since @start allows; false
 * when that is over. With 0 nobody waits.
 */
static bool wait_more(struct handle *h, int fd, int64_t timeout_ms,
                      double start)
{
	double left = -1;

	if (timeout_ms == 0)
		return false;
	if (timeout_ms > 0) {
		left = start + (double)timeout_ms / 1e3 - now();
		if (left <= 0)
			return false;
	}
	(void)handle_wait(h, fd, left);
	return true;
}

/* The next event as a hash, or nil: none came in so many milliseconds. */
static VALUE exec_next(VALUE self, VALUE timeout)
{
	int64_t ms = check_integer(timeout, -1, INT32_MAX, "timeout");
	double start = now();

	for (;;) {
		struct handle *h = handle_get(self, HANDLE_EXEC);
		struct msb_exec_event event = MSB_EXEC_EVENT_INIT;
		struct msb_error error;
		int r = lib.msb_exec_next(h->ptr, 0, &event, &error);

		check(r, &error);
		if (r > 0)
			return hash_of(shape_find("msb_exec_event"), &event);
		if (!wait_more(h, lib.msb_exec_fd(h->ptr), ms, start))
			return Qnil;
	}
}

/* The next entry; nil: none in that time, or none ever, see ended?. */
static VALUE logs_next(VALUE self, VALUE timeout)
{
	int64_t ms = check_integer(timeout, -1, INT32_MAX, "timeout");
	double start = now();

	for (;;) {
		struct handle *h = handle_get(self, HANDLE_LOGS);
		struct msb_log_entry entry = MSB_LOG_ENTRY_INIT;
		struct msb_error error;
		int r = lib.msb_logs_next(h->ptr, 0, &entry, &error);

		check(r, &error);
		if (r > 0)
			return hash_of(shape_find("msb_log_entry"), &entry);
		if (lib.msb_logs_ended(h->ptr) ||
		    !wait_more(h, lib.msb_logs_fd(h->ptr), ms, start))
			return Qnil;
	}
}

static VALUE logs_ended(VALUE self)
{
	return RBOOL(lib.msb_logs_ended(handle_get(self, HANDLE_LOGS)->ptr));
}

/* ---- the module -------------------------------------------------------- */

/* nil, or why it cannot be loaded */
static VALUE native_load(VALUE self, VALUE path)
{
	char why[1024] = "";

	if (library_load(StringValueCStr(path), why, sizeof(why)) < 0)
		return text_of(why);
	return Qnil;
}

static VALUE native_loaded(VALUE self)
{
	return RBOOL(library_loaded());
}

static const struct {
	const char *class, *name;
	VALUE (*function)();
	int arity;
} methods[] = {
	{"Home",    "path",        home_path,        0},
	{"Image",   "info",        image_info,       0},
	{"Sandbox", "name",        sandbox_name,     0},
	{"Sandbox", "id",          sandbox_id,       0},
	{"Sandbox", "state",       sandbox_state,    0},
	{"Sandbox", "console",     sandbox_console,  0},
	{"Sandbox", "engine",      sandbox_engine,   0},
	{"Sandbox", "accel",       sandbox_accel,    0},
	{"Sandbox", "walls",       sandbox_walls,    0},
	{"Sandbox", "warning",     sandbox_warning,  0},
	{"Sandbox", "times",       sandbox_times,    0},
	{"Sandbox", "fd",          sandbox_fd,       0},
	{"Exec",    "session",     exec_session,     0},
	{"Exec",    "tty?",        exec_tty,         0},
	{"Exec",    "unread",      exec_unread,      0},
	{"Exec",    "fd",          exec_fd,          0},
	{"Exec",    "write",       exec_write,       2},
	{"Exec",    "close_stdin", exec_close_stdin, 0},
	{"Exec",    "signal",      exec_signal,      1},
	{"Exec",    "resize",      exec_resize,      2},
	{"Exec",    "next",        exec_next,        1},
	{"Logs",    "next",        logs_next,        1},
	{"Logs",    "ended?",      logs_ended,       0},
};

static void define_methods(VALUE native)
{
	for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
		rb_define_method(
			rb_const_get(native, rb_intern(methods[i].class)),
			methods[i].name, RUBY_METHOD_FUNC(methods[i].function),
			methods[i].arity);
}

__attribute__((visibility("default"))) void Init_microsandbox(void);

void Init_microsandbox(void)
{
	VALUE module = rb_define_module("Microsandbox");
	VALUE native = rb_define_module_under(module, "Native");

	rb_define_module_function(native, "load", native_load, 1);
	rb_define_module_function(native, "loaded?", native_loaded, 0);
	rb_define_module_function(native, "version", native_version, 0);
	rb_define_module_function(native, "code_name", native_code_name, 1);
	rb_define_module_function(native, "state_name", native_state_name, 1);
	define_constants(native);
	handle_init(native);
	call_init(native);
	define_methods(native);
}
