/* Frames are refused, incomplete, or encode to the very same bytes again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/proto.h"

#include "base/banned.h"

static void check(const uint8_t *data, size_t len, const struct proto_msg *msg)
{
	struct buf cleanup_buf b = BUF_INIT;

	if (proto_encode(&b, msg) < 0 || b.len != len ||
	    memcmp(b.data, data, len) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	while (len) {
		struct proto_msg cleanup_proto msg = {0};
		ssize_t n = proto_decode(data, len, &msg);

		if (n <= 0) {
			if (n != 0 && n != -EPROTO)
				abort();
			return 0;
		}
		check(data, (size_t)n, &msg);
		data += n;
		len -= (size_t)n;
	}
	return 0;
}
