#include "vmm/net_dev.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/num.h"
#include "net/hostaddr.h"
#include "virtio/net.h"
#include "vmm/jail.h"

#include "base/banned.h"

#define THREAD_STACK (512u * 1024)
#define FILES_OTHER  2048 /* UDP's flows are half of them */

struct net_dev {
	const struct vmm_net *cfg;
	struct loop *loop;
	struct net *net;
	struct virtio_dev *model;
	pthread_t thread; /* never joined, as a device's */
	sem_t ready, go;
	bool route6; /* the host has one */
	int result;  /* of net_new() */
	struct net_dev_lines lines;
	struct err err;
};

/* ---- the link: from the stack to the device ------------------------------ */

static int link_send(void *arg, const struct vnet_hdr *h, const struct iovec *v,
                     unsigned n, size_t len)
{
	const struct net_dev *nd = arg;

	return virtio_net_send(nd->model, h, v, n, len);
}

static void link_flush(void *arg)
{
	const struct net_dev *nd = arg;

	virtio_net_flush(nd->model);
}

static void link_resume(void *arg)
{
	const struct net_dev *nd = arg;

	virtio_net_resume(nd->model);
}

/* ---- the backend: from the device to the stack --------------------------- */

static void on_features(void *arg, bool csum, bool tso4, bool tso6)
{
	const struct net_dev *nd = arg;

	net_features(nd->net, csum, tso4, tso6);
}

static bool on_wants(void *arg)
{
	const struct net_dev *nd = arg;

	return net_wants(nd->net);
}

static void on_frame(void *arg, const struct vnet_hdr *h, struct iov *frame)
{
	const struct net_dev *nd = arg;

	net_input(nd->net, h, frame);
}

static void on_batch_end(void *arg)
{
	const struct net_dev *nd = arg;

	net_batch_end(nd->net);
}

static void on_writable(void *arg)
{
	const struct net_dev *nd = arg;

	net_writable(nd->net);
}

static void on_reset(void *arg)
{
	const struct net_dev *nd = arg;

	net_reset(nd->net);
}

int net_dev_model(struct net_dev *nd, struct virtio_dev **ret, struct err *err)
{
	const struct virtio_net_backend be = {.features = on_features,
	                                      .wants = on_wants,
	                                      .frame = on_frame,
	                                      .batch_end = on_batch_end,
	                                      .writable = on_writable,
	                                      .reset = on_reset,
	                                      .arg = nd};
	int r = virtio_net_new(nd->cfg->cfg.guest_mac, nd->cfg->cfg.mtu, &be,
	                       &nd->model, err);

	*ret = nd->model;
	return r;
}

/* ---- the thread ---------------------------------------------------------- */

static bool has_route6(void)
{
	struct hostaddr *h = hostaddr_new();
	bool has = h && hostaddr_has_route(h, true);

	hostaddr_free(h);
	return has;
}

struct line {
	void (*to)(void *arg, const char *line);
	void *arg;
	char text[];
};

/* In the reader's loop. */
static void pass_line(void *arg)
{
	struct line *l = arg;

	l->to(l->arg, l->text);
	free(l);
}

static int post_line(const struct net_dev *nd,
                     void (*to)(void *arg, const char *line), const char *text)
{
	size_t len = strlen(text) + 1;
	struct line *l = to ? malloc(sizeof(*l) + len) : NULL;
	int r;

	if (!l)
		return to ? -ENOMEM : 0;
	l->to = to;
	l->arg = nd->lines.arg;
	memcpy(l->text, text, len);
	r = loop_post(nd->lines.loop, pass_line, l);
	if (r < 0)
		free(l);
	return r;
}

static void on_say(void *arg, const char *text)
{
	const struct net_dev *nd = arg;

	(void)post_line(nd, nd->lines.said, text);
}

/* The machine must not live on because there was no memory to tell. */
static void on_violated(void *arg, const char *why)
{
	const struct net_dev *nd = arg;

	if (post_line(nd, nd->lines.violated, why) < 0)
		_exit(1);
}

void net_dev_on_lines(struct net_dev *nd, const struct net_dev_lines *lines)
{
	nd->lines = *lines;
}

/*
 * Descriptors are the whole process': its clients, shares and disks have theirs
 * however many flows the guest opens.
 */
static uint32_t flows_within(uint32_t wanted)
{
	struct rlimit l;
	uint64_t room;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return wanted;
	room = l.rlim_cur > 2 * FILES_OTHER ? l.rlim_cur - FILES_OTHER
	                                    : l.rlim_cur / 2;
	return (uint32_t)MIN(wanted, room);
}

