#include "tls/relay.h"

#include "base/banned.h"

void relay_init(struct relay *r, const struct relay_ops *ops,
                const struct relay_env *env)
{
	*r = (struct relay){
		.ops = ops,
		.gate = env->gate,
		.secrets = env->secrets,
		.secrets_arg = env->secrets_arg,
		.sink = env->sink,
		.out = {BUF_INIT_MAX(RELAY_OUT_MAX),
	                BUF_INIT_MAX(RELAY_OUT_MAX)}
        };
}

void relay_release(struct relay *r)
{
	buf_release(&r->out[SIDE_GUEST]);
	buf_release(&r->out[SIDE_SERVER]);
}
