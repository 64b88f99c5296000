#include "tls/end.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

#include "base/num.h"

#include "base/banned.h"

/* ---- the BIO ------------------------------------------------------------- */

static ssize_t socket_read(struct end *e, void *data, size_t len)
{
	ssize_t n;

	if (e->dry || e->eof)
		return -EAGAIN;
	do {
		n = recv(e->source.fd, data, len, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return e->error = errno, -errno;
	e->eof = n == 0;
	/* TCP and sockets of a pair give what they have. */
	e->dry = n < (ssize_t)len;
	return n > 0 ? n : -EAGAIN;
}

static int bio_read(BIO *b, char *data, int len)
{
	ssize_t n = socket_read(BIO_get_data(b), data, (size_t)len);

	BIO_clear_retry_flags(b);
	if (n == -EAGAIN)
		BIO_set_retry_read(b);
	return n < 0 ? -1 : (int)n;
}

static int bio_write(BIO *b, const char *data, int len)
{
	struct end *e = BIO_get_data(b);
	int r = e->wire.len >= END_GATHER ? end_flush(e) : 0;

	BIO_clear_retry_flags(b);
	if (e->wire.len >= END_GATHER || buf_add(&e->wire, data, (size_t)len)) {
		if (r == -EAGAIN)
			BIO_set_retry_write(b);
		return -1;
	}
	return len;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
	(void)b;
	(void)num;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH;
}

static int bio_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

/* One for the process, as OpenSSL's own are. */
static const BIO_METHOD *bio_method(void)
{
	static BIO_METHOD *m;

	if (m)
		return m;
	m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK,
	                 "microsandbox");
	if (!m || !BIO_meth_set_read(m, bio_read) ||
	    !BIO_meth_set_write(m, bio_write) ||
	    !BIO_meth_set_ctrl(m, bio_ctrl) ||
	    !BIO_meth_set_create(m, bio_create)) {
		BIO_meth_free(m);
		m = NULL;
	}
	return m;
}

/* ---- begin and end ------------------------------------------------------- */

int end_init(struct end *e, int fd)
{
	int flags = fcntl(fd, F_GETFL), type = 0;
	socklen_t len = sizeof(type);

	*e = (struct end){
		.source.fd = fd,
		.wire = BUF_INIT_MAX(END_GATHER + (20u << 10)),
	};
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) < 0)
		return -errno;
	if (type != SOCK_STREAM)
		return -ENOTSOCK;
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	return 0;
}

int end_secure(struct end *e, SSL *ssl)
{
	const BIO_METHOD *m = bio_method();
	BIO *b = m && ssl ? BIO_new(m) : NULL;

	if (!b) {
		SSL_free(ssl);
		return -ENOMEM;
	}
	BIO_set_data(b, e);
	SSL_set_bio(ssl, b, b);
	e->ssl = ssl;
	return 0;
}

/*
 * OpenSSL takes a session for spoiled whose connection ended without words;
 * most servers' do. A broken one it has thrown away by now.
 */
