#include "cli/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/escape.h"
#include "base/fdio.h"
#include "base/num.h"

#include "base/banned.h"

#define BAR_WIDTH   24
#define ROWS_SPARED 2 /* of the screen's height, so that nothing scrolls */

void progress_init(struct progress *p, const char *verb, bool quiet)
{
	*p = (struct progress){
		.quiet = quiet, .terminal = isatty(2), .verb = verb};
}

static void write_out(const struct buf *b)
{
	(void)fd_write_full(2, b->data, b->len);
}

/* Back to the first row, everything below cleared. */
static void add_home(struct buf *b, unsigned rows)
{
	if (rows)
		(void)buf_printf(b, "\033[%uA", rows);
	(void)buf_adds(b, "\r\033[J");
}

static void add_bar(struct buf *b, const struct progress_layer *l)
{
	unsigned full = 0;

	if (l->state == LAYER_DONE || l->state == LAYER_CACHED)
		full = BAR_WIDTH;
	else if (l->total)
		full = (unsigned)(MIN(l->done, l->total) * BAR_WIDTH /
		                  l->total);
	(void)buf_addc(b, '[');
	for (unsigned i = 0; i < BAR_WIDTH; i++)
		(void)buf_addc(b, i < full ? '=' : i == full ? '>' : ' ');
	(void)buf_addc(b, ']');
}

static void add_layer(struct buf *b, const struct progress_layer *l)
{
	char done[32], total[32];

	(void)buf_printf(b, "  %-12s ", l->digest);
	add_bar(b, l);
	switch (l->state) {
	case LAYER_WAITS:
		(void)buf_adds(b, " waiting");
		break;
	case LAYER_LOADS:
		(void)buf_printf(b, " %s",
		                 num_format_size(l->done, done, sizeof(done)));
		if (l->total)
			(void)buf_printf(b, " / %s",
			                 num_format_size(l->total, total,
			                                 sizeof(total)));
		break;
	case LAYER_DONE:
		(void)buf_printf(
			b, " %s done",
			num_format_size(l->total, total, sizeof(total)));
		break;
	case LAYER_CACHED:
		(void)buf_adds(b, " cached");
		break;
	}
	(void)buf_adds(b, "\n");
}

/* More layers than rows: one line for all. */
static void add_sum(struct buf *b, const struct progress *p)
{
	struct progress_layer sum = {.digest = "", .state = LAYER_LOADS};
	unsigned ready = 0;

	for (uint32_t i = 0; i < p->n; i++) {
		sum.done += p->layers[i].done;
		sum.total += p->layers[i].total;
		ready += p->layers[i].state >= LAYER_DONE;
	}
	(void)snprintf(sum.digest, sizeof(sum.digest), "%u/%u layers", ready,
	               p->n);
	add_layer(b, &sum);
}

static unsigned screen_rows(void)
{
	struct winsize ws;

	if (ioctl(2, TIOCGWINSZ, &ws) < 0 || ws.ws_row < 4)
		return 24;
	return ws.ws_row;
}

static void redraw(struct progress *p)
{
	struct buf cleanup_buf b = BUF_INIT_MAX(1u << 20);
	unsigned room = screen_rows() - ROWS_SPARED;

	add_home(&b, p->rows);
	p->rows = 0;
	if (p->phase[0]) {
		(void)buf_printf(&b, "%s\n", p->phase);
		p->rows++;
	}
	if (p->n + p->rows > room) {
		add_sum(&b, p);
		p->rows++;
	} else {
		for (uint32_t i = 0; i < p->n; i++)
			add_layer(&b, &p->layers[i]);
		p->rows += p->n;
	}
	write_out(&b);
}

static void set_phase(struct progress *p, const char *verb, const char *text)
{
	struct buf cleanup_buf b = BUF_INIT;

	(void)buf_printf(&b, "%s ", verb);
	(void)escape_text(&b, text, strlen(text), 0);
	/* Cut so that it never wraps: rows are counted. */
	(void)snprintf(p->phase, sizeof(p->phase), "%.76s", buf_str(&b));
}

/* 12 digits of "sha256:...", harmless whatever the registry says. */
static void set_digest(struct progress_layer *l, const char *digest)
{
	const char *hex = digest ? strchr(digest, ':') : NULL;
	size_t n = 0;

	for (hex = hex ? hex + 1 : ""; *hex && n + 1 < sizeof(l->digest); hex++)
		if (strchr("0123456789abcdef", *hex))
			l->digest[n++] = *hex;
	l->digest[n] = '\0';
}

static void on_layer(struct progress *p, const struct msb_pull_event *ev)
{
	struct progress_layer *l;

	if (ev->layer >= PROGRESS_LAYERS_MAX)
		return;
	l = &p->layers[ev->layer];
	p->n = MAX(p->n, ev->layer + 1);
	if (ev->digest && !l->digest[0])
		set_digest(l, ev->digest);
	l->done = ev->done;
	if (ev->total)
		l->total = ev->total;
	l->state = LAYER_LOADS;
	if (ev->kind == MSB_PULL_LAYER_DONE) {
		l->state = ev->cached ? LAYER_CACHED : LAYER_DONE;
		l->done = l->total;
	}
	p->worked = true;
}

static void take(struct progress *p, const struct msb_pull_event *ev)
{
	switch (ev->kind) {
	case MSB_PULL_RESOLVING:
		set_phase(p, "Resolving", ev->reference);
		break;
	case MSB_PULL_RESOLVED:
		set_phase(p, p->verb, ev->reference);
		p->n = MIN(ev->layer_count, PROGRESS_LAYERS_MAX);
		break;
	case MSB_PULL_LAYER:
	case MSB_PULL_LAYER_DONE:
		on_layer(p, ev);
		break;
	case MSB_PULL_MERGING:
		set_phase(p, "Preparing", ev->reference);
		p->worked = true;
		break;
	default:
		break;
	}
}

/* Elsewhere than on a terminal: one line at each turn. */
static void say(const struct progress *p, const struct msb_pull_event *ev)
{
	struct buf cleanup_buf b = BUF_INIT;
	const struct progress_layer *l;
	char size[32];

	if (ev->kind == MSB_PULL_RESOLVED) {
		(void)buf_printf(&b, "%s (%u layer%s)\n", p->phase,
		                 ev->layer_count,
		                 ev->layer_count == 1 ? "" : "s");
	} else if (ev->kind == MSB_PULL_LAYER_DONE &&
	           ev->layer < PROGRESS_LAYERS_MAX) {
		l = &p->layers[ev->layer];
		(void)buf_printf(&b, "  %-12s %s %s\n", l->digest,
		                 num_format_size(l->total, size, sizeof(size)),
		                 ev->cached ? "cached" : "done");
	}
	if (b.len)
		write_out(&b);
}

int progress_event(void *arg, const struct msb_pull_event *ev)
{
	struct progress *p = arg;

	if (p->quiet)
		return 0;
	take(p, ev);
	if (p->terminal && ev->kind != MSB_PULL_DONE)
		redraw(p);
	else if (!p->terminal)
		say(p, ev);
	return 0;
}

void progress_end(struct progress *p)
{
	struct buf cleanup_buf b = BUF_INIT;

	if (p->quiet || !p->terminal || p->rows == 0)
		return;
	add_home(&b, p->rows);
	write_out(&b);
	p->rows = 0;
}
