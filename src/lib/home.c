#include "lib/home.h"

#include <stdlib.h>

#include "lib/error.h"
#include "microsandbox.h"

#include "base/banned.h"

int msb_home_open(const char *path, struct msb_home **ret_home,
                  struct msb_error *error)
{
	struct msb_home *home = calloc(1, sizeof(*home));
	struct err err = {0};
	int r;

	if (!home)
		return error_return(error, -ENOMEM, NULL);
	r = store_open(path, &home->store, &err);
	if (r < 0) {
		free(home);
		return error_return(error, r, &err);
	}
	*ret_home = home;
	return 0;
}

void msb_home_free(struct msb_home *home)
{
	if (!home)
		return;
	store_close(home->store);
	free(home);
}

const char *msb_home_path(const struct msb_home *home)
{
	return home->store->home;
}
