#include "image/layer_path.h"

#include <errno.h>
#include <string.h>

#include "image/index.h"

#include "base/banned.h"

static bool is_dots(const char *part, size_t len, size_t dots)
{
	return len == dots && memcmp(part, "..", dots) == 0;
}

/* Length of the part at @p. */
static size_t part_len(const char *p, const char *end)
{
	const char *slash = memchr(p, '/', (size_t)(end - p));

	return (size_t)((slash ? slash : end) - p);
}

int layer_path_clean(const void *path, size_t len, struct buf *out,
                     const char **ret_why)
{
	const char *p = path, *end = p + len;
	size_t start = out->len;
	unsigned depth = 0;
	int r = 0;

	*ret_why = "NUL in a name";
	if (len && memchr(path, 0, len))
		return -EBADMSG;
	while (r == 0 && p < end) {
		size_t n = part_len(p, end);

		*ret_why = "\"..\" in a name";
		if (is_dots(p, n, 2))
			return -EBADMSG;
		*ret_why = "name is too long or too deep";
		if (n > INDEX_PART_MAX)
			return -EBADMSG;
		if (n && !is_dots(p, n, 1)) {
			if (++depth > INDEX_DEPTH_MAX ||
			    out->len - start + n > INDEX_PATH_MAX - 1)
				return -EBADMSG;
			if (out->len > start)
				r = buf_addc(out, '/');
			if (r == 0)
				r = buf_add(out, p, n);
		}
		p += n;
		while (p < end && *p == '/')
			p++;
	}
	return r < 0 ? r : (int)(out->len - start);
}

bool layer_path_is_clean(const void *path, size_t len)
{
	const char *p = path, *end;
	unsigned depth = 0;

	if (len == 0)
		return true; /* @path may be NULL */
	if (len > INDEX_PATH_MAX || memchr(path, 0, len))
		return false;
	end = p + len;
	for (;;) {
		size_t n = part_len(p, end);

		if (n == 0 || n > INDEX_PART_MAX || is_dots(p, n, 1) ||
		    is_dots(p, n, 2) || ++depth > INDEX_DEPTH_MAX)
			return false;
		p += n;
		if (p == end)
			return true;
		p++; /* a slash at the end gives an empty part */
	}
}
