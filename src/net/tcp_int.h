/*
 * tcp_int.h - what the files of the TCP endpoint share; its theory is in
 * tcp.c.
 */
#ifndef NET_TCP_INT_H
#define NET_TCP_INT_H

#include "net/dial.h"
#include "net/net_int.h"
#include "net/ring.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10

#define TCP_HEAD 20

/* What we multiply windows by, when the guest does, too. */
#define TCP_SCALE     8
#define TCP_SCALE_MAX 14 /* RFC 7323 */

#define TCP_MSS_MIN  88 /* smaller ones are not believed */
#define TCP_MSS_V4   536
#define TCP_MSS_V6   1220
#define TCP_HALF_MAX 256 /* flows that are dialled or opened now */
#define TCP_RING_MAX (64u << 20)

#define TCP_RTO_NS     (400 * NS_PER_MS)
#define TCP_RTO_MAX_NS (60 * NS_PER_S)
#define TCP_TRIES      15 /* of a segment; 9 minutes */
#define TCP_SYN_TRIES  5  /* of a SYN-ACK; 12 s */
#define TCP_OPEN_NS    (10 * NS_PER_S)
#define TCP_STARVED_NS (100 * NS_PER_MS)
#define TCP_HALF_NS    (3600 * NS_PER_S)
#define TCP_SWEEP_NS   (60 * NS_PER_S)

/* What one flow may read, and send, before others have their turn. */
#define TCP_TURN_BYTES (512u << 10)
#define TCP_TURN_FRAME 1024 /* the least that a frame counts */

#define TCP_BATCH     64
#define TCP_BATCH_IOV 1024 /* IOV_MAX */

enum tcp_state {
	TCP_DIALLING, /* the guest's SYN waits for the host's answer */
	TCP_SYN_SENT, /* into the guest: our SYN is out */
	TCP_SYN_RCVD, /* our SYN-ACK is out */
	TCP_HELD,     /* open; nothing passes until the guest names somebody */
	TCP_OPEN,     /* bytes flow; halves may be closed, see the flags */
	TCP_DEAD,     /* taken out; freed when the turn ends */
	TCP_STATES
};

enum tcp_flag {
	TCP_F_NAME = 1 << 0,  /* a name must be said: HELD comes before OPEN */
	TCP_F_SCALE = 1 << 1, /* windows are scaled */
	TCP_F_GFIN = 1 << 2, /* the guest sent its FIN, all before it is here */
	TCP_F_PASSED = 1 << 3,   /* ... and the host was told */
	TCP_F_EOF = 1 << 4,      /* the host has no more */
	TCP_F_FIN = 1 << 5,      /* ... and our FIN is out */
	TCP_F_ACKED = 1 << 6,    /* ... and acknowledged */
	TCP_F_BROKEN = 1 << 7,   /* the socket failed: RST when all is sent */
	TCP_F_ACK = 1 << 8,      /* the guest is owed an ACK */
	TCP_F_READY = 1 << 9,    /* in the list of those that wait for a turn */
	TCP_F_LINK = 1 << 10,    /* ... because the link had no room */
	TCP_F_FULL = 1 << 11,    /* the socket has more than @down can take */
	TCP_F_STARVED = 1 << 12, /* there was no memory for @down */
	TCP_F_LOST = 1 << 13,    /* resending, until @recover */
	TCP_F_PINNED = 1 << 14,  /* pins_hold() */
	TCP_F_ORPHAN = 1 << 15,  /* the guest forgot it; @up is still written */
};

/*
 * Bytes of the guest lie in @up until the socket takes them, bytes of the host
 * in @down until the guest has acknowledged them: snd_una is the number of
 * @down's first byte.
 */
struct tcp_flow {
	struct flow f;
	struct net *n;
	struct loop_fd sock; /* .fd is the host's side; -1: none yet */
	struct wheel_timer timer;
	uint64_t deadline_ns; /* 0: none; the timer may ring before it */
	struct ring up, down;
	uint32_t rcv_nxt, rcv_adv; /* from the guest: next, right edge told */
	uint32_t snd_una, snd_nxt, snd_wnd;
	uint32_t recover;
	uint16_t mss, flags;
	uint8_t state, scale, tries, dups;
	uint8_t batch;  /* its place in the batch + 1 */
	bool active;    /* tcp_open() */
	bool half;      /* counted in tcp.half */
	bool watched;   /* by the kernel's keep-alive */
	bool other;     /* dialled at the host's other loopback */
	bool first;     /* its first bytes stay in @up, until tcp_look() */
	bool open_text; /* the guest's bytes are to be searched (clear.h) */
	bool stopped;   /* ... and had what must not go out: it ends */
	uint32_t slot;  /* of intercept.c + 1; 0: none */
	struct clear *clear;
	union {
		struct dial *dial; /* DIALLING */
		struct {           /* SYN_SENT and SYN_RCVD of tcp_open() */
			void (*done)(void *arg, int error);
			void *arg;
		} opener;
		struct { /* afterwards: the list of TCP_F_READY */
			struct tcp_flow *next, *prev;
		} ready;
	};
};

