/*
 * Pulls against a server in this process: what end-to-end tests cannot see,
 * the order of events, cancellation at each of them, and threads under
 * sanitizers. (tests/e2e/test_pull.py has the faults.)
 */
#include "lib/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdio.h"
#include "base/num.h"
#include "image/image.h"
#include "image/meter.h"
#include "image/tarball.h"

#ifdef __aarch64__
#define ARCH "arm64"
#else
#define ARCH "amd64"
#endif

#define LAYERS 3
#define OCI    "application/vnd.oci.image."

struct document {
	char path[160];
	uint8_t *data;
	size_t len;
	unsigned asked;
};

struct server {
	int fd;
	unsigned port;
	pthread_t thread;
	struct document docs[LAYERS + 2];
	size_t n;
	unsigned hang_ms; /* before each answer */
	bool stop;
};

static void add_doc(struct server *sv, const char *kind, const char *name,
                    const void *data, size_t len)
{
	struct document *d = &sv->docs[sv->n++];

	(void)snprintf(d->path, sizeof(d->path), "GET /v2/app/%s/%s ", kind,
	               name);
	d->data = malloc(len + 1);
	assert_non_null(d->data);
	memcpy(d->data, data, len);
	d->len = len;
}

static void add_blob(struct server *sv, const void *data, size_t len,
                     struct digest *ret)
{
	char text[DIGEST_TEXT_LEN + 1];

	digest_of(data, len, ret);
	add_doc(sv, "blobs", digest_text(ret, text), data, len);
}

static void make_image(struct server *sv)
{
	struct buf cleanup_buf ids = BUF_INIT, list = BUF_INIT, b = BUF_INIT;
	char text[DIGEST_TEXT_LEN + 1];
	struct digest d;

	for (int i = 0; i < LAYERS; i++) {
		struct tarball t = TARBALL_INIT;
		char name[16];

		(void)snprintf(name, sizeof(name), "file%d", i);
		tb_text(&t, name, "content");
		tb_end(&t);
		add_blob(sv, t.b.data, t.b.len, &d);
		(void)buf_printf(&ids, "%s\"%s\"", i ? "," : "",
		                 digest_text(&d, text));
		(void)buf_printf(&list,
		                 "%s{\"mediaType\":\"" OCI "layer.v1.tar\","
		                 "\"digest\":\"%s\",\"size\":%zu}",
		                 i ? "," : "", text, t.b.len);
		tb_release(&t);
	}
	(void)buf_printf(&b,
	                 "{\"architecture\":\"" ARCH "\",\"rootfs\":{\"type\":"
	                 "\"layers\",\"diff_ids\":[%s]}}",
	                 buf_str(&ids));
	add_blob(sv, b.data, b.len, &d);
	(void)digest_text(&d, text);
	buf_reset(&ids);
	(void)buf_printf(&ids,
	                 "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"" OCI
	                 "config.v1+json\",\"digest\":\"%s\",\"size\":%zu},"
	                 "\"layers\":[%s]}",
	                 text, b.len, buf_str(&list));
	add_doc(sv, "manifests", "v1", ids.data, ids.len);
}

/* One request, one answer, one connection. */
static void answer(struct server *sv, int fd)
{
	char rq[4096] = "", head[256];
	struct document *d = NULL;
	ssize_t n, got = 0;

	while (got < (ssize_t)sizeof(rq) - 1 && !strstr(rq, "\r\n\r\n") &&
	       (n = read(fd, rq + got, sizeof(rq) - 1 - (size_t)got)) > 0)
		got += n;
	for (size_t i = 0; i < sv->n; i++)
		if (strncmp(rq, sv->docs[i].path, strlen(sv->docs[i].path)) ==
		    0)
			d = &sv->docs[i];
	if (d)
		d->asked++;
	(void)usleep(sv->hang_ms * 1000);
	(void)snprintf(head, sizeof(head),
	               "HTTP/1.1 %s\r\nConnection: close\r\n"
	               "Content-Length: %zu\r\n\r\n",
	               d ? "200 OK" : "404 Not Found", d ? d->len : 0);
	(void)send(fd, head, strlen(head), MSG_NOSIGNAL);
	if (d)
		(void)send(fd, d->data, d->len, MSG_NOSIGNAL);
}

