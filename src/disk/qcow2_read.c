/* Reading through a chain, and what is in it. */
#include <errno.h>

#include "base/num.h"
#include "disk/qcow2.h"

#include "base/banned.h"

static int read_packed(struct chain *c, struct qcow2 *q, uint64_t pos,
                       struct iov *data, const struct where *w)
{
	const uint8_t *bytes = NULL;
	int r = qcow2_unpack(c, q, w->entry, &bytes);

	return r < 0 ? r : iov_put(data, bytes + in_cluster(q, pos), w->len);
}

/* One run, which lies in one file as a whole. */
static int read_run(struct chain *c, struct qcow2 *q, uint64_t pos,
                    struct iov *data, const struct where *w)
{
	switch (w->what) {
	case DATA:
		if (q)
			return file_load(q->fd, data, w->len, w->at, true);
		return c->base->ops->read(c->base, data, w->len, pos);
	case PACKED:
		return read_packed(c, q, pos, data, w);
	case NOTHING:
	case ZEROS:
		break;
	}
	iov_zero(data, w->len);
	return 0;
}

int chain_read(struct disk *d, struct iov *data, uint64_t len, uint64_t pos)
{
	struct chain *c = (struct chain *)d;

	while (len) {
		struct qcow2 *q = NULL;
		struct where w;
		int r = chain_find(c, 0, pos, len, &q, &w);

		if (r == 0)
			r = read_run(c, q, pos, data, &w);
		if (r < 0)
			return r;
		pos += w.len;
		len -= w.len;
	}
	return 0;
}

int chain_map(struct disk *d, uint64_t pos, uint64_t len, bool *ret_hole,
              uint64_t *ret_len)
{
	struct chain *c = (struct chain *)d;
	struct qcow2 *q = NULL;
	struct where w;
	int r = chain_find(c, 0, pos, len, &q, &w);

	if (r < 0)
		return r;
	if (w.what == DATA && !q)
		return c->base->ops->map(c->base, pos, w.len, ret_hole,
		                         ret_len);
	*ret_hole = w.what == ZEROS;
	*ret_len = w.len;
	return 0;
}
