/* WWW-Authenticate headers, and a token server's answer. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/auth.h"

#include "base/banned.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct buf cleanup_buf url = BUF_INIT, token = BUF_INIT;
	struct challenge c;
	uint64_t expires;
	char *text = malloc(len + 1);

	if (!text)
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	if (auth_challenge(text, &c)) {
		if (memchr(c.realm, '\0', sizeof(c.realm)) == NULL ||
		    strpbrk(c.realm, "\r\n") || c.scheme == CHALLENGE_NONE)
			abort();
		(void)auth_token_url(&c, &url);
	}
	if (auth_token(data, len, &token, &expires, NULL) == 0 &&
	    strncmp(buf_str(&token), "Bearer ", 7) != 0)
		abort();
	free(text);
	return 0;
}
