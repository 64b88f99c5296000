#include "net/pcap.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/num.h"
#include "net/net.h"

#include "base/banned.h"

#define MAGIC_NS      0xa1b23c4du
#define LINK_ETHERNET 1
#define SNAP_LEN      262144
#define RECORD_LEN    16

/* Written when it holds so much; the rest is room for one more frame. */
#define FLUSH_AT (64 * KIB)
#define BUF_LEN  (FLUSH_AT + RECORD_LEN + NET_FRAME_MAX)

struct pcap {
	int fd; /* -1: a write failed, the capture is over */
	size_t len;
	uint8_t buf[BUF_LEN];
};

/* Words in the order of this machine, which the magic tells the reader. */
static void put(struct pcap *p, const void *data, size_t len)
{
	if (!len)
		return;
	memcpy(p->buf + p->len, data, len);
	p->len += len;
}

struct pcap *pcap_new(int fd)
{
	const struct {
		uint32_t magic;
		uint16_t major, minor;
		uint32_t zone, accuracy, snap, link;
	} header = {MAGIC_NS, 2, 4, 0, 0, SNAP_LEN, LINK_ETHERNET};
	struct pcap *p = malloc(sizeof(*p));

	if (!p)
		return NULL;
	p->fd = fd;
	p->len = 0;
	put(p, &header, sizeof(header));
	return p;
}

void pcap_free(struct pcap *p)
{
	if (!p)
		return;
	pcap_flush(p);
	close_fd(&p->fd);
	free(p);
}

void pcap_flush(struct pcap *p)
{
	int r;

	if (p->fd < 0 || !p->len)
		return;
	r = fd_write_full(p->fd, p->buf, p->len);
	p->len = 0;
	if (r == 0)
		return;
	log_limited(LOG_WARN, "network: the capture ends here: %s",
	            strerror(-r));
	close_fd(&p->fd);
}

void pcap_write(struct pcap *p, uint64_t unix_ns, const struct iovec *v,
                unsigned n, size_t len)
{
	size_t left = MIN(len, (size_t)NET_FRAME_MAX);
	const uint32_t record[RECORD_LEN / 4] = {
		(uint32_t)(unix_ns / NS_PER_S), (uint32_t)(unix_ns % NS_PER_S),
		(uint32_t)left, (uint32_t)MIN(len, (size_t)UINT32_MAX)};

	if (p->fd < 0)
		return;
	put(p, record, sizeof(record));
	for (unsigned i = 0; i < n && left; i++) {
		size_t part = MIN(left, v[i].iov_len);

		put(p, v[i].iov_base, part);
		left -= part;
	}
	if (p->len >= FLUSH_AT)
		pcap_flush(p);
}