static void *serve(void *arg)
{
	struct server *sv = arg;
	int fd;

	while ((fd = accept(sv->fd, NULL, NULL)) >= 0) {
		answer(sv, fd);
		(void)close(fd);
	}
	return NULL;
}

static void server_start(struct server *sv)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);

	make_image(sv);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sv->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(sv->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(sv->fd, 64), 0);
	assert_int_equal(getsockname(sv->fd, (struct sockaddr *)&a, &len), 0);
	sv->port = ntohs(a.sin_port);
	assert_int_equal(pthread_create(&sv->thread, NULL, serve, sv), 0);
}

static void server_stop(struct server *sv)
{
	(void)shutdown(sv->fd, SHUT_RDWR);
	(void)pthread_join(sv->thread, NULL);
	(void)close(sv->fd);
	for (size_t i = 0; i < sv->n; i++)
		free(sv->docs[i].data);
}

static int pull(struct server *sv, struct store *s, struct image_pull_opts *o,
                struct image *img, struct err *err)
{
	char ref[64];

	(void)snprintf(ref, sizeof(ref), "127.0.0.1:%u/app:v1", sv->port);
	return image_pull(s, ref, o, img, err);
}

struct seen {
	unsigned kinds[IMAGE_EV_DONE + 1];
	enum image_event_kind last;
	bool out_of_order, busy;
	int refuse_at; /* -1: never */
	int n;
};

static int watch(void *arg, const struct image_event *ev)
{
	struct seen *s = arg;

	if (s->busy)
		s->out_of_order = true; /* two calls at once */
	s->busy = true;
	if (ev->kind == IMAGE_EV_RESOLVING && s->kinds[IMAGE_EV_RESOLVED])
		s->out_of_order = true;
	if (ev->kind == IMAGE_EV_LAYER_DONE && ev->done != ev->total)
		s->out_of_order = true;
	if (ev->kind >= IMAGE_EV_MERGING &&
	    s->kinds[IMAGE_EV_LAYER_DONE] != LAYERS)
		s->out_of_order = true;
	s->kinds[ev->kind]++;
	s->last = ev->kind;
	s->busy = false;
	return s->refuse_at >= 0 && s->n++ >= s->refuse_at;
}

static void events_come_in_order_and_each_blob_once(void **state)
{
	struct server sv = {0};
	struct store *s = test_store_open();
	struct seen seen = {.refuse_at = -1};
	struct image_pull_opts o = {.event = watch, .event_arg = &seen};
	struct image img;

	(void)state;
	server_start(&sv);
	assert_int_equal(pull(&sv, s, &o, &img, NULL), 0);
	assert_int_equal(img.nlayers, LAYERS);
	image_release(&img);
	assert_false(seen.out_of_order);
	assert_int_equal(seen.kinds[IMAGE_EV_RESOLVED], 1);
	assert_int_equal(seen.kinds[IMAGE_EV_LAYER_DONE], LAYERS);
	assert_int_equal(seen.last, IMAGE_EV_DONE);
	for (size_t i = 0; i < sv.n; i++)
		assert_int_equal(sv.docs[i].asked, 1);
	server_stop(&sv);
	/* Now it is here: no server is needed. */
	assert_int_equal(pull(&sv, s, &o, &img, NULL), 0);
	image_release(&img);
	test_store_close(s);
}

static void it_can_be_cancelled_at_every_event(void **state)
{
	struct server sv = {.hang_ms = 5};
	int r = -ECANCELED;

	(void)state;
	server_start(&sv);
	for (int n = 0; r == -ECANCELED; n++) {
		struct store *s = test_store_open();
		struct seen seen = {.refuse_at = n};
		struct image_pull_opts o = {.event = watch, .event_arg = &seen};
		struct image img = {0};
		struct err err = {0};

		assert_true(n < 200);
		r = pull(&sv, s, &o, &img, &err);
		assert_true(r == 0 || r == -ECANCELED);
		assert_int_equal(err.code, r);
		image_release(&img);
		test_store_close(s);
	}
	server_stop(&sv);
}

static void a_silent_server_can_be_cancelled_soon(void **state)
{
	struct server sv = {.hang_ms = 3000};
	struct store *s = test_store_open();
	struct seen seen = {.refuse_at = 3};
	struct image_pull_opts o = {.event = watch, .event_arg = &seen};
	uint64_t start = clock_now_ns();
	struct image img;

	(void)state;
	server_start(&sv);
	assert_int_equal(pull(&sv, s, &o, &img, NULL), -ECANCELED);
	assert_true(clock_now_ns() - start < 2 * NS_PER_S);
	server_stop(&sv);
	test_store_close(s);
}

