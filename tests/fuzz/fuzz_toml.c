/*
 * A settings file: whatever the bytes, a parse ends, an error has words, and
 * every entry is in a table and has the value of its kind.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/toml.h"

#include "base/banned.h"

static void check_entry(const struct toml *t, const struct toml_entry *e)
{
	if (e->table >= t->ntables || !e->key || !e->line)
		abort();
	if ((e->kind == TOML_TEXT) != (e->text != NULL))
		abort();
	if (e->list.n && e->kind != TOML_LIST)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct toml cleanup_toml t = {0};
	struct err err = {0};
	int r = toml_parse(data, len, "f", &t, &err);

	if ((r < 0) != (err.msg[0] != '\0') || (r < 0 && t.nentries))
		abort();
	for (size_t i = 0; i < t.nentries; i++)
		check_entry(&t, &t.entries[i]);
	for (size_t i = 0; i < t.ntables; i++)
		if (t.tables[i].path.n > TOML_DEPTH_MAX)
			abort();
	return 0;
}
