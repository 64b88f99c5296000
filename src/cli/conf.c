#include "cli/conf.h"

#include <stdlib.h>

#include "base/num.h"

#include "base/banned.h"

void conf_release(struct conf *c)
{
	char *const texts[] = {c->image, c->workdir,  c->shell,
	                       c->user,  c->hostname, c->init};
	struct strv *const lists[] = {
		&c->entrypoint, &c->cmd,       &c->env,      &c->labels,
		&c->scripts,    &c->init_args, &c->init_env, &c->rlimits};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		free(texts[i]);
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		strv_release(lists[i]);
	*c = (struct conf){0};
}
