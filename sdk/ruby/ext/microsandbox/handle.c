#include "call.h"
#include "pool.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <ruby/io.h>
#include <ruby/thread.h>

/* Given back through lib, which is filled when there is a handle at all. */
static void free_home(void *p)
{
	lib.msb_home_free(p);
}
static void free_image(void *p)
{
	lib.msb_image_free(p);
}
static void free_sandbox(void *p)
{
	lib.msb_sandbox_free(p);
}
static void free_exec(void *p)
{
	lib.msb_exec_free(p);
}
static void free_logs(void *p)
{
	lib.msb_logs_free(p);
}
static void free_file(void *p)
{
	lib.msb_file_close(p);
}

static const struct {
	const char *name;
	void (*give_back)(void *ptr);
} types[] = {
	[HANDLE_HOME] = {"Home",       free_home   },
	[HANDLE_IMAGE] = {"Image",      free_image  },
	[HANDLE_SANDBOX] = {"Sandbox",    free_sandbox},
	[HANDLE_EXEC] = {"Exec",       free_exec   },
	[HANDLE_LOGS] = {"Logs",       free_logs   },
	[HANDLE_FILE] = {"FileStream", free_file   },
};

static VALUE classes[sizeof(types) / sizeof(types[0])];
static int always_readable = -1;

/* What a parent opened is the parent's. */
static bool is_ours(const struct handle *h)
{
	return h->pid == getpid();
}

/* Freeing may take a moment: a machine is killed and waited for. */
static void let_go(struct handle *h)
{
	void *ptr = h->ptr;

	h->ptr = NULL;
	if (h->epoll >= 0)
		(void)close(h->epoll);
	h->epoll = -1;
	if (ptr && is_ours(h))
		pool_give_back(types[h->type].give_back, ptr);
}

static void handle_collect(void *data)
{
	let_go(data);
	xfree(data);
}

static const rb_data_type_t handle_data = {
	.wrap_struct_name = "microsandbox handle",
	.function = {.dfree = handle_collect},
	.flags = RUBY_TYPED_FREE_IMMEDIATELY,
};

static VALUE handle_alloc(enum handle_type type, struct handle **ret_handle)
{
	struct handle *h;
	VALUE object = TypedData_Make_Struct(classes[type], struct handle,
	                                     &handle_data, h);

	h->type = type;
	h->pid = getpid();
	h->epoll = -1;
	*ret_handle = h;
	return object;
}

VALUE handle_wrap(enum handle_type type, void *ptr)
{
	struct handle *h;
	VALUE object = handle_alloc(type, &h);

	h->ptr = ptr;
	return object;
}

void handle_drop(enum handle_type type, void *ptr)
{
	if (ptr)
		pool_give_back(types[type].give_back, ptr);
}

static struct handle *handle_any(VALUE object)
{
	return rb_check_typeddata(object, &handle_data);
}

static void raise_named(const char *name, const char *message)
{
	VALUE module = rb_const_get(rb_cObject, rb_intern("Microsandbox"));

	rb_raise(rb_const_get(module, rb_intern(name)), "%s", message);
}

struct handle *handle_get(VALUE object, enum handle_type type)
{
	struct handle *h = handle_any(object);

	if (h->type != type)
		rb_raise(rb_eTypeError, "a %s is wanted, not a %s",
		         types[type].name, types[h->type].name);
	if (!is_ours(h))
		raise_named("ForkError",
		            "this was opened before a fork: a child process "
		            "opens its own");
	if (!h->ptr || h->closing)
		raise_named("ClosedError", "this handle was closed");
	return h;
}

void handle_use(struct handle *h)
{
	h->users++;
}

void handle_done(struct handle *h)
{
	if (--h->users == 0 && h->closing)
		let_go(h);
}

/* ---- closing ----------------------------------------------------------- */

static void *close_inside(void *arg)
{
	struct handle *h = arg;

	types[h->type].give_back(h->ptr);
	h->ptr = NULL;
	return NULL;
}

static VALUE close_alone(VALUE arg)
{
	(void)rb_nogvl(close_inside, (void *)arg, NULL, NULL,
	               RB_NOGVL_UBF_ASYNC_SAFE);
	return Qnil;
}

/* Who waits on the handle's descriptor is woken up by another that is ready. */
static void wake_waiters(const struct handle *h)
{
	struct epoll_event e = {.events = EPOLLIN};

	if (h->epoll >= 0)
		(void)epoll_ctl(h->epoll, EPOLL_CTL_ADD, always_readable, &e);
}

/*
 * Gone when this returns, so that a name is free and a machine has ended; but
 * where other threads are inside, these are cancelled, and the last one does
 * it.
 */
static VALUE native_close(VALUE self)
{
	struct handle *h = handle_any(self);
	struct handle alone;
	int state = 0;

	if (!h->ptr || h->closing || !is_ours(h))
		return Qnil;
	h->closing = true;
	if (h->users > 0) {
		wake_waiters(h);
		call_cancel_users(h);
		return Qnil;
	}
	alone = *h;
	h->ptr = NULL;
	if (h->epoll >= 0)
		(void)close(h->epoll);
	h->epoll = -1;
	(void)rb_protect(close_alone, (VALUE)&alone, &state);
	handle_drop(alone.type, alone.ptr); /* interrupted before it began */
	if (state)
		rb_jump_tag(state);
	return Qnil;
}

static VALUE native_closed(VALUE self)
{
	const struct handle *h = handle_any(self);

	return RBOOL(!h->ptr || h->closing || !is_ours(h));
}

/* ---- waiting ----------------------------------------------------------- */

static int watch(struct handle *h, int fd)
{
	struct epoll_event e = {.events = EPOLLIN};

	if (h->epoll >= 0)
		return h->epoll;
	h->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (h->epoll < 0 || epoll_ctl(h->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
		rb_sys_fail("epoll");
	return h->epoll;
}

struct waiting {
	int fd;
	struct timeval *limit;
	bool ready;
};

static VALUE wait_inside(VALUE arg)
{
	struct waiting *w = (struct waiting *)arg;

	w->ready = rb_wait_for_single_fd(w->fd, RB_WAITFD_IN, w->limit) > 0;
	return Qnil;
}

bool handle_wait(struct handle *h, int fd, double seconds)
{
	struct timeval limit = {
		(time_t)seconds,
		(suseconds_t)((seconds - (time_t)seconds) * 1e6)};
	struct waiting w = {watch(h, fd), seconds < 0 ? NULL : &limit, false};
	bool closed;
	int state = 0;

	handle_use(h);
	(void)rb_protect(wait_inside, (VALUE)&w, &state);
	closed = h->closing;
	handle_done(h);
	if (state)
		rb_jump_tag(state);
	if (closed)
		raise_named("ClosedError", "this handle was closed");
	return w.ready;
}

void handle_init(VALUE native)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		VALUE class = rb_define_class_under(native, types[i].name,
		                                    rb_cObject);

		rb_undef_alloc_func(class);
		rb_define_method(class, "close", native_close, 0);
		rb_define_method(class, "closed?", native_closed, 0);
		classes[i] = class;
	}
	always_readable = eventfd(1, EFD_CLOEXEC);
	if (always_readable < 0)
		rb_sys_fail("eventfd");
}
