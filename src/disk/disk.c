#include "disk/disk.h"

#include <errno.h>
#include <stdlib.h>

#include "base/num.h"
#include "disk/disk_int.h"

#include "base/banned.h"

const char *const disk_format_names[] = {"raw", "qcow2", NULL};

int disk_open_layers(const struct disk_layer *layers, uint32_t n,
                     bool read_only, struct disk **ret, struct err *err)
{
	if (!n || n > DISK_LAYERS_MAX)
		return err_set(err, -EINVAL, "a disk has 1 to %d layers",
		               DISK_LAYERS_MAX);
	for (uint32_t i = 0; i + 1 < n; i++)
		if (layers[i].format == DISK_RAW)
			return err_set(err, -EINVAL,
			               "only the last layer of a disk may be "
			               "raw");
	if (layers[0].format == DISK_RAW)
		return disk_open_raw(layers[0].fd, read_only, ret, err);
	return disk_open_qcow2(layers, n, read_only, ret, err);
}

void disk_close(struct disk *d)
{
	if (d)
		d->ops->close(d);
}

uint64_t disk_size(const struct disk *d)
{
	return d->size;
}

/* 1: go on; 0: nothing to do; -errno. */
static int check_range(const struct disk *d, uint64_t pos, uint64_t len,
                       bool writes)
{
	uint64_t end;

	if (!num_add(pos, len, &end) || end > d->size)
		return -EINVAL;
	if (writes && d->read_only)
		return -EROFS;
	return len > 0;
}

int disk_read_iov(struct disk *d, struct iov *data, uint64_t pos)
{
	int r = check_range(d, pos, data->len, false);

	return r <= 0 ? r : d->ops->read(d, data, data->len, pos);
}

int disk_write_iov(struct disk *d, struct iov *data, uint64_t pos)
{
	int r = check_range(d, pos, data->len, true);

	return r <= 0 ? r : d->ops->write(d, data, data->len, pos);
}

static struct iov whole(struct iovec *v, unsigned n)
{
	struct iov s = {v, n, 0};

	for (unsigned i = 0; i < n; i++)
		s.len += v[i].iov_len;
	return s;
}

int disk_read(struct disk *d, struct iovec *iov, unsigned n, uint64_t pos)
{
	struct iov s = whole(iov, n);

	return disk_read_iov(d, &s, pos);
}

int disk_write(struct disk *d, struct iovec *iov, unsigned n, uint64_t pos)
{
	struct iov s = whole(iov, n);

	return disk_write_iov(d, &s, pos);
}

int disk_flush(struct disk *d)
{
	return d->read_only ? 0 : d->ops->flush(d);
}

int disk_settle(struct disk *d)
{
	return d->read_only || !d->ops->settle ? 0 : d->ops->settle(d);
}

int disk_discard(struct disk *d, uint64_t pos, uint64_t len)
{
	int r = check_range(d, pos, len, true);

	return r <= 0 ? r : d->ops->discard(d, pos, len);
}

int disk_zero(struct disk *d, uint64_t pos, uint64_t len, bool unmap)
{
	int r = check_range(d, pos, len, true);

	return r <= 0 ? r : d->ops->zero(d, pos, len, unmap);
}

int disk_map(struct disk *d, uint64_t pos, uint64_t len, bool *ret_hole,
             uint64_t *ret_len)
{
	int r = check_range(d, pos, len, false);

	if (r > 0)
		return d->ops->map(d, pos, len, ret_hole, ret_len);
	*ret_hole = true;
	*ret_len = 0;
	return r;
}
