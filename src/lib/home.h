/* home.h - the public home handle: an open store. */
#ifndef LIB_HOME_H
#define LIB_HOME_H

#include "store/store.h"

struct msb_home {
	struct store *store;
};

#endif
