#include "cli/keys.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/num.h"

#include "base/banned.h"

#define CTRL     "ctrl-"
#define CTRL_LEN (sizeof(CTRL) - 1)

/* The byte that a terminal sends for it, or -EINVAL. */
static int one_key(const char *s, size_t len)
{
	unsigned char c = (unsigned char)s[len - 1];

	if (len == 1 && c >= ' ' && c <= '~')
		return c;
	if (len != CTRL_LEN + 1 || strncasecmp(s, CTRL, CTRL_LEN) != 0)
		return -EINVAL;
	if (c >= 'a' && c <= 'z')
		c = (unsigned char)(c - 'a' + 'A');
	return c >= '@' && c <= '_' ? c - '@' : -EINVAL;
}

int keys_parse(const char *text, struct keys *ret, struct err *err)
{
	struct keys k = {.n = 0};

	for (const char *p = text; *text; p += *p == ',') {
		size_t len = strcspn(p, ",");
		int c = len ? one_key(p, len) : -EINVAL;

		if (c < 0) {
			err_set(err, -EINVAL, "detach keys: '%.*s' is no key",
			        (int)len, p);
			err_hint(err, "for example ctrl-] or ctrl-p,ctrl-q; "
			              "\"\" for none");
			return -EINVAL;
		}
		if (k.n == KEYS_MAX)
			return err_set(err, -EINVAL, "detach keys: at most %d",
			               KEYS_MAX);
		k.seq[k.n++] = (unsigned char)c;
		p += len;
		if (!*p)
			break;
	}
	*ret = k;
	return 0;
}

/*
 * @c does not go on with what is held. Of that and @c, the longest end that
 * begins the sequence is held now, what is before it passes.
 */
static size_t fall_back(struct keys *k, unsigned char c, unsigned char *out)
{
	unsigned char typed[KEYS_MAX + 1];
	size_t n = k->held + 1, drop = 1;

	memcpy(typed, k->seq, k->held);
	typed[k->held] = c;
	while (drop < n && memcmp(typed + drop, k->seq, n - drop) != 0)
		drop++;
	memcpy(out, typed, drop);
	k->held = n - drop;
	return drop;
}

bool keys_pass(struct keys *k, const void *data, size_t len, void *out,
               size_t *ret_len)
{
	const unsigned char *in = data;
	unsigned char *to = out;
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (k->n == 0)
			to[n++] = in[i];
		else if (in[i] != k->seq[k->held])
			n += fall_back(k, in[i], to + n);
		else if (++k->held == k->n)
			break;
	}
	*ret_len = n;
	if (k->n == 0 || k->held < k->n)
		return false;
	k->held = 0;
	return true;
}
