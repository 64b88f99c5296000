#include "guest/rlimit.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

#define TEXT_MAX 128

static const struct {
	const char *name;
	int resource;
} names[] = {
	{"as",         RLIMIT_AS        },
	{"core",       RLIMIT_CORE      },
	{"cpu",        RLIMIT_CPU       },
	{"data",       RLIMIT_DATA      },
	{"fsize",      RLIMIT_FSIZE     },
	{"locks",      RLIMIT_LOCKS     },
	{"memlock",    RLIMIT_MEMLOCK   },
	{"msgqueue",   RLIMIT_MSGQUEUE  },
	{"nice",       RLIMIT_NICE      },
	{"nofile",     RLIMIT_NOFILE    },
	{"nproc",      RLIMIT_NPROC     },
	{"rss",        RLIMIT_RSS       },
	{"rtprio",     RLIMIT_RTPRIO    },
	{"rttime",     RLIMIT_RTTIME    },
	{"sigpending", RLIMIT_SIGPENDING},
	{"stack",      RLIMIT_STACK     },
};

static bool parse_value(const char *s, rlim_t *ret)
{
	uint64_t v;

	if (strcmp(s, "unlimited") == 0 || strcmp(s, "-1") == 0) {
		*ret = RLIM_INFINITY;
		return true;
	}
	if (!num_parse_u64(s, UINT64_MAX - 1, &v))
		return false;
	*ret = (rlim_t)v;
	return true;
}

static bool parse_values(char *s, struct rlimit *ret)
{
	char *colon = strchr(s, ':');
	struct rlimit r;

	if (colon)
		*colon++ = '\0';
	if (!parse_value(s, &r.rlim_cur) ||
	    !parse_value(colon ? colon : s, &r.rlim_max) ||
	    r.rlim_cur > r.rlim_max)
		return false;
	*ret = r;
	return true;
}

static bool find(const char *name, int *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(names[i].name, name) == 0) {
			*ret = names[i].resource;
			return true;
		}
	}
	return false;
}

int rlimit_parse(const char *text, struct rlimit_setting *ret, struct err *err)
{
	struct rlimit_setting s;
	char copy[TEXT_MAX], *value;

	if (strlen(text) >= sizeof(copy))
		return err_set(err, -EINVAL, "a resource limit is too long");
	memcpy(copy, text, strlen(text) + 1);
	value = strchr(copy, '=');
	if (!value)
		return err_set(err, -EINVAL,
		               "resource limit '%s' is not NAME=SOFT[:HARD]",
		               text);
	*value++ = '\0';
	if (!find(copy, &s.resource))
		return err_set(err, -EINVAL, "no resource limit is called '%s'",
		               copy);
	if (!parse_values(value, &s.limit))
		return err_set(err, -EINVAL,
		               "resource limit '%s': not SOFT[:HARD] with SOFT "
		               "at most HARD",
		               text);
	*ret = s;
	return 0;
}