static void *thread_main(void *arg)
{
	struct net_dev *nd = arg;
	const struct net_link link = {.send = link_send,
	                              .flush = link_flush,
	                              .resume = link_resume,
	                              .arg = nd};
	struct net_config cfg = nd->cfg->cfg;
	int r;

	cfg.connections_max = flows_within(cfg.connections_max);
	cfg.say = on_say;
	cfg.say_arg = nd;
	cfg.violated = on_violated;
	cfg.violated_arg = nd;
	(void)pthread_setname_np(pthread_self(), "net");
	nd->route6 = has_route6();
	nd->result = net_new(&cfg, nd->loop, &link, &nd->net, &nd->err);
	(void)sem_post(&nd->ready);
	while (sem_wait(&nd->go) < 0 && errno == EINTR)
		;
	if (nd->result < 0 || jail_thread(JAIL_NET) < 0)
		return NULL; /* a device that does not answer */
	r = loop_run(nd->loop);
	if (r < 0)
		log_error("the network's loop failed: %s", strerror(-r));
	return NULL;
}

static int start_thread(struct net_dev *nd)
{
	pthread_attr_t attr;
	int e = pthread_attr_init(&attr);

	if (e == 0) {
		(void)pthread_attr_setstacksize(&attr, THREAD_STACK);
		e = pthread_create(&nd->thread, &attr, thread_main, nd);
		(void)pthread_attr_destroy(&attr);
	}
	return -e;
}

int net_dev_start(const struct vmm_net *cfg, struct net_dev **ret,
                  struct err *err)
{
	struct net_dev *nd = calloc(1, sizeof(*nd));
	int r = -ENOMEM;

	if (nd)
		nd->loop = loop_new();
	if (nd && nd->loop && sem_init(&nd->ready, 0, 0) == 0 &&
	    sem_init(&nd->go, 0, 0) == 0) {
		nd->cfg = cfg;
		r = start_thread(nd);
	}
	if (r < 0) {
		free(nd);
		return err_set(err, r, "cannot start a thread: %s",
		               strerror(-r));
	}
	while (sem_wait(&nd->ready) < 0 && errno == EINTR)
		;
	if (nd->result < 0)
		*err = nd->err;
	*ret = nd; /* also then: the thread has it */
	return nd->result;
}

void net_dev_go(struct net_dev *nd)
{
	(void)sem_post(&nd->go);
}

struct loop *net_dev_loop(struct net_dev *nd)
{
	return nd->loop;
}

const struct net_counters *net_dev_counters(const struct net_dev *nd)
{
	return net_counters(nd->net);
}

/* ---- what the agent is told ---------------------------------------------- */

int net_dev_boot(const struct net_dev *nd, struct strv *ret)
{
	const struct net_config *c = &nd->cfg->cfg;
	const uint8_t *m = c->guest_mac;
	char a[ADDR_TEXT_MAX], b[ADDR_TEXT_MAX];
	int r = strv_addf(ret, "mac=%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1],
	                  m[2], m[3], m[4], m[5]);

	if (r == 0)
		r = strv_addf(ret, "mtu=%u", c->mtu);
	if (r == 0)
		r = strv_addf(ret, "ip4=%s/%u", addr_text(&c->guest4, a),
		              nd->cfg->prefix4);
	if (r == 0)
		r = strv_addf(ret, "gw4=%s", addr_text(&c->gateway4, a));
	if (r == 0)
		r = strv_addf(ret, "ip6=%s/%u", addr_text(&c->guest6, a),
		              nd->cfg->prefix6);
	if (r == 0)
		r = strv_addf(ret, "gw6=%s", addr_text(&c->gateway6, a));
	if (r == 0)
		r = strv_addf(ret, "route6=%d", nd->route6);
	if (r == 0)
		r = strv_addf(ret, "dns=%s", addr_text(&c->gateway4, b));
	return r;
}

/* ---- questions ----------------------------------------------------------- */

struct question {
	struct net_dev *nd;
	char *host, *json;
	uint16_t port;
	enum policy_proto proto;
	struct loop *back;
	void (*done)(void *arg, char *json);
	void *arg;
};

static void answer(void *arg)
{
	struct question *q = arg;

	q->done(q->arg, q->json);
	free(q->host);
	free(q);
}

static void ask(void *arg)
{
	struct question *q = arg;

	q->json = net_explain(q->nd->net, q->host, q->port, q->proto);
	if (loop_post(q->back, answer, q) < 0) {
		free(q->json);
		free(q->host);
		free(q);
	}
}

int net_dev_explain(struct net_dev *nd, const char *host, uint16_t port,
                    const char *protocol, struct loop *l,
                    void (*done)(void *arg, char *json), void *arg)
{
	static const struct {
		const char *name;
		enum policy_proto proto;
	} protos[] = {
		{"tcp",  POLICY_TCP },
		{"udp",  POLICY_UDP },
		{"icmp", POLICY_ICMP},
	};
	struct question *q = calloc(1, sizeof(*q));
	size_t i = 0;
	int r = -ENOMEM;

	while (i < ARRAY_SIZE(protos) && strcmp(protos[i].name, protocol) != 0)
		i++;
	if (i == ARRAY_SIZE(protos)) {
		free(q);
		return -EINVAL;
	}
	if (q) {
		*q = (struct question){
			nd, strdup(host), NULL, port, protos[i].proto,
			l,  done,         arg};
		if (q->host)
			r = loop_post(nd->loop, ask, q);
	}
	if (r < 0 && q) {
		free(q->host);
		free(q);
	}
	return r;
}
