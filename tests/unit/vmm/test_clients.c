#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fdio.h"
#include "lib/test.h"
#include "vmm/clients.h"

struct fixture {
	struct clients c;
	struct loop *loop;
	struct sockaddr_un at;
	int listen_fd, owner, owners_end;
	int stops, touches, gone, left;
	struct client *from; /* who spoke last */
};

static void on_got(void *arg, struct client *from, const struct proto_msg *m,
                   int fd)
{
	struct fixture *f = arg;

	(void)fd;
	f->stops += m->type == PROTO_VMM_STOP;
	f->touches += m->type == PROTO_VMM_TOUCH;
	f->from = from;
}

static void on_gone(void *arg, const struct client *cl)
{
	struct fixture *f = arg;

	f->left++;
	if (cl == f->from)
		f->from = NULL;
}

static void on_owner_gone(void *arg, const char *why)
{
	(void)why;
	((struct fixture *)arg)->gone++;
}

static int setup(void **state)
{
	static struct fixture f;
	const struct clients_events ev = {on_got, on_gone, on_owner_gone, &f};
	int pair[2];

	memset(&f, 0, sizeof(f));
	f.loop = loop_new();
	f.listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	f.at.sun_family = AF_UNIX; /* autobind: an abstract name */
	assert_int_equal(bind(f.listen_fd, (void *)&f.at, sizeof(sa_family_t)),
	                 0);
	assert_int_equal(listen(f.listen_fd, 100), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	f.owner = pair[0];
	f.owners_end = pair[1];
	assert_int_equal(
		clients_init(&f.c, f.loop, pair[1], f.listen_fd, &ev, NULL), 0);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	clients_release(&f->c);
	loop_free(f->loop);
	(void)close(f->listen_fd);
	(void)close(f->owners_end);
	if (f->owner >= 0)
		(void)close(f->owner);
	return 0;
}

static void settle(struct fixture *f)
{
	for (int i = 0; i < 20; i++)
		assert_int_equal(loop_step(f->loop, 0), 0);
}

static int join(struct fixture *f)
{
	struct sockaddr_un at;
	socklen_t len = sizeof(at);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0);

	assert_int_equal(getsockname(f->listen_fd, (void *)&at, &len), 0);
	assert_int_equal(connect(fd, (void *)&at, len), 0);
	settle(f);
	return fd;
}

static void say(struct fixture *f, enum proto_type type)
{
	char none[] = "";
	char *walls[] = {none, NULL};
	struct proto_msg m = {.type = type};

	if (type == PROTO_VMM_STARTED)
		m.vmm_started.engine = m.vmm_started.accel = "x";
	if (type == PROTO_VMM_READY)
		m.vmm_ready.jail = (struct proto_strs){walls, 1};
	if (type == PROTO_VMM_EXITED)
		m.vmm_exited.reason = m.vmm_exited.message = "x";
	clients_say(&f->c, &m);
}

/* The type of the next message at @fd; 0: end; -1: none. */
static int heard(int fd)
{
	static uint8_t packet[1 << 16];
	struct proto_msg m;
	ssize_t n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
	int type;

	if (n <= 0)
		return n == 0 ? 0 : -1;
	assert_int_equal(proto_decode(packet, (size_t)n, &m), n);
	type = (int)m.type;
	proto_release(&m);
	return type;
}

static void a_newcomer_hears_what_has_been(void **state)
{
	struct fixture *f = *state;
	int early = join(f), late;

	assert_int_equal(heard(early), -1);
	say(f, PROTO_VMM_STARTED);
	say(f, PROTO_VMM_READY);
	assert_int_equal(heard(early), PROTO_VMM_STARTED);
	assert_int_equal(heard(early), PROTO_VMM_READY);
	late = join(f);
	assert_int_equal(heard(late), PROTO_VMM_STARTED);
	assert_int_equal(heard(late), PROTO_VMM_READY);
	assert_int_equal(heard(late), -1);
	say(f, PROTO_VMM_EXITED);
	assert_int_equal(heard(late), PROTO_VMM_EXITED);
	assert_int_equal(heard(early), PROTO_VMM_EXITED);
	assert_int_equal(heard(f->owner), PROTO_VMM_STARTED);
	(void)close(early);
	(void)close(late);
}

