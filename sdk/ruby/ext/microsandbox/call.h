/*
 * call.h - calls of the library, as methods of Microsandbox::Native.
 *
 * Each is a line in a table: a name, what its arguments are, how to make the
 * call and what to make of its result. Arguments are checked and copied before
 * anything starts; then the call runs in a thread of the pool under a
 * cancellation token, while the Ruby thread waits for it. Whatever ends that
 * wait early (an exception, Thread#kill, throw out of the block) fires the
 * token and waits for the call's end, so that nothing of it stays behind.
 */
#ifndef MSB_RUBY_CALL_H
#define MSB_RUBY_CALL_H

#include "handle.h"
#include "library.h"
#include "shape.h"

#define CALL_STRINGS 3
#define CALL_NUMBERS 4

struct call;

struct op {
	const char *name;
	/*
	 * A letter for each argument: H S I F L X a handle (home, sandbox,
	 * image, file, logs, exec); s z a string (z: or nil); l strings or
	 * nil; o a hash for the struct .opts, or nil; b bytes; and numbers:
	 * u 32 bits, p 16 bits, q 64 bits, i milliseconds or -1, d int.
	 */
	const char *args;
	void (*run)(struct call *call);
	VALUE (*result)(struct call *call); /* NULL: nil */
	void (*drop)(struct call *call);    /* frees what it got */
	void (*undo)(struct call *call);    /* nobody waits for it any more */
	const char *opts;                   /* a struct's name */
	const char *subject; /* what "not found" is about, for the error */
};

struct call {
	const struct op *op;
	void *h, *h2; /* handles in the order of arguments */
	const char *s[CALL_STRINGS];
	int64_t n[CALL_NUMBERS];
	const char *const *list;
	void *opts;
	const void *data;
	size_t len;
	/* What came of it. */
	int64_t r;
	struct msb_error error;
	void *ret;
	char *ret_text;
	size_t count;
	uint64_t number, number2;
	union {
		struct msb_metrics metrics;
		struct msb_file_info file;
		struct msb_sandbox_times times;
	} out;
};

/* The tables, each ends with an empty line. */
extern const struct op image_ops[], sandbox_ops[], exec_ops[], file_ops[],
	store_ops[];

/* Event functions of the library for a call whose block wants events. */
int call_pull_event(void *arg, const struct msb_pull_event *event);
int call_copy_event(void *arg, const struct msb_copy_event *event);

/* Raise what the library said; @detail (or nil) goes to the exception. */
void call_raise(const struct msb_error *error, const char *subject,
                VALUE detail);
void call_invalid(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn));
void call_raise_code(int code, const char *name, int sys_errno,
                     const char *message);
/*
 * Check and copy arguments; what is held meanwhile is in @arena, and the bytes,
 * if there are some, in what is returned.
 */
VALUE call_parse(struct call *call, struct arena *arena, const VALUE *argv);
/* Make sure that the library is there, or raise. */
void call_need_library(void);

/* Results that many have. */
VALUE result_strings(struct call *call);
void drop_strings(struct call *call);
VALUE result_text(struct call *call);
void drop_text(struct call *call);

void call_init(VALUE native);
void call_cancel_users(const struct handle *h);

#endif