static void what_is_not_here_is_not_fetched_when_told_so(void **state)
{
	struct server sv = {0};
	struct store *s = test_store_open();
	struct image_pull_opts o = {.policy = IMAGE_PULL_NEVER};
	struct err err = {0};
	struct image img;

	(void)state;
	server_start(&sv);
	assert_int_equal(pull(&sv, s, &o, &img, &err), -ENOENT);
	assert_non_null(strstr(err.hint, "msb pull"));
	server_stop(&sv);
	for (size_t i = 0; i < sv.n; i++)
		assert_int_equal(sv.docs[i].asked, 0);
	test_store_close(s);
}

static void a_missing_layer_is_fetched_though_the_name_is_known(void **state)
{
	struct server sv = {0};
	struct store *s = test_store_open();
	struct image_pull_opts o = {0};
	struct image img;
	char path[160], hex[DIGEST_HEX_LEN + 1];

	(void)state;
	server_start(&sv);
	assert_int_equal(pull(&sv, s, &o, &img, NULL), 0);
	(void)digest_hex(&img.diff_ids[1], hex);
	(void)snprintf(path, sizeof(path), "layers/%.2s/%s", hex, hex);
	image_release(&img);
	assert_int_equal(dir_remove(s->fd, path), 0);
	assert_int_equal(pull(&sv, s, &o, &img, NULL), 0);
	image_release(&img);
	assert_int_equal(sv.docs[0].asked, 1);
	assert_int_equal(sv.docs[1].asked, 2);
	server_stop(&sv);
	test_store_close(s);
}

struct racer {
	struct server *sv;
	struct store *s;
	int result;
};

static void *race(void *arg)
{
	struct racer *r = arg;
	struct image_pull_opts o = {.policy = IMAGE_PULL_ALWAYS};
	struct image img = {0};

	r->result = pull(r->sv, r->s, &o, &img, NULL);
	image_release(&img);
	return NULL;
}

static void threads_of_one_process_share_the_work(void **state)
{
	struct server sv = {0};
	struct store *s = test_store_open();
	struct racer racers[6];
	pthread_t threads[6];

	(void)state;
	server_start(&sv);
	for (int i = 0; i < 6; i++) {
		racers[i] = (struct racer){&sv, s, -1};
		assert_int_equal(
			pthread_create(&threads[i], NULL, race, &racers[i]), 0);
	}
	for (int i = 0; i < 6; i++) {
		(void)pthread_join(threads[i], NULL);
		assert_int_equal(racers[i].result, 0);
	}
	server_stop(&sv);
	for (size_t i = 0; i < LAYERS + 1; i++)
		assert_int_equal(sv.docs[i].asked, 1);
	test_store_close(s);
}

static void progress_is_told_at_most_every_50_ms(void **state)
{
	struct seen seen = {.refuse_at = -1};
	struct image_pull_opts o = {.event = watch, .event_arg = &seen};
	struct meter m;
	uint64_t start = clock_now_ns(), ms;

	(void)state;
	meter_init(&m, &o, "x");
	assert_int_equal(meter_layers(&m, 1, NULL), 0);
	while (clock_now_ns() - start < 300 * NS_PER_MS)
		assert_int_equal(meter_bytes(&m, 0, 1), 0);
	ms = (clock_now_ns() - start) / NS_PER_MS;
	assert_in_range(seen.kinds[IMAGE_EV_LAYER], 2, ms / 50 + 1);
	meter_stop(&m);
	assert_int_equal(meter_bytes(&m, 0, 2), -ECANCELED);
	assert_int_equal(meter_sleep(&m, 10000), -ECANCELED);
	meter_release(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_come_in_order_and_each_blob_once),
		cmocka_unit_test(it_can_be_cancelled_at_every_event),
		cmocka_unit_test(a_silent_server_can_be_cancelled_soon),
		cmocka_unit_test(what_is_not_here_is_not_fetched_when_told_so),
		cmocka_unit_test(
			a_missing_layer_is_fetched_though_the_name_is_known),
		cmocka_unit_test(threads_of_one_process_share_the_work),
		cmocka_unit_test(progress_is_told_at_most_every_50_ms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
