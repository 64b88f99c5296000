/* state_fixture.h - a home of one's own and sandboxes to put into it. */
#ifndef TEST_STORE_STATE_FIXTURE_H
#define TEST_STORE_STATE_FIXTURE_H

#include "lib/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/fdio.h"
#include "store/state.h"

struct fixture {
	char root[64], home[96];
	struct store *s;
	struct state *st;
	struct err err;
};

static inline int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	(void)snprintf(f->root, sizeof(f->root), "/tmp/msb-state-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	(void)snprintf(f->home, sizeof(f->home), "%s/home", f->root);
	assert_int_equal(store_open(f->home, &f->s, &f->err), 0);
	*state = f;
	return 0;
}

static inline void open_state(struct fixture *f)
{
	if (state_open(f->s, &f->st, &f->err) < 0)
		fail_msg("%s", f->err.msg);
}

static inline int set_up_open(void **state)
{
	int r = set_up(state);

	open_state(*state);
	return r;
}

static inline int tear_down(void **state)
{
	struct fixture *f = *state;

	state_close(f->st);
	store_close(f->s);
	assert_int_equal(dir_remove(AT_FDCWD, f->root), 0);
	free(f);
	return 0;
}

/* Add one with @labels, NULL-terminated (NULL: none); the result of it. */
static inline int try_add(struct state *st, const char *name,
                          char *const *labels, char ret_id[STATE_ID_LEN + 1],
                          struct err *err)
{
	struct state_sandbox b = {
		.name = strdup(name),
		.image = strdup("alpine:3.20"),
		.image_id = strdup("sha256:00"),
		.config = strdup("{\"cpus\":1}"),
	};
	int r = strv_add_all(&b.labels, labels);

	if (r == 0)
		r = state_new_id(b.id, err);
	if (r == 0)
		r = state_add(st, &b, err);
	if (r == 0 && ret_id)
		memcpy(ret_id, b.id, sizeof(b.id));
	state_sandbox_release(&b);
	return r;
}

static inline void add(struct fixture *f, const char *name, char *const *labels,
                       char *ret_id)
{
	if (try_add(f->st, name, labels, ret_id, &f->err) < 0)
		fail_msg("%s", f->err.msg);
}

static inline size_t count_all(struct fixture *f)
{
	struct state_sandbox *list = NULL;
	size_t n = 0;

	if (state_list(f->st, NULL, &list, &n, &f->err) < 0)
		fail_msg("%s", f->err.msg);
	state_list_free(list, n);
	return n;
}

static inline void close_state(struct fixture *f)
{
	state_close(f->st);
	f->st = NULL;
}

static inline int open_result(struct fixture *f)
{
	struct state *st cleanup_state = NULL;

	f->err = (struct err){0};
	return state_open(f->s, &st, &f->err);
}

/* Wait for a child and give its exit status; a signal is 1000 + its number. */
static inline int status_of(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status)
	                         : 1000 + WTERMSIG(status);
}

#endif
