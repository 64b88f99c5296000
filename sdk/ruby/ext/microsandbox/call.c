#include "call.h"
#include "pool.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <ruby/io.h>
#include <ruby/thread.h>
#include <ruby/vm.h>

/* Events that wait for the block; of more, those of progress are dropped. */
#define EVENTS_MAX 256
/* What is added to a job's descriptor when it is done; 1 is an event. */
#define JOB_DONE (1ull << 32)

/* What a job needs of the system; so many are kept for the next ones. */
#define CHANNELS_KEPT 32

struct channel {
	struct channel *next;
	int fd;
	struct msb_cancel *cancel;
};

struct event {
	struct event *next;
	const struct shape *shape;
	void *copy;
};

struct job {
	struct task task;
	struct job *next, **link; /* of those under way; under Ruby's lock */
	struct call call;
	struct channel *channel;
	VALUE arena, data, block;
	bool done;
	atomic_bool fired;
	pthread_mutex_t lock; /* of the events */
	struct event *first, **last;
	size_t events;
};

static struct job *jobs;
static struct channel *channels;
static size_t channels_kept;
static st_table *ops;
static VALUE native_module;

void call_need_library(void)
{
	if (!library_loaded())
		(void)rb_funcall(native_module, rb_intern("load_library"), 0);
}

/* ---- a call in another thread ------------------------------------------ */

static void channel_free(struct channel *ch)
{
	lib.msb_cancel_free(ch->cancel);
	if (ch->fd >= 0)
		(void)close(ch->fd);
	free(ch);
}

static struct channel *channel_new(void)
{
	struct channel *ch = calloc(1, sizeof(*ch));

	if (!ch)
		return NULL;
	ch->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ch->fd < 0 || lib.msb_cancel_new(&ch->cancel, NULL) < 0) {
		channel_free(ch);
		return NULL;
	}
	return ch;
}

static struct channel *channel_take(void)
{
	struct channel *ch = channels;

	if (!ch)
		return channel_new();
	channels = ch->next;
	channels_kept--;
	return ch;
}

static void channel_put(struct channel *ch, bool fired)
{
	if (channels_kept == CHANNELS_KEPT) {
		channel_free(ch);
		return;
	}
	if (fired)
		lib.msb_cancel_reset(ch->cancel);
	channels_kept++;
	ch->next = channels;
	channels = ch;
}

/* A child's channels would be its parent's. Those under way are nobody's. */
static void forget(void)
{
	channels = NULL;
	channels_kept = 0;
	jobs = NULL;
}

static void job_tell(struct job *job, uint64_t n)
{
	while (write(job->channel->fd, &n, sizeof(n)) < 0 && errno == EINTR)
		;
}

static void job_run(struct task *task)
{
	struct job *job = (struct job *)task;

	lib.msb_cancel_use(job->channel->cancel);
	job->call.op->run(&job->call);
	lib.msb_cancel_use(NULL);
	job_tell(job, JOB_DONE); /* from here on it may be gone */
}

static void job_look(struct job *job)
{
	uint64_t n;

	if (read(job->channel->fd, &n, sizeof(n)) == sizeof(n) && n >= JOB_DONE)
		job->done = true;
}

static void job_fire(struct job *job)
{
	atomic_store(&job->fired, true);
	lib.msb_cancel_fire(job->channel->cancel);
}

void call_cancel_users(const struct handle *h)
{
	for (struct job *job = jobs; job; job = job->next)
		if (arena_holds(job->arena, h))
			job_fire(job);
}

/* ---- events ------------------------------------------------------------ */

static struct event *event_take(struct job *job)
{
	struct event *e;

	(void)pthread_mutex_lock(&job->lock);
	e = job->first;
	if (e) {
		job->first = e->next;
		job->events--;
	}
	if (!job->first)
		job->last = &job->first;
	(void)pthread_mutex_unlock(&job->lock);
	return e;
}

static void event_free(struct event *e)
{
	shape_free(e->shape, e->copy);
	free(e);
}

