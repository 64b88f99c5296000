/* What secrets need of this host. */
#include <sys/resource.h>
#include <unistd.h>

#include "base/num.h"
#include "lib/doctor.h"
#include "lib/runtime.h"
#include "proto/tls_setup.h"

#include "base/banned.h"

/* What the largest secrets take in memory that is not swapped. */
#define LOCKED_WANTED ((uint64_t)TLS_SECRETS_MAX * TLS_VALUE_MAX)

void doctor_tls_explain(struct msb_report *r, const struct doctor_tls_facts *f)
{
	char text[32];

	if (!f->program) {
		doctor_add(r, "secrets", MSB_CHECK_WARN,
		           "run make in the source tree, or install again",
		           "msb-tls is not beside msb-vmm: no secrets and no "
		           "TLS interception");
		return;
	}
	if (f->locked_max < LOCKED_WANTED)
		doctor_add(r, "secrets", MSB_CHECK_WARN,
		           "raise it (ulimit -l, memlock in "
		           "/etc/security/limits.conf), or encrypt the swap",
		           "you may lock %s of memory: values of secrets "
		           "beyond that may be written to swap",
		           num_format_size(f->locked_max, text, sizeof(text)));
	else
		doctor_add(r, "secrets", MSB_CHECK_OK, "",
		           "msb-tls is there, values stay out of swap");
}

void doctor_tls(struct msb_report *r)
{
	cleanup_free char *dir = NULL, *path = NULL;
	struct doctor_tls_facts f = {.locked_max = UINT64_MAX};
	struct rlimit limit;

	if (runtime_find_dir(&dir, NULL) < 0)
		return; /* check_runtime() has said it */
	if (asprintf(&path, "%s/msb-tls", dir) < 0) {
		path = NULL;
		return;
	}
	f.program = access(path, X_OK) == 0;
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
	    limit.rlim_max != RLIM_INFINITY)
		f.locked_max = limit.rlim_max;
	doctor_tls_explain(r, &f);
}
