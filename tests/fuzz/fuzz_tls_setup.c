/*
 * What msb-tls reads of its two sides. The first byte says which: a setup or an
 * update of the library's (values and all, cut as its high bits say), as it is
 * or with lengths made here, or a FLOW packet of the network's with two
 * descriptors.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "policy/policy.h"
#include "tls/setup.h"

static struct tls tls;
static int peer;
static uint64_t last_id;

static void must(bool what)
{
	if (!what)
		abort();
}

/* ---- what is not looked at here ---- */

int ca_make(struct ca **ret, struct err *err)
{
	(void)err;
	*ret = NULL;
	return 0;
}

int ca_load(const char *cert_pem, const char *key_pem, size_t key_len,
            struct ca **ret, struct err *err)
{
	must(cert_pem[0] && key_pem && key_len && !memchr(key_pem, 0, key_len));
	return ca_make(ret, err);
}

int upstreams_new(const char *roots_pem, const struct upstream_ca *more,
                  size_t nmore, const struct strv *no_verify,
                  struct upstreams **ret, struct err *err)
{
	(void)err;
	must(roots_pem && no_verify->n <= TLS_PATTERNS_MAX);
	for (size_t i = 0; i < nmore; i++)
		must(more[i].pattern[0] && more[i].pem);
	*ret = NULL;
	return 0;
}

/* Whoever comes this far is what the contract says. */
int flow_start(struct tls *t, const struct tlslink_flow *f, int guest_fd,
               int server_fd)
{
	char name[POLICY_NAME_MAX + 1];

	must(t == &tls && f->id > last_id && f->port && f->pinned <= 1);
	must(f->kind == TLSLINK_TLS || f->kind == TLSLINK_CONNECT);
	must(strnlen(f->name, sizeof(f->name)) <= TLSLINK_NAME_MAX);
	must(!f->name[0] ||
	     (policy_name(f->name, name) == 0 && strcmp(name, f->name) == 0));
	last_id = f->id;
	must(close(guest_fd) == 0 && close(server_fd) == 0);
	return 0;
}

/* ---- the world ---- */

static void start_link(void)
{
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
	peer = ends[0];
	last_id = 0;
	must(link_new(&tls, ends[1], &tls.link) == 0);
}

static void end_link(void)
{
	link_free(tls.link);
	(void)close(peer);
}

static void drain(void)
{
	char packet[64];

	while (recv(peer, packet, sizeof(packet), MSG_DONTWAIT) > 0)
		;
}

/* ---- requests ---- */

static void check_secrets(const struct setup_request *rq)
{
	for (size_t i = 0; i < rq->nset; i++) {
		const struct setup_secret *s = &rq->set[i];

		must(s->s.placeholder_len >= TLS_PLACEHOLDER_MIN &&
		     s->s.placeholder_len <= TLS_PLACEHOLDER_MAX &&
		     s->s.where && s->s.hosts.n &&
		     s->s.hosts.n <= TLS_HOSTS_MAX);
		must(s->has_value == (s->s.value != NULL));
		must(!s->has_value ||
		     (s->s.len && !memchr(s->s.value, 0, s->s.len)));
		for (size_t k = 0; k < i; k++)
			must(strncmp(s->s.placeholder, rq->set[k].s.placeholder,
			             MIN(s->s.placeholder_len,
			                 rq->set[k].s.placeholder_len)) != 0);
	}
}

static void forget_options(void)
{
	strv_release(&tls.options.bypass);
	secrets_unref(tls.secrets);
	tls.secrets = secrets_new();
	must(tls.secrets && secrets_seal(tls.secrets) == 0);
}

/* The set stays for the next input, unless this one was a setup. */
static void apply(const struct setup_request *rq)
{
	struct secrets *was = tls.secrets;
	struct err err = {0};
	int r;

	check_secrets(rq);
	if (!rq->update) {
		forget_options();
		secrets_unref(tls.secrets);
		tls.secrets = NULL;
	}
	r = setup_apply(&tls, rq, &err);
	must(r == 0 || err.msg[0]);
	must(r == 0 || !rq->update || tls.secrets == was);
	if (!rq->update || (tls.secrets && tls.secrets->n > 8))
		forget_options();
	drain();
}

static void request(const uint8_t *data, size_t len, bool update, size_t step)
{
	struct setup_input in;
	struct err err = {0};
	int r = 0;

	setup_input_init(&in, update);
	while (r == 0 && len) {
		size_t room, n;
		void *to = setup_input_room(&in, &room);

		must(room > 0);
		n = MIN(MIN(room, len), step);
		memcpy(to, data, n);
		data += n;
		len -= n;
		r = setup_input_got(&in, n, &err);
	}
	must(r >= 0 || err.msg[0]);
	if (r == 1)
		apply(&in.rq);
	setup_input_release(&in);
}

/* JSON, then values, with a zero byte between each and the next: the lengths
   are made, so that what is mutated stays a request. */
static void framed(const uint8_t *data, size_t len, bool update, size_t step)
{
	struct buf b = BUF_INIT;
	uint8_t head[4];

	for (;;) {
		const uint8_t *end = memchr(data, 0, len);
		size_t n = end ? (size_t)(end - data) : len;

		put_le32(head, (uint32_t)n);
		must(buf_add(&b, head, sizeof(head)) == 0 &&
		     buf_add(&b, data, n) == 0);
		if (!end)
			break;
		data += n + 1;
		len -= n + 1;
	}
	request(b.data, b.len, update, step);
	buf_release(&b);
}

/* ---- packets ---- */

/* As the fuzzer has it, or, by its size, made a FLOW but for some bytes. */
static void packet(const uint8_t *data, size_t len, bool shape)
{
	struct tlslink_flow f = {.type = TLSLINK_FLOW, .kind = 1, .port = 443};
	int pair[2];

	if (len > TLSLINK_PACKET_MAX)
		return;
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
	if (shape) {
		f.id = last_id + 1;
		memcpy(f.name, data, MIN(len, sizeof(f.name)));
		data = (const uint8_t *)&f;
		len = sizeof(f);
	}
	if (len) /* an empty one is the link's end */
		must(fd_send(peer, data, len, pair, 2) == (ssize_t)len);
	(void)close(pair[0]);
	(void)close(pair[1]);
	must(loop_step(tls.loop, 0) == 0);
	drain();
	if (last_id == UINT64_MAX) {
		end_link();
		start_link();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (!tls.loop) {
		log_setup("fuzz", 2, LOG_NONE);
		tls.loop = loop_new();
		must(tls.loop != NULL);
		forget_options();
		start_link();
	}
	if (len < 1)
		return 0;
	if (data[0] & 2)
		packet(data + 1, len - 1, data[0] & 1);
	else if (data[0] & 4)
		framed(data + 1, len - 1, data[0] & 1, (data[0] >> 3) + 1u);
	else
		request(data + 1, len - 1, data[0] & 1, (data[0] >> 3) + 1u);
	return 0;
}
