/* Any text is refused or comes out in a form that parses to itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/ref.h"

#include "base/banned.h"

static void check(const struct ref *r, const char *text)
{
	struct buf cleanup_buf path = BUF_INIT, again_text = BUF_INIT;
	struct ref again;

	if (ref_parse(text, &again, NULL) < 0 ||
	    ref_text(&again, &again_text) < 0 ||
	    strcmp(buf_str(&again_text), text) != 0)
		abort();
	if (ref_path(r, &path) < 0 || strstr(buf_str(&path), "/.") ||
	    strstr(buf_str(&path), "//") ||
	    strncmp(buf_str(&path), "refs/", 5) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = malloc(len + 1);
	struct buf cleanup_buf b = BUF_INIT;
	struct ref r;

	if (!text)
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	if (ref_parse(text, &r, NULL) == 0 && ref_text(&r, &b) == 0)
		check(&r, buf_str(&b));
	free(text);
	return 0;
}
