/* The link to msb-vmm: what is taken from it, and what reaches it. */
#include "lib/test.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "tls/tls.h"

#include "base/banned.h"

/* ---- not flow.c's: it notes what it gets ---- */

static struct {
	unsigned n;
	struct tlslink_flow last;
	int guest, server;
	bool refuse;
} started;

int flow_start(struct tls *t, const struct tlslink_flow *f, int guest_fd,
               int server_fd)
{
	started.n++;
	started.last = *f;
	if (started.refuse) {
		(void)close(guest_fd);
		(void)close(server_fd);
		link_send_abort(t->link, f->id);
		return -EPERM;
	}
	started.guest = guest_fd;
	started.server = server_fd;
	return 0;
}

void flow_end_all(struct tls *t)
{
	(void)t;
}

/* ---- a link ---- */

static struct tls tls;
static int peer, link_fd; /* msb-vmm's end, ours */

static int up(void **state)
{
	int ends[2];

	(void)state;
	log_setup("test", 2, LOG_NONE);
	tls = (struct tls){0};
	memset(&started, 0, sizeof(started));
	started.guest = started.server = -1;
	tls.loop = loop_new();
	assert_non_null(tls.loop);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	peer = ends[0];
	link_fd = ends[1];
	assert_int_equal(link_new(&tls, ends[1], &tls.link), 0);
	return 0;
}

static int down(void **state)
{
	(void)state;
	close_fd(&started.guest);
	close_fd(&started.server);
	link_free(tls.link);
	close_fd(&peer);
	secrets_unref(tls.secrets);
	strv_release(&tls.options.bypass);
	loop_free(tls.loop);
	return 0;
}

static void turn(void)
{
	assert_int_equal(loop_step(tls.loop, 0), 0);
}

/* A packet from the link, or -1. */
static ssize_t take(void *packet, size_t len)
{
	return recv(peer, packet, len, MSG_DONTWAIT);
}

static uint64_t take_abort(void)
{
	struct tlslink_abort m = {0};

	if (take(&m, sizeof(m)) != sizeof(m) || m.type != TLSLINK_ABORT)
		return 0;
	assert_int_equal(m.zero, 0);
	return m.id;
}

static bool take_event(struct tlslink_event *m)
{
	ssize_t n = take(m, sizeof(*m));

	if (n < 0)
		return false;
	assert_int_equal(n, sizeof(*m));
	assert_int_equal(m->type, TLSLINK_EVENT);
	return true;
}

/* ---- FLOW ---- */

struct pairs {
	int guest[2], server[2];
};

static void pairs_open(struct pairs *p)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p->guest), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p->server), 0);
}

/* Our copies of what was sent; then only the other side holds them. */
static void pairs_give(struct pairs *p)
{
	close_fd(&p->guest[1]);
	close_fd(&p->server[1]);
}

static void pairs_close(struct pairs *p)
{
	pairs_give(p);
	close_fd(&p->guest[0]);
	close_fd(&p->server[0]);
}

static bool has_ended(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_DONTWAIT) == 0;
}

static struct tlslink_flow a_flow(uint64_t id, const char *name)
{
	struct tlslink_flow f = {.type = TLSLINK_FLOW,
	                         .kind = TLSLINK_TLS,
	                         .pinned = 1,
	                         .port = 443,
	                         .id = id};

	memcpy(f.name, name, strlen(name));
	return f;
}

static void send_flow(const void *data, size_t len, const int *fds, size_t nfds)
{
	assert_int_equal(fd_send(peer, data, len, fds, nfds), len);
}

