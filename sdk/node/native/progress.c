/* progress.c - events of pulls and copies, on their way to JavaScript. */
#include "addon.h"
#include <stdlib.h>
#include <string.h>

/* The environment's end comes after it, or lets no more through. */
static bool hand_over(struct addon *a, struct progress *p)
{
	bool ending;

	pthread_mutex_lock(&a->pool.lock);
	ending = a->pool.ending;
	if (!ending)
		addon_post(a, &p->message);
	pthread_mutex_unlock(&a->pool.lock);
	return !ending;
}

static int post(struct job *j, uint32_t shape, const void *event)
{
	struct progress *p = calloc(1, sizeof(*p));

	if (!p)
		return 0;
	p->message.type = MESSAGE_PROGRESS;
	p->job = j;
	p->shape = shape;
	p->event = arena_get(&p->arena, shapes[shape].size);
	if (p->event) {
		memcpy(p->event, event, shapes[shape].size);
		if (own_struct(&p->arena, shape, p->event)) {
			if (hand_over(j->addon, p))
				return 0;
		}
	}
	arena_free(&p->arena);
	free(p);
	return 0;
}

int on_pull_event(void *arg, const struct msb_pull_event *event)
{
	return post(arg, (uint32_t)pull_event_shape, event);
}

int on_copy_event(void *arg, const struct msb_copy_event *event)
{
	return post(arg, (uint32_t)copy_event_shape, event);
}

/* Its job is still there: that arrives behind it. */
void progress_arrived(struct addon *a, struct progress *p)
{
	napi_value fn = NULL, self = NULL, event, ignored;

	napi_get_reference_value(a->env, p->job->progress, &fn);
	napi_get_undefined(a->env, &self);
	event = show_struct(a->env, p->shape, p->event);
	if (fn)
		napi_call_function(a->env, self, fn, 1, &event, &ignored);
	arena_free(&p->arena);
}
