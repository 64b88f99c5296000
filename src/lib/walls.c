#include "lib/walls.h"

#include <stdbool.h>
#include <string.h>

#include "base/banned.h"

/*
 * QEMU's project takes reports on KVM guests that break out as security holes,
 * on TCG guests as plain bugs: emulation was never meant to hold anybody.
 * Where code gets out of it, it runs as a process of the user's, and what is
 * left is the jail.
 */
static bool has(const char *const *walls, const char *name)
{
	for (; walls && *walls; walls++)
		if (strcmp(*walls, name) == 0)
			return true;
	return false;
}

/* Nothing to open, and few ways to ask: less than both is no jail. */
static bool is_jail(const char *const *walls)
{
	return has(walls, "seccomp") &&
	       (has(walls, "empty-root") || has(walls, "landlock"));
}

const char *walls_boundary(const char *accel, const char *const *walls)
{
	bool jailed = is_jail(walls);

	if (!*accel)
		return "not known yet";
	if (strcmp(accel, "kvm") == 0)
		return jailed ? "the processor's virtualization, and behind it "
		                "the jail of the machine's processes"
		              : "the processor's virtualization alone: the "
		                "machine's processes have no jail";
	return jailed ? "the jail of the machine's processes (emulation by "
	                "tcg is no security boundary)"
	              : "none that counts: emulation by tcg is no security "
	                "boundary, and there is no jail";
}