static void a_flow_is_handed_on_with_its_descriptors(void **state)
{
	struct tlslink_flow f = a_flow(7, "api.test");
	struct pairs p;

	(void)state;
	pairs_open(&p);
	send_flow(&f, sizeof(f), (int[]){p.guest[1], p.server[1]}, 2);
	pairs_give(&p);
	turn();
	assert_int_equal(started.n, 1);
	assert_memory_equal(&started.last, &f, sizeof(f));
	assert_int_equal(write(started.guest, "g", 1), 1);
	assert_int_equal(write(started.server, "s", 1), 1);
	assert_int_equal(recv(p.guest[0], &f, 1, MSG_DONTWAIT), 1);
	assert_int_equal(*(char *)&f, 'g');
	assert_int_equal(recv(p.server[0], &f, 1, MSG_DONTWAIT), 1);
	assert_int_equal(*(char *)&f, 's');
	assert_true(fcntl(started.guest, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(take_abort(), 0);
	pairs_close(&p);
}

static void names_that_a_flow_may_have_are_taken(void **state)
{
	char longest[TLSLINK_NAME_MAX + 1];
	const char *const names[] = {"", "a", "_x.api-1.test", longest};

	(void)state;
	memset(longest, 'a', sizeof(longest) - 1);
	for (size_t i = 60; i < sizeof(longest) - 1; i += 60)
		longest[i] = '.';
	longest[TLSLINK_NAME_MAX] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		struct tlslink_flow f = a_flow(i + 1, names[i]);
		struct pairs p;

		f.kind = TLSLINK_CONNECT;
		f.pinned = 0;
		pairs_open(&p);
		send_flow(&f, sizeof(f), (int[]){p.guest[1], p.server[1]}, 2);
		turn();
		assert_int_equal(started.n, i + 1);
		close_fd(&started.guest);
		close_fd(&started.server);
		pairs_close(&p);
	}
}

/* Bytes of the packet that are set to another value. */
#define AT(member) offsetof(struct tlslink_flow, member)
static const struct {
	const char *what;
	size_t at;
	const char *bytes;
	size_t len;
} wrong[] = {
	{"kind 0",           AT(kind),       "\0",              1},
	{"kind 3",           AT(kind),       "\3",              1},
	{"pinned 2",         AT(pinned),     "\2",              1},
	{"port 0",           AT(port),       "\0\0",            2},
	{"upper case",       AT(name),       "Api.test",        8},
	{"a dot at the end", AT(name),       "api.test.",       9},
	{"an empty label",   AT(name),       "api..test",       9},
	{"a space",          AT(name),       "api test",        8},
	{"a slash",          AT(name),       "api/test",        8},
	{"a line",           AT(name),       "api\ntest",       8},
	{"a star",           AT(name),       "*.i.test",        8},
	{"UTF-8",            AT(name),       "ap\xc3\xbctst",   8},
	{"behind its NUL",   AT(name) + 10,  "x",               1},
	{"at its end",       AT(name) + 255, "x",               1},
	{"one dot",          AT(name),       ".\0\0\0\0\0\0\0", 8},
};

static void a_wrong_flow_is_aborted_and_its_descriptors_closed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct tlslink_flow f = a_flow(i + 1, "api.test");
		struct pairs p;

		memcpy((char *)&f + wrong[i].at, wrong[i].bytes, wrong[i].len);
		pairs_open(&p);
		send_flow(&f, sizeof(f), (int[]){p.guest[1], p.server[1]}, 2);
		pairs_give(&p);
		turn();
		if (started.n || take_abort() != i + 1 ||
		    !has_ended(p.guest[0]) || !has_ended(p.server[0]))
			fail_msg("%s", wrong[i].what);
		pairs_close(&p);
	}
}

static void a_name_without_an_end_is_refused(void **state)
{
	struct tlslink_flow f = a_flow(1, "");
	struct pairs p;

	(void)state;
	memset(f.name, 'a', sizeof(f.name));
	pairs_open(&p);
	send_flow(&f, sizeof(f), (int[]){p.guest[1], p.server[1]}, 2);
	turn();
	assert_int_equal(started.n, 0);
	assert_int_equal(take_abort(), 1);
	pairs_close(&p);
}

static void numbers_only_grow(void **state)
{
	static const struct {
		uint64_t id;
		bool taken;
	} cases[] = {
		{0,              false},
                {5,              true },
                {5,              false},
		{4,              false},
                {6,              true },
                {UINT64_MAX,     true },
		{UINT64_MAX,     false},
                {1,              false},
                {UINT64_MAX - 1, false},
	};
	unsigned taken = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct tlslink_flow f = a_flow(cases[i].id, "a.test");
		struct pairs p;

		pairs_open(&p);
		send_flow(&f, sizeof(f), (int[]){p.guest[1], p.server[1]}, 2);
		turn();
		taken += cases[i].taken;
		assert_int_equal(started.n, taken);
		/* There is no flow 0 to abort. */
		assert_true(take_abort() == (cases[i].taken ? 0 : cases[i].id));
		close_fd(&started.guest);
		close_fd(&started.server);
		pairs_close(&p);
	}
}

