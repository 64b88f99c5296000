#include "vmm/disk_dev.h"

#include "virtio/blk.h"

#include "base/banned.h"

static int dev_read(void *arg, struct iov *data, uint64_t pos)
{
	return disk_read_iov(arg, data, pos);
}

static int dev_write(void *arg, struct iov *data, uint64_t pos)
{
	return disk_write_iov(arg, data, pos);
}

static int dev_flush(void *arg)
{
	return disk_flush(arg);
}

static int dev_discard(void *arg, uint64_t pos, uint64_t len)
{
	return disk_discard(arg, pos, len);
}

static int dev_zero(void *arg, uint64_t pos, uint64_t len, bool unmap)
{
	return disk_zero(arg, pos, len, unmap);
}

static int dev_settle(void *arg)
{
	return disk_settle(arg);
}

static void dev_close(void *arg)
{
	disk_close(arg);
}

int disk_dev_new(const struct disk_dev_config *cfg, struct virtio_dev **ret,
                 struct err *err)
{
	struct disk *cleanup_disk d = NULL;
	int r = cfg->nlayers ? disk_open_layers(cfg->layers, cfg->nlayers,
	                                        cfg->read_only, &d, err)
	                     : disk_open_extents(cfg->extents, cfg->nextents,
	                                         cfg->read_only, &d, err);

	if (r < 0)
		return err_wrap(err, "disk %s", cfg->serial);
	r = blk_new(
		&(struct blk_config){
			.backend =
				&(struct blk_backend){
						      disk_size(d),
						      dev_read, dev_write,
						      dev_flush, dev_discard,
						      dev_zero, dev_settle,
						      dev_close, d,
						      },
			.read_only = cfg->read_only,
			.serial = cfg->serial
        },
		ret, err);
	if (r == 0)
		(void)take_ptr(d);
	return r;
}