/* In a thread of the library. */
static int event_put(struct job *job, const char *name, const void *data,
                     bool needed)
{
	struct event *e = NULL;

	(void)pthread_mutex_lock(&job->lock);
	if (needed || job->events < EVENTS_MAX)
		e = calloc(1, sizeof(*e));
	if (e) {
		e->shape = shape_find(name);
		e->copy = shape_copy(e->shape, data);
		*job->last = e;
		job->last = &e->next;
		job->events++;
	}
	(void)pthread_mutex_unlock(&job->lock);
	if (e)
		job_tell(job, 1);
	return atomic_load(&job->fired);
}

int call_pull_event(void *arg, const struct msb_pull_event *event)
{
	struct job *job =
		(struct job *)((char *)arg - offsetof(struct job, call));

	if (NIL_P(job->block))
		return atomic_load(&job->fired);
	return event_put(job, "msb_pull_event", event,
	                 event->kind != MSB_PULL_LAYER);
}

int call_copy_event(void *arg, const struct msb_copy_event *event)
{
	struct job *job =
		(struct job *)((char *)arg - offsetof(struct job, call));

	if (NIL_P(job->block))
		return atomic_load(&job->fired);
	return event_put(job, "msb_copy_event", event, false);
}

static void deliver(struct job *job)
{
	struct event *e;

	while ((e = event_take(job))) {
		VALUE hash = e->copy ? hash_of(e->shape, e->copy) : Qnil;

		event_free(e);
		if (!NIL_P(hash))
			(void)rb_funcall(job->block, rb_intern("call"), 1,
			                 hash);
	}
}

/* ---- waiting for it ---------------------------------------------------- */

static VALUE job_wait(VALUE arg)
{
	struct job *job = (struct job *)arg;

	while (!job->done) {
		(void)rb_wait_for_single_fd(job->channel->fd, RB_WAITFD_IN,
		                            NULL);
		job_look(job);
		deliver(job);
	}
	return Qnil;
}

static void *await_inside(void *arg)
{
	struct job *job = arg;
	struct pollfd p = {.fd = job->channel->fd, .events = POLLIN};

	while (!job->done) {
		(void)poll(&p, 1, -1);
		job_look(job);
	}
	return NULL;
}

static VALUE job_await(VALUE arg)
{
	(void)rb_nogvl(await_inside, (void *)arg, NULL, NULL, 0);
	return Qnil;
}

/*
 * Wait for the end of the call; what is pending for this thread meanwhile
 * becomes the state to go on with, it does not end this.
 */
static int job_finish(struct job *job)
{
	int state = 0, later;

	(void)rb_protect(job_wait, (VALUE)job, &state);
	if (!job->done)
		job_fire(job);
	while (!job->done) {
		later = 0;
		(void)rb_protect(job_await, (VALUE)job, &later);
		if (later)
			state = later;
	}
	return state;
}

static VALUE make_result(VALUE arg)
{
	struct call *c = &((struct job *)arg)->call;

	return c->op->result ? c->op->result(c) : Qnil;
}

static void job_free(struct job *job)
{
	struct event *e;

	while ((e = event_take(job)))
		event_free(e);
	(void)pthread_mutex_destroy(&job->lock);
	arena_release(job->arena);
	if (job->channel)
		channel_put(job->channel, atomic_load(&job->fired));
	free(job);
}

/* Events may come in while it waits, so it is listed, and marked. */
static void job_list(struct job *job)
{
	job->next = jobs;
	job->link = &jobs;
	if (jobs)
		jobs->link = &job->next;
	jobs = job;
}

static void job_unlist(struct job *job)
{
	*job->link = job->next;
	if (job->next)
		job->next->link = job->link;
}

struct undoing {
	struct call *call;
	bool done;
};

static void *undo_inside(void *arg)
{
	struct undoing *u = arg;

	u->call->op->undo(u->call);
	u->done = true;
	return NULL;
}

static VALUE undo_once(VALUE arg)
{
	(void)rb_nogvl(undo_inside, (void *)arg, NULL, NULL, 0);
	return Qnil;
}

/* What is pending for this thread may come before it begins. */
static void undo(struct call *c)
{
	struct undoing u = {c, false};
	int state;

	while (!u.done)
		(void)rb_protect(undo_once, (VALUE)&u, &state);
}