static void a_flow_has_two_streams(void **state)
{
	int pipes[2], dgram[2], seq[2], files[3];
	struct sockaddr_in any = {.sin_family = AF_INET};
	int listens = socket(AF_INET, SOCK_STREAM, 0);
	struct pairs p;
	uint64_t id = 0;

	(void)state;
	pairs_open(&p);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, dgram), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, seq), 0);
	assert_int_equal(bind(listens, (void *)&any, sizeof(any)), 0);
	assert_int_equal(listen(listens, 1), 0);
	files[0] = open("/dev/null", O_RDWR);
	files[1] = open("/", O_RDONLY | O_DIRECTORY);
	files[2] = open("/proc/self/status", O_RDONLY);
	{
		const int bad[] = {pipes[0], dgram[0], seq[0],  listens,
		                   files[0], files[1], files[2]};
		const struct {
			int fds[FD_PASS_MAX];
			size_t n;
		} counts[] = {
			{{0},					 0},
			{{p.guest[1]},                                1},
			{{p.guest[1], p.server[1], p.guest[1]},       3},
			{{p.guest[1], p.server[1], 0, 1, 2, 0, 1, 2}, 8},
		};

		for (size_t i = 0; i < 2 * ARRAY_SIZE(bad); i++) {
			struct tlslink_flow f = a_flow(++id, "a.test");
			int fds[2] = {p.guest[1], p.server[1]};

			fds[i % 2] = bad[i / 2];
			send_flow(&f, sizeof(f), fds, 2);
			turn();
			assert_int_equal(started.n, 0);
			assert_true(take_abort() == id);
		}
		for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
			struct tlslink_flow f = a_flow(++id, "a.test");

			send_flow(&f, sizeof(f), counts[i].fds, counts[i].n);
			turn();
			assert_int_equal(started.n, 0);
			assert_true(take_abort() == id);
		}
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
			(void)close(bad[i]);
	}
	(void)close(pipes[1]);
	(void)close(dgram[1]);
	(void)close(seq[1]);
	pairs_close(&p);
}