void end_close(struct end *e, struct loop *l)
{
	if (e->ssl)
		SSL_set_shutdown(e->ssl,
		                 SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(e->ssl);
	e->ssl = NULL;
	buf_release(&e->wire);
	loop_close(l, &e->source);
}

void end_reset(struct end *e, struct loop *l)
{
	struct linger now = {.l_onoff = 1};

	if (e->source.fd >= 0)
		(void)setsockopt(e->source.fd, SOL_SOCKET, SO_LINGER, &now,
		                 sizeof(now));
	end_close(e, l);
}

/* ---- turns --------------------------------------------------------------- */

void end_turn(struct end *e, uint32_t events)
{
	if (events & (EPOLLHUP | EPOLLERR))
		e->gone = true;
	e->dry = e->full = e->want_in = e->want_out = e->waits = false;
}

/*
 * epoll tells of a peer that is gone whether it was asked or not: while nothing
 * is wanted from such a one it is taken out, or the loop would spin.
 */
int end_watch(struct end *e, struct loop *l,
              void (*cb)(void *arg, uint32_t events), void *arg)
{
	uint32_t events = (e->want_in && !e->eof ? EPOLLIN : 0u) |
	                  (e->want_out ? EPOLLOUT : 0u);

	if (e->source.fd < 0)
		return 0;
	if (events == 0 && e->gone) {
		loop_del(l, &e->source);
		return 0;
	}
	if (!e->source.added)
		return loop_add(l, &e->source, e->source.fd, events, cb, arg);
	return loop_mod(l, &e->source, events);
}

/* ---- bytes --------------------------------------------------------------- */

/* What @r, OpenSSL's answer, means. */
static int tls_result(struct end *e, int r)
{
	switch (SSL_get_error(e->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		if (e->eof)
			return -ENODATA;
		e->want_in = true;
		return -EAGAIN;
	case SSL_ERROR_WANT_WRITE:
		e->want_out = true;
		return -EAGAIN;
	case SSL_ERROR_WANT_CLIENT_HELLO_CB:
		return -EINPROGRESS;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		return e->error ? -e->error : -EPROTO;
	}
}

int end_handshake(struct end *e)
{
	int r, sent;

	ERR_clear_error();
	r = SSL_do_handshake(e->ssl);
	r = r == 1 ? 0 : tls_result(e, r);
	sent = end_flush(e);
	if (sent < 0 && sent != -EAGAIN && (r == 0 || r == -EAGAIN))
		return sent;
	return r;
}

ssize_t end_read(struct end *e, void *data, size_t len)
{
	ssize_t n;
	int r;

	if (!e->ssl) {
		n = socket_read(e, data, len);
		if (n == -EAGAIN && e->eof)
			return 0;
		e->waits = n == -EAGAIN;
		e->want_in |= e->waits;
		return n;
	}
	ERR_clear_error();
	r = SSL_read(e->ssl, data, (int)MIN(len, (size_t)INT32_MAX));
	if (r > 0)
		return r;
	r = tls_result(e, r);
	e->waits = r == -EAGAIN;
	return r;
}

ssize_t end_write(struct end *e, const void *data, size_t len)
{
	int r;

	if (!e->ssl) {
		r = e->wire.len >= END_GATHER ? end_flush(e) : 0;
		if (r < 0)
			return r;
		len = MIN(len, END_GATHER + (16u << 10) - e->wire.len);
		r = buf_add(&e->wire, data, len);
		return r < 0 ? r : (ssize_t)len;
	}
	ERR_clear_error();
	r = SSL_write(e->ssl, data, (int)MIN(len, (size_t)INT32_MAX));
	return r > 0 ? r : tls_result(e, r);
}

int end_flush(struct end *e)
{
	size_t sent = 0;
	int r = 0;

	while (!e->full && sent < e->wire.len) {
		ssize_t n = send(e->source.fd, e->wire.data + sent,
		                 e->wire.len - sent, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			e->error = errno;
			r = -errno;
			break;
		}
		e->full = n < 0;
		sent += n > 0 ? (size_t)n : 0;
	}
	buf_consume(&e->wire, sent);
	if (r < 0)
		return r;
	e->want_out |= e->wire.len > 0;
	return e->wire.len > 0 ? -EAGAIN : 0;
}

int end_finish(struct end *e, bool clean)
{
	int r;

	if (e->finished)
		return 0;
	if (e->ssl && clean &&
	    !(SSL_get_shutdown(e->ssl) & SSL_SENT_SHUTDOWN) &&
	    SSL_is_init_finished(e->ssl)) {
		ERR_clear_error();
		r = SSL_shutdown(e->ssl);
		if (r < 0) {
			r = tls_result(e, r);
			if (r == -EAGAIN)
				return r;
		}
	}
	r = end_flush(e);
	if (r == -EAGAIN)
		return r;
	(void)shutdown(e->source.fd, SHUT_WR);
	e->finished = true;
	return 0;
}

bool end_pending(const struct end *e)
{
	return e->ssl ? SSL_has_pending(e->ssl) : e->source.fd >= 0 && !e->dry;
}

void end_idle(struct end *e)
{
	if (e->ssl)
		(void)SSL_free_buffers(e->ssl);
	if (e->wire.len == 0)
		buf_release(&e->wire);
}
