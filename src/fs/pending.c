/* Until FSCORE's first version is here: delete this file then. */
#include <errno.h>

#include "fs/fs.h"

#include "base/banned.h"

int fs_new(const struct fs_config *cfg, struct fs **ret, struct err *err)
{
	(void)cfg;
	(void)ret;
	return err_set(err, -ENOSYS, "no file server yet");
}

void fs_free(struct fs *fs)
{
	(void)fs;
}

void fs_reset(struct fs *fs)
{
	(void)fs;
}

int fs_request(struct fs *fs, struct iov *out, struct iov *in,
               uint32_t *ret_len)
{
	(void)fs;
	(void)out;
	(void)in;
	(void)ret_len;
	return -EPROTO;
}