static int count_files(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* More descriptors than there is room for: the kernel gives some of them. */
static void descriptors_beyond_what_fits_are_closed(void **state)
{
	struct tlslink_flow f = a_flow(1, "a.test");
	struct iovec iov = {&f, sizeof(f)};
	union {
		char space[CMSG_SPACE(64 * sizeof(int))];
		struct cmsghdr align;
	} c = {0};
	struct msghdr msg = {.msg_iov = &iov,
	                     .msg_iovlen = 1,
	                     .msg_control = &c,
	                     .msg_controllen = sizeof(c)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
	int fds[64], before = count_files();

	(void)state;
	for (int i = 0; i < 64; i++)
		fds[i] = peer;
	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(h), fds, sizeof(fds));
	assert_int_equal(sendmsg(peer, &msg, 0), sizeof(f));
	turn();
	assert_int_equal(started.n, 0);
	assert_true(take_abort() == 1);
	assert_int_equal(count_files(), before);
}

static void packets_of_another_size_or_type_are_refused(void **state)
{
	static char big[TLSLINK_PACKET_MAX];
	struct tlslink_flow f = a_flow(9, "a.test");
	struct pairs p;
	int before;

	(void)state;
	pairs_open(&p);
	before = count_files();
	memcpy(big, &f, sizeof(f));
	for (size_t len = 1; len < sizeof(f); len += 13)
		send_flow(&f, len, (int[]){p.guest[1], p.server[1]}, 2);
	for (int i = 0; i < 4; i++)
		turn();
	assert_int_equal(take_abort(), 0);
	send_flow(big, sizeof(f) + 1, (int[]){p.guest[1], p.server[1]}, 2);
	send_flow(big, 100000, NULL, 0);
	turn();
	assert_int_equal(take_abort(), 9); /* it says who it is */
	assert_int_equal(take_abort(), 9);
	for (uint32_t type = 0; type < 8; type++) {
		f.type = type == TLSLINK_FLOW ? 99 : type;
		send_flow(&f, sizeof(f), (int[]){p.guest[1], p.server[1]}, 2);
	}
	turn();
	assert_int_equal(take_abort(), 0);
	assert_int_equal(started.n, 0);
	assert_int_equal(count_files(), before);
	/* And the link is as good as before. */
	f.type = TLSLINK_FLOW;
	send_flow(&f, sizeof(f), (int[]){p.guest[1], p.server[1]}, 2);
	turn();
	assert_int_equal(started.n, 1);
	pairs_close(&p);
}

static void the_loop_ends_with_the_link(void **state)
{
	(void)state;
	close_fd(&peer);
	assert_int_equal(loop_run(tls.loop), 0);
	tls.secrets = secrets_new();
	assert_int_equal(link_send_config(tls.link), -EPIPE);
}

static void a_link_that_is_gone_is_not_written_to(void **state)
{
	struct tls_event ev = {.what = TLSLINK_NOTE, .count = 1, .text = "x"};

	(void)state;
	close_fd(&peer);
	link_event(tls.link, &ev); /* finds out */
	link_event(tls.link, &ev);
	link_send_abort(tls.link, 4);
	assert_int_equal(loop_run(tls.loop), 0);
}

/* ---- what is told ---- */

static void say(enum tlslink_what what, bool terminate, const char *text)
{
	link_event(tls.link, &(struct tls_event){what, terminate, 1, text});
}

static void an_event_says_what_it_is(void **state)
{
	struct tlslink_event m;
	char text[TLSLINK_TEXT_MAX + 100];

	(void)state;
	memset(text, 't', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	say(TLSLINK_REFUSED, false, "no such name");
	assert_true(take_event(&m));
	assert_int_equal(m.what, TLSLINK_REFUSED);
	assert_int_equal(m.flags, 0);
	assert_int_equal(m.count, 1);
	assert_string_equal(m.text, "no such name");
	say(TLSLINK_VIOLATION, true, text);
	assert_true(take_event(&m));
	assert_int_equal(m.flags, TLSLINK_TERMINATE);
	assert_int_equal(strlen(m.text), TLSLINK_TEXT_MAX);
	link_event(tls.link,
	           &(struct tls_event){TLSLINK_USED, false, 41, NULL});
	assert_true(take_event(&m));
	assert_int_equal(m.what, TLSLINK_USED);
	assert_int_equal(m.count, 41);
	assert_string_equal(m.text, "");
	assert_false(take_event(&m));
}

/* The guest may know it from elsewhere, and have it in a path. */
static void a_line_has_no_value(void **state)
{
	struct secret c = {.value = (uint8_t *)(uintptr_t) "s3cr3t-value",
	                   .len = 12};
	struct secrets set = {.n = 1, .v = &c}, *was = tls.secrets;
	struct tlslink_event m;

	(void)state;
	tls.secrets = &set;
	say(TLSLINK_NOTE, false, "GET /s3cr3t-value/s3cr3t-value? s3cr3t");
	tls.secrets = was;
	assert_true(take_event(&m));
	assert_string_equal(m.text, "GET /************/************? s3cr3t");
}

/* Nobody reads: thousands of events, then the machine's end. */
static void
events_without_room_are_summed_and_the_end_is_never_lost(void **state)
{
	uint64_t seen[8] = {0}, lines = 0;
	bool end = false;
	struct tlslink_event m;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		say(TLSLINK_VIOLATION, false, "a placeholder went astray");
		link_event(tls.link,
		           &(struct tls_event){TLSLINK_USED, false, 3, NULL});
	}
	say(TLSLINK_VIOLATION, true, "the end");
	say(TLSLINK_VIOLATION, true, "another end");
	for (int i = 0; i < 5000; i++) {
		while (take_event(&m)) {
			seen[m.what] += m.count;
			lines += m.text[0] != '\0';
			if (m.flags & TLSLINK_TERMINATE) {
				assert_false(end);
				assert_string_equal(m.text, "the end");
				end = true;
			}
		}
		turn();
	}
	assert_true(end);
	assert_true(seen[TLSLINK_VIOLATION] == 5002);
	assert_true(seen[TLSLINK_USED] == 15000);
	assert_true(lines > 64 && lines < 5000);
}

static void the_end_goes_before_events_that_wait(void **state)
{
	struct tlslink_event m;
	unsigned before = 0, told = 0;

	(void)state;
	for (unsigned i = 0; i < 2000; i++)
		say(TLSLINK_NOTE, false, "a line");
	say(TLSLINK_NOTE, true, "the end");
	while (take_event(&m)) /* what the kernel holds */
		before++;
	turn();
	assert_true(take_event(&m));
	assert_int_equal(m.flags, TLSLINK_TERMINATE);
	while (take_event(&m))
		told++;
	assert_true(told > 0 && before > 0);
}

/* All that there are flows for, and nobody reads. */
static void no_abort_is_lost(void **state)
{
	uint64_t sent = 0, next = 1;
	struct pairs p;

	(void)state;
	pairs_open(&p);
	started.refuse = true;
	for (int round = 0; round < 200; round++) {
		for (int i = 0; i < 64; i++) {
			struct tlslink_flow f = a_flow(sent + 1, "a.test");
			struct pollfd can = {peer, POLLOUT, 0};

			if (poll(&can, 1, 0) != 1 || !(can.revents & POLLOUT))
				break;
			send_flow(&f, sizeof(f),
			          (int[]){p.guest[1], p.server[1]}, 2);
			sent++;
		}
		turn();
	}
	/* It stopped taking them in, while it could not answer. */
	assert_true(sent > 500 && started.n < sent);
	for (int round = 0; round < 20000 && next <= sent; round++) {
		uint64_t id;

		while ((id = take_abort()) != 0)
			assert_true(id == next++);
		turn();
	}
	assert_true(next == sent + 1);
	assert_true(started.n == sent);
	pairs_close(&p);
}

static void of_configs_that_wait_the_newest_is_told(void **state)
{
	static char packet[TLSLINK_PACKET_MAX];
	char last[64] = {0};
	ssize_t n;

	(void)state;
	tls.secrets = secrets_new();
	assert_int_equal(secrets_seal(tls.secrets), 0);
	tls.options.nports = 1;
	for (unsigned i = 0; i < 3000; i++) {
		tls.options.ports[0] = (uint16_t)(i + 1);
		assert_int_equal(link_send_config(tls.link), 0);
	}
	for (int round = 0; round < 3000; round++) {
		while ((n = take(packet, sizeof(packet) - 1)) > 0) {
			assert_int_equal(packet[0], TLSLINK_CONFIG);
			packet[n] = '\0';
			(void)snprintf(last, sizeof(last), "%.60s", packet + 4);
		}
		turn();
	}
	assert_non_null(strstr(last, "{\"ports\":[3000],"));
}

/* A CONFIG that the socket cannot hold changes nothing; the link lives on. */
static void a_config_that_no_packet_holds_is_refused(void **state)
{
	static char packet[TLSLINK_PACKET_MAX];
	int room = 4096, fd = link_fd;
	char name[200];

	(void)state;
	tls.secrets = secrets_new();
	assert_int_equal(secrets_seal(tls.secrets), 0);
	assert_int_equal(link_send_config(tls.link), 0);
	assert_int_equal(
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
	for (int i = 0; i < 100; i++) {
		(void)snprintf(name, sizeof(name), "n%d.%0150d.test", i, 0);
		assert_int_equal(strv_add(&tls.options.bypass, name), 0);
	}
	assert_int_equal(link_send_config(tls.link), -E2BIG);
	assert_true(take(packet, sizeof(packet)) > 0);
	say(TLSLINK_NOTE, false, "still there");
	assert_true(take(packet, sizeof(packet)) ==
	            sizeof(struct tlslink_event));
	strv_release(&tls.options.bypass);
	assert_int_equal(link_send_config(tls.link), 0);
	assert_true(take(packet, sizeof(packet)) > 0);
}

#define LINK_TEST(f) cmocka_unit_test_setup_teardown(f, up, down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		LINK_TEST(a_flow_is_handed_on_with_its_descriptors),
		LINK_TEST(names_that_a_flow_may_have_are_taken),
		LINK_TEST(a_wrong_flow_is_aborted_and_its_descriptors_closed),
		LINK_TEST(a_name_without_an_end_is_refused),
		LINK_TEST(numbers_only_grow),
		LINK_TEST(a_flow_has_two_streams),
		LINK_TEST(descriptors_beyond_what_fits_are_closed),
		LINK_TEST(packets_of_another_size_or_type_are_refused),
		LINK_TEST(the_loop_ends_with_the_link),
		LINK_TEST(a_link_that_is_gone_is_not_written_to),
		LINK_TEST(an_event_says_what_it_is),
		LINK_TEST(a_line_has_no_value),
		LINK_TEST(
			events_without_room_are_summed_and_the_end_is_never_lost),
		LINK_TEST(the_end_goes_before_events_that_wait),
		LINK_TEST(no_abort_is_lost),
		LINK_TEST(of_configs_that_wait_the_newest_is_told),
		LINK_TEST(a_config_that_no_packet_holds_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
