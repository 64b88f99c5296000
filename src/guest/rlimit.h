/*
 * rlimit.h - resource limits as text: "nofile=1024:4096", "core=unlimited".
 * Names are those of prlimit(1); one number sets both limits.
 */
#ifndef GUEST_RLIMIT_H
#define GUEST_RLIMIT_H

#include <sys/resource.h>

#include "base/err.h"

struct rlimit_setting {
	int resource;
	struct rlimit limit;
};

int rlimit_parse(const char *text, struct rlimit_setting *ret, struct err *err);

#endif
