/*
 * world.h - flows without a machine: clients and servers of OpenSSL in this
 * process, over socket pairs, and what msb-tls would say on its link.
 */
#ifndef TEST_TLS_WORLD_H
#define TEST_TLS_WORLD_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/num.h"
#include "tls/tls.h"

#include "lib/test.h"

/* A certificate to be made. */
struct cert_wish {
	const char *name; /* SAN; NULL: none */
	long from, to;    /* seconds from now; 0 and 0: -1 h, +1 h */
	bool ca;          /* an authority */
	X509 *issuer;     /* NULL: self-signed */
	EVP_PKEY *key;    /* the issuer's */
};
X509 *world_cert(EVP_PKEY *key, const struct cert_wish *w);
char *world_pem(X509 *x);
char *world_key_pem(EVP_PKEY *key);

enum peer_end { PEER_OPEN, PEER_NOTIFY, PEER_FIN, PEER_BROKEN };

/* A client (the guest), a server, or without SSL a clear peer. */
struct peer {
	int fd;
	SSL *ssl;
	struct buf in, out; /* received; to be sent */
	bool shut, told;    /* end our direction when out is empty */
	bool cut;           /* without close_notify */
	bool deaf;          /* reads nothing */
	size_t chunk;       /* at most so many bytes a step; 0: no limit */
	bool secure;        /* the handshake is done */
	enum peer_end end;
	int alert;       /* received, or -1 */
	size_t total_in; /* when in is not kept */
	bool drop;       /* keep only total_in */
};

#define WORLD_EVENTS 64

struct world {
	struct tls tls;
	EVP_PKEY *key;       /* of the server's side */
	X509 *ca;            /* that the flows trust */
	SSL_CTX *client_ctx; /* trusts the flows' CA */
	struct {
		enum tlslink_what what;
		bool terminate;
		char text[TLSLINK_TEXT_MAX + 1];
	} events[WORLD_EVENTS];
	unsigned nevents, naborts;
	uint64_t next_id;
};

void world_open(struct world *w, const struct strv *no_verify);
void world_close(struct world *w);

/* A server's context; @cert NULL: one that is right for @name. */
SSL_CTX *world_server_ctx(struct world *w, const char *name, X509 *cert);

/* Both peers are made; the flow is handed over. flow_start()'s answer. */
int world_flow(struct world *w, struct tlslink_flow *m, struct peer *guest,
               struct peer *server);
struct tlslink_flow world_message(struct world *w, const char *name);
/* Its SSL, with SNI (NULL: none) and ALPN (NULL: none, wire form). */
void peer_client(struct peer *p, struct world *w, const char *sni,
                 const char *alpn);
void peer_server(struct peer *p, SSL_CTX *ctx);
void peer_step(struct peer *p);
void peer_close(struct peer *p);

/* Everybody's turn until @done says so; fails the test after 20 s. */
#define world_until(w, condition, ...)                                         \
	do {                                                                   \
		struct peer *peers_[] = {__VA_ARGS__};                         \
		uint64_t end_ = clock_now_ns() + 20 * NS_PER_S;                \
		while (!(condition)) {                                         \
			for (size_t i_ = 0; i_ < ARRAY_SIZE(peers_); i_++)     \
				peer_step(peers_[i_]);                         \
			assert_int_equal(loop_step((w)->tls.loop, 1), 0);      \
			if (clock_now_ns() > end_)                             \
				fail_msg("%s does not come", #condition);      \
		}                                                              \
	} while (0)

bool world_said(const struct world *w, enum tlslink_what what,
                const char *part);

#endif
