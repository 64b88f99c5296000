#include "cli/metrics_source.h"

#include "base/clock.h"

#include "base/banned.h"

/* The list of sandboxes is read no more often than this. */
#define LIST_NS NS_PER_S

/* One that did not answer is left alone so long: asking it makes us wait. */
#define RETRY_NS (5 * NS_PER_S)

static bool runs(int32_t state)
{
	return state == MSB_STATE_READY || state == MSB_STATE_STARTING;
}

/* Not open after it: the sandbox ended, and its row may stay. */
static void let_go(struct metrics_row *row)
{
	msb_sandbox_free(row->sandbox);
	row->sandbox = NULL;
}

/* One that was open is shown as exited once, and goes with the next list. */
static bool is_over(void *arg, struct metrics_row *row)
{
	struct metrics_source *s = arg;

	if (row->seen || !row->sandbox)
		return !row->seen;
	let_go(row);
	metrics_row_set_state(row, METRICS_EXITED);
	s->listed_ns = 0;
	return false;
}

static int take_one(struct metrics_source *s,
                    const struct msb_sandbox_info *info,
                    struct msb_error *error)
{
	struct metrics_row *row;

	if (!s->all && !runs(info->state))
		return 0;
	row = metrics_model_row(s->model, info->name);
	if (!row) {
		*error = (struct msb_error){.code = MSB_ERR_NO_MEMORY,
		                            .message = "out of memory"};
		return -MSB_ERR_NO_MEMORY;
	}
	row->seen = true;
	if (runs(info->state) && !row->sandbox &&
	    msb_sandbox_open(s->home, info->name, &row->sandbox, NULL) == 0)
		row->samples = 0; /* perhaps another machine than before */
	if (row->sandbox)
		return 0;
	row->state = METRICS_OTHER;
	row->text = msb_state_name(info->state);
	row->seen = s->all; /* it ended between the list and the opening */
	return 0;
}

static int read_list(struct metrics_source *s, struct msb_error *error)
{
	struct msb_sandbox_list *list;
	int r = msb_sandbox_list(s->home, s->labels, &list, error);

	if (r < 0)
		return r;
	for (size_t i = 0; i < s->model->n; i++)
		s->model->rows[i]->seen = false;
	for (size_t i = 0; i < msb_sandbox_list_count(list) && r == 0; i++)
		r = take_one(s, msb_sandbox_list_get(list, i), error);
	msb_sandbox_list_free(list);
	metrics_model_drop(s->model, is_over, s);
	return r;
}

/* By name: it must run the first time; later it may end and come back. */
static int open_named(struct metrics_source *s, struct msb_error *error)
{
	struct msb_sandbox *sandbox;
	struct metrics_row *row;
	int r;

	if (s->model->n && s->model->rows[0]->sandbox)
		return 0;
	r = msb_sandbox_open(s->home, s->name, &sandbox, error);
	if (r < 0)
		return s->model->n ? 0 : r;
	row = metrics_model_row(s->model, msb_sandbox_name(sandbox));
	if (!row) {
		msb_sandbox_free(sandbox);
		*error = (struct msb_error){.code = MSB_ERR_NO_MEMORY,
		                            .message = "out of memory"};
		return -MSB_ERR_NO_MEMORY;
	}
	row->samples = 0;
	row->sandbox = sandbox;
	return 0;
}

/* False when it has ended just now. */
static bool sample(struct metrics_row *row)
{
	struct msb_metrics m = MSB_METRICS_INIT;
	uint64_t now = clock_now_ns();
	int r;

	if (!row->sandbox || now < row->retry_ns)
		return true;
	r = msb_sandbox_metrics(row->sandbox, &m, NULL);
	if (r == 0) {
		metrics_row_feed(row, &m);
	} else if (r == -MSB_ERR_TIMEOUT) {
		metrics_row_set_state(row, METRICS_STALLED);
		row->retry_ns = now + RETRY_NS;
	} else {
		metrics_row_set_state(row, METRICS_EXITED);
		let_go(row);
		return false;
	}
	return true;
}

int metrics_source_update(struct metrics_source *s, struct msb_error *error)
{
	uint64_t now = clock_now_ns();
	int r = 0;

	if (!s->listed_ns || now - s->listed_ns >= LIST_NS) {
		s->listed_ns = now;
		r = s->name ? open_named(s, error) : read_list(s, error);
	}
	for (size_t i = 0; i < s->model->n; i++)
		if (!sample(s->model->rows[i]) && !s->name)
			s->listed_ns = 0;
	return r;
}

void metrics_source_release(struct metrics_source *s)
{
	for (size_t i = 0; i < s->model->n; i++)
		let_go(s->model->rows[i]);
}
