/*
 * A sandbox file: the first byte says for which option, the rest is YAML.
 * Whatever the bytes, a read ends, an error has words, and what was taken
 * keeps the form that the library is given.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"
#include "forms/conf.h"
#include "forms/yaml_tree.h"

#include "base/banned.h"

static void check_pairs(const struct strv *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strchr(s->v[i], '='))
			abort();
}

static void check_tree(const struct ytree_node *n, unsigned depth)
{
	if (depth > YTREE_DEPTH_MAX)
		abort();
	for (; n; n = n->next) {
		if ((n->kind == YTREE_SCALAR) != (n->text != NULL))
			abort();
		check_tree(n->child, depth + 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const options[] = {"conf", "resource-conf",
	                                      "runtime-conf", "script-conf",
	                                      "net-conf"};
	struct ytree_node *cleanup_ytree tree = NULL;
	struct conf c = {0};
	struct err err = {0};
	int r;

	if (len < 1)
		return 0;
	if (ytree_read(data + 1, len - 1, "f", &tree, NULL) == 0)
		check_tree(tree, 0);
	r = conf_parse(&c, options[data[0] % ARRAY_SIZE(options)], "dir/f",
	               data + 1, len - 1, &err);
	if ((r < 0) != (err.msg[0] != '\0') || (r == 0 && !tree))
		abort();
	check_pairs(&c.env);
	check_pairs(&c.labels);
	check_pairs(&c.scripts);
	check_pairs(&c.init_env);
	check_pairs(&c.rlimits);
	if (c.cpus > 64 || c.pull < 0 || c.pull > 3)
		abort();
	conf_release(&c);
	return 0;
}