/* What a batch brought for one flow; entries of tcp.iov in a chain. */
struct tcp_got {
	struct tcp_flow *f;
	uint16_t first, last; /* of tcp.seg, + 1; 0: none */
	bool fin;
	uint32_t len;
};

struct tcp_seg {
	uint16_t iov, n, next;
};

struct tcp {
	struct net *n;
	struct flow_table table;
	struct ring_pool pool;
	uint64_t key[2]; /* of sequence numbers */
	uint32_t half;   /* flows in DIALLING and SYN_SENT */
	struct tcp_flow *ready, *ready_last;
	unsigned nready;
	struct flow *dead; /* by next */
	struct loop_timer turn;
	struct wheel_timer sweep;
	/* The batch; its payload is the frames' until it ends. */
	unsigned ngot, nseg, niov;
	struct tcp_got got[TCP_BATCH];
	struct tcp_seg seg[TCP_BATCH];
	struct iovec iov[TCP_BATCH_IOV];
	struct iovec row[TCP_BATCH_IOV];
};

/* A segment's header, taken out of a packet. */
struct tcp_in {
	struct pkt *p;
	uint32_t seq, ack;
	uint16_t wnd;
	uint8_t flags;
};

/* Numbers that wrap: is @a before @b? */
static inline bool seq_lt(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) <= 0;
}

static inline bool tcp_has(const struct tcp_flow *f, unsigned flags)
{
	return (f->flags & flags) == flags;
}

/* Numbers that we sent and that nobody acknowledged. */
static inline uint32_t tcp_in_flight(const struct tcp_flow *f)
{
	return f->snd_nxt - f->snd_una;
}

/* ---- tcp.c: flows as a whole --------------------------------------------- */

struct tcp_flow *tcp_flow_new(struct net *n, const struct tuple *t, int *ret_r);
void tcp_state(struct tcp_flow *f, enum tcp_state state);
/* It is out of all lists, and its socket closed; with @reset by a RST. */
void tcp_kill(struct tcp_flow *f, bool reset);
/* The same for one of tcp_open() that is not open yet. */
void tcp_give_up(struct tcp_flow *f, int error);
/* The guest gets a RST, too. */
void tcp_abort(struct tcp_flow *f);
/* Every way in from the loop ends with it: the dead are freed. */
void tcp_turn_end(struct net *n);
void tcp_ready(struct tcp_flow *f, bool link);
void tcp_unready(struct tcp_flow *f);
void tcp_timer(struct tcp_flow *f, uint64_t in_ns);
/* Its timer as its state has it; after whatever happened to it. */
void tcp_timer_fit(struct tcp_flow *f);

/* ---- tcp_begin.c: until bytes flow --------------------------------------- */

void tcp_begin(struct net *n, const struct tcp_in *s);
void tcp_options(struct tcp_flow *f, const struct pkt *p);
/* The guest acknowledged our SYN. */
void tcp_established(struct tcp_flow *f);
/* In HELD: look at what it said; @last: there will be no more. */
void tcp_judge(struct tcp_flow *f, bool last);
void tcp_begin_late(struct tcp_flow *f); /* the timer, before OPEN */
/*
 * Its first bytes (f->first): are they for msb-tls? Once that is known they go
 * where they belong; @last: there will be no more.
 */
void tcp_look(struct tcp_flow *f, bool last);

/* ---- tcp_out.c: segments to the guest ------------------------------------ */

/* As much as window, link and turn allow; an ACK if one is due. */
void tcp_output(struct tcp_flow *f);
/* The first unacknowledged bytes again, @max of them at most. */
void tcp_resend(struct tcp_flow *f, size_t max);
void tcp_probe(struct tcp_flow *f);
void tcp_send_syn(struct tcp_flow *f);
void tcp_send_ack(struct tcp_flow *f);
void tcp_send_reset(struct tcp_flow *f);
/* To a segment that belongs to no flow. */
void tcp_refuse(struct net *n, const struct tcp_in *s);
size_t tcp_frame_max(const struct tcp_flow *f);
/* Would a window update help the guest? */
bool tcp_window_opens(const struct tcp_flow *f);
/* Bytes in @down that were never sent. */
uint32_t tcp_unsent(const struct tcp_flow *f);

/* ---- tcp_sock.c: the host's side ----------------------------------------- */

/* Host to guest: read what there is room for, send what may be sent. */
void tcp_push(struct tcp_flow *f);
/*
 * Guest to host: @v first to the socket, the rest to @up. Returns how many
 * bytes have a place now; less than all only when memory is short.
 */
size_t tcp_pass(struct tcp_flow *f, struct iovec *v, unsigned n, size_t len);
/* Its bytes are none of clear.h's any more. */
void tcp_search_no_more(struct tcp_flow *f);
/* Write what is in @up. */
void tcp_drain(struct tcp_flow *f);
/* What follows from the flags: closed halves, the end, events, the timer. */
void tcp_settle(struct tcp_flow *f);

#endif
