#include "net/sniff.h"

#include <string.h>

#include "base/num.h"
#include "net/sniff_int.h"
#include "policy/addr.h"

#include "base/banned.h"

#define TLS_HANDSHAKE 0x16

bool sniff_name(const uint8_t *text, size_t len, char ret[POLICY_NAME_MAX + 1])
{
	char copy[POLICY_NAME_MAX + 2]; /* with the last dot */
	struct addr a;

	if (len == 0 || len >= sizeof(copy) || memchr(text, '\0', len) ||
	    memchr(text, '/', len))
		return false;
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (addr_parse(copy, &a) == 0) {
		ret[0] = '\0';
		return true;
	}
	return policy_name(copy, ret) == 0;
}

void sniff(const uint8_t *data, size_t len, struct sniff *ret)
{
	size_t n = MIN(len, SNIFF_MAX);

	*ret = (struct sniff){.kind = SNIFF_MORE};
	if (n == 0)
		return;
	ret->kind = data[0] == TLS_HANDSHAKE ? sniff_tls(data, n, ret)
	                                     : sniff_http(data, n, ret);
	if (ret->kind == SNIFF_MORE && n == SNIFF_MAX)
		ret->kind = SNIFF_BAD;
	if (ret->kind == SNIFF_MORE || ret->kind == SNIFF_OTHER ||
	    ret->kind == SNIFF_BAD)
		*ret = (struct sniff){.kind = ret->kind};
}