static void a_guest_who_breaks_the_rules_goes_alone(void **state)
{
	struct fixture *f = *state;
	int bad = join(f), good = join(f);

	assert_int_equal(send(bad, "garbage!", 8, 0), 8);
	settle(f);
	assert_int_equal(heard(bad), 0);
	say(f, PROTO_VMM_EXITED);
	assert_int_equal(heard(good), PROTO_VMM_EXITED);
	assert_int_equal(f->gone, 0);
	(void)close(bad);
	(void)close(good);
}

static void the_owners_end_is_told_and_others_stay(void **state)
{
	struct fixture *f = *state;
	int guest = join(f);

	close_fd(&f->owner);
	settle(f);
	assert_int_equal(f->gone, 1);
	say(f, PROTO_VMM_EXITED);
	assert_int_equal(heard(guest), PROTO_VMM_EXITED);
	(void)close(guest);
}

static void who_does_not_listen_is_dropped(void **state)
{
	struct fixture *f = *state;
	int deaf = join(f), good = join(f);
	int told = 0;

	for (int i = 0; i < 5000; i++) {
		say(f, PROTO_VMM_EXITED);
		told += heard(good) == PROTO_VMM_EXITED;
		(void)heard(f->owner);
	}
	assert_int_equal(told, 5000);
	while (heard(deaf) > 0)
		;
	assert_int_equal(heard(deaf), 0); /* its line was closed */
	(void)close(deaf);
	(void)close(good);
}

static void there_is_a_limit(void **state)
{
	struct fixture *f = *state;
	int fds[CLIENTS_MAX];

	for (int i = 0; i < CLIENTS_MAX; i++)
		fds[i] = join(f);
	assert_int_equal(heard(fds[CLIENTS_MAX - 2]), -1);
	assert_int_equal(heard(fds[CLIENTS_MAX - 1]), 0);
	(void)close(fds[3]);
	settle(f);
	fds[3] = join(f);
	assert_int_equal(heard(fds[3]), -1);
	for (int i = 0; i < CLIENTS_MAX; i++)
		(void)close(fds[i]);
}

static void anybody_may_ask(void **state)
{
	struct fixture *f = *state;
	const struct proto_msg stop = {.type = PROTO_VMM_STOP};
	const struct proto_msg touch = {.type = PROTO_VMM_TOUCH};
	int fd = join(f);

	assert_int_equal(control_send(fd, &stop), 0);
	assert_int_equal(control_send(fd, &touch), 0);
	assert_int_equal(control_send(f->owner, &touch), 0);
	settle(f);
	assert_int_equal(f->stops, 1);
	assert_int_equal(f->touches, 2);
	(void)close(fd);
}

static void an_answer_goes_to_who_asked(void **state)
{
	struct fixture *f = *state;
	const struct proto_msg ask = {.type = PROTO_VMM_TOUCH};
	const struct proto_msg answer = {.type = PROTO_VMM_PONG};
	int one = join(f), other = join(f);

	assert_int_equal(control_send(one, &ask), 0);
	settle(f);
	assert_int_equal(clients_answer(f->from, &answer, -1), 0);
	assert_int_equal(heard(one), PROTO_VMM_PONG);
	assert_int_equal(heard(other), -1);
	assert_int_equal(heard(f->owner), -1);
	(void)close(one);
	(void)close(other);
}

static void who_is_gone_gets_no_answer_and_is_told(void **state)
{
	struct fixture *f = *state;
	const struct proto_msg ask = {.type = PROTO_VMM_TOUCH};
	const struct proto_msg answer = {.type = PROTO_VMM_PONG};
	int fd = join(f);
	struct client *cl;

	assert_int_equal(control_send(fd, &ask), 0);
	settle(f);
	cl = f->from;
	(void)close(fd);
	assert_true(clients_answer(cl, &answer, -1) < 0);
	assert_null(f->from);
	assert_int_equal(f->left, 1);
	assert_int_equal(clients_answer(cl, &answer, -1), -ENOTCONN);
	settle(f);
	assert_int_equal(f->left, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_newcomer_hears_what_has_been),
		T(a_guest_who_breaks_the_rules_goes_alone),
		T(the_owners_end_is_told_and_others_stay),
		T(who_does_not_listen_is_dropped),
		T(there_is_a_limit),
		T(anybody_may_ask),
		T(an_answer_goes_to_who_asked),
		T(who_is_gone_gets_no_answer_and_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
