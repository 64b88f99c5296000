#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "lib/error.h"
#include "microsandbox.h"

#include "base/banned.h"

struct msb_cancel {
	struct cancel token;
};

int msb_cancel_new(struct msb_cancel **ret_cancel, struct msb_error *error)
{
	struct msb_cancel *c = calloc(1, sizeof(*c));
	int r = c ? cancel_init(&c->token) : -ENOMEM;

	if (r < 0) {
		free(c);
		return error_set(error, r, "cannot make a token: %s",
		                 strerror(-r));
	}
	*ret_cancel = c;
	return 0;
}

void msb_cancel_use(struct msb_cancel *c)
{
	(void)cancel_use(c ? &c->token : NULL);
}

void msb_cancel_fire(struct msb_cancel *c)
{
	cancel_fire(&c->token);
}

void msb_cancel_reset(struct msb_cancel *c)
{
	cancel_reset(&c->token);
}

void msb_cancel_free(struct msb_cancel *c)
{
	if (!c)
		return;
	if (cancel_now() == &c->token) /* its own thread forgot to */
		(void)cancel_use(NULL);
	cancel_release(&c->token);
	free(c);
}