static VALUE job_call(struct job *job)
{
	const struct op *op = job->call.op;
	struct msb_error error;
	VALUE result = Qnil;
	int state, failed = 0;
	int64_t r;

	job_list(job);
	state = job_finish(job);
	r = job->call.r;
	if (state == 0 && (r >= 0 || job->call.ret))
		result = rb_protect(make_result, (VALUE)job, &failed);
	if (state && r >= 0 && op->undo)
		undo(&job->call);
	if (op->drop)
		op->drop(&job->call);
	error = job->call.error;
	job_unlist(job); /* what it has is marked until here */
	job_free(job);
	if (state || failed)
		rb_jump_tag(state ? state : failed);
	if (r < 0)
		call_raise(&error, op->subject, result);
	return result;
}

static const struct op *op_of(ID name)
{
	st_data_t op;

	if (!st_lookup(ops, (st_data_t)name, &op))
		rb_bug("no call of the name %s", rb_id2name(name));
	return (const struct op *)op;
}

/* Arguments are read into one on the stack: whatever raises leaves nothing. */
static VALUE native_call(int argc, VALUE *argv, VALUE self)
{
	const struct op *op = op_of(rb_frame_this_func());
	struct job draft = {.call = {.op = op}, .data = Qnil, .block = Qnil};
	struct arena *arena;
	struct job *job;

	rb_check_arity(argc, (int)strlen(op->args), (int)strlen(op->args));
	call_need_library();
	draft.arena = arena_new(&arena);
	draft.data = call_parse(&draft.call, arena, argv);
	if (rb_block_given_p())
		draft.block = rb_block_proc();
	job = malloc(sizeof(*job));
	draft.channel = job ? channel_take() : NULL;
	if (!draft.channel) {
		free(job);
		call_raise_code(MSB_ERR_NO_MEMORY, "no_memory", errno,
		                "no memory, or no descriptors, for a call");
	}
	*job = draft;
	job->task.run = job_run;
	job->last = &job->first;
	(void)pthread_mutex_init(&job->lock, NULL);
	arena_hold(job->arena);
	if (pool_submit(&job->task) != 0) {
		job_free(job);
		call_raise_code(MSB_ERR_NO_MEMORY, "no_memory", EAGAIN,
		                "no thread can be started for a call");
	}
	return job_call(job);
}

/* ---- results that many have -------------------------------------------- */

VALUE result_strings(struct call *c)
{
	return strings_of((const char *const *)c->ret);
}

void drop_strings(struct call *c)
{
	lib.msb_strings_free(c->ret);
}

VALUE result_text(struct call *c)
{
	return text_of(c->ret_text);
}

void drop_text(struct call *c)
{
	lib.msb_free(c->ret_text);
}

/* ---- set up ------------------------------------------------------------ */

static void mark_jobs(void *unused)
{
	for (struct job *job = jobs; job; job = job->next) {
		rb_gc_mark(job->arena);
		rb_gc_mark(job->data);
		rb_gc_mark(job->block);
	}
}

static const rb_data_type_t jobs_type = {
	.wrap_struct_name = "microsandbox calls",
	.function = {.dmark = mark_jobs},
};

static void define_ops(VALUE native, const struct op *table)
{
	for (const struct op *op = table; op->name; op++) {
		st_insert(ops, (st_data_t)rb_intern(op->name), (st_data_t)op);
		rb_define_module_function(native, op->name, native_call, -1);
	}
}

static void at_end(ruby_vm_t *vm)
{
	pool_drain();
}

void call_init(VALUE native)
{
	static VALUE marker;

	native_module = native;
	ops = st_init_numtable();
	define_ops(native, image_ops);
	define_ops(native, sandbox_ops);
	define_ops(native, exec_ops);
	define_ops(native, file_ops);
	define_ops(native, store_ops);
	marker = TypedData_Wrap_Struct(0, &jobs_type, &jobs);
	rb_gc_register_mark_object(marker);
	if (pool_init() != 0 || pthread_atfork(NULL, NULL, forget) != 0)
		rb_sys_fail("pthread_atfork");
	ruby_vm_at_exit(at_end);
}
