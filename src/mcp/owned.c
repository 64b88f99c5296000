#include "mcp/owned.h"

#include <stdlib.h>
#include <string.h>

#include "mcp/fail.h"

#include "base/banned.h"

struct owned_one {
	struct owned_one *next;
	struct msb_sandbox *sandbox;
};

void owned_init(struct owned *o, uint32_t max)
{
	*o = (struct owned){.max = max};
	(void)pthread_mutex_init(&o->lock, NULL);
}

static void free_list(struct owned_one *one)
{
	while (one) {
		struct owned_one *next = one->next;

		msb_sandbox_free(one->sandbox);
		free(one);
		one = next;
	}
}

void owned_release(struct owned *o)
{
	free_list(o->first);
	o->first = NULL;
	(void)pthread_mutex_destroy(&o->lock);
}

static bool has_ended(const struct owned_one *one, const void *arg)
{
	enum msb_state s = msb_sandbox_state(one->sandbox);

	(void)arg;
	return s != MSB_STATE_STARTING && s != MSB_STATE_READY;
}

static bool is_called(const struct owned_one *one, const void *arg)
{
	return strcmp(msb_sandbox_name(one->sandbox), arg) == 0 ||
	       strcmp(msb_sandbox_id(one->sandbox), arg) == 0;
}

/* Those that @fn picks leave the list, and are freed without the lock. */
static void drop_if(struct owned *o,
                    bool (*fn)(const struct owned_one *one, const void *arg),
                    const void *arg)
{
	struct owned_one **at = &o->first, *gone = NULL;

	(void)pthread_mutex_lock(&o->lock);
	while (*at) {
		struct owned_one *one = *at;

		if (!fn(one, arg)) {
			at = &one->next;
			continue;
		}
		*at = one->next;
		one->next = gone;
		gone = one;
	}
	(void)pthread_mutex_unlock(&o->lock);
	free_list(gone);
}

void owned_drop(struct owned *o, const char *name)
{
	drop_if(o, is_called, name);
}

void owned_reap(struct owned *o)
{
	drop_if(o, has_ended, NULL);
}

/* With the lock. */
static uint32_t count(const struct owned *o)
{
	uint32_t n = o->coming;

	for (const struct owned_one *one = o->first; one; one = one->next)
		n++;
	return n;
}

uint32_t owned_count(struct owned *o)
{
	uint32_t n;

	(void)pthread_mutex_lock(&o->lock);
	n = count(o);
	(void)pthread_mutex_unlock(&o->lock);
	return n;
}

int owned_reserve(struct owned *o, struct msb_error *error)
{
	bool room;

	owned_reap(o);
	(void)pthread_mutex_lock(&o->lock);
	room = count(o) < o->max;
	if (room)
		o->coming++;
	(void)pthread_mutex_unlock(&o->lock);
	if (room)
		return 0;
	(void)tool_fail(
		error, MSB_ERR_BUSY,
		"%u sandboxes of this server run, which is all it may have",
		(unsigned)o->max);
	return tool_hint(error, "stop one first; the person who starts msb mcp "
	                        "allows more with --max-sandboxes N");
}

void owned_give(struct owned *o)
{
	(void)pthread_mutex_lock(&o->lock);
	o->coming--;
	(void)pthread_mutex_unlock(&o->lock);
}

int owned_put(struct owned *o, struct msb_sandbox *sandbox,
              struct msb_error *error)
{
	struct owned_one *one = malloc(sizeof(*one));

	if (!one) {
		owned_give(o);
		msb_sandbox_free(sandbox);
		return tool_no_memory(error);
	}
	(void)pthread_mutex_lock(&o->lock);
	*one = (struct owned_one){.next = o->first, .sandbox = sandbox};
	o->first = one;
	o->coming--;
	(void)pthread_mutex_unlock(&o->lock);
	return 0;
}
