/* The picture of one sandbox. */
#include <errno.h>
#include <stdio.h>

#include "base/num.h"
#include "cli/metrics_draw.h"
#include "cli/metrics_view.h"

#include "base/banned.h"

#define LABEL_WIDTH 20 /* name and value, before a bar */
#define GAUGE_MIN   10

static void put_title(struct line *l, const struct metrics_row *row)
{
	char text[METRICS_TEXT_MAX], size[METRICS_TEXT_MAX], words[128];

	draw_in(l, DRAW_BOLD, row->name);
	draw_spaces(l, 2);
	draw_in(l, metrics_colour(row), row->text);
	(void)snprintf(words, sizeof(words),
	               "  %u CPU%s  %s memory  up %s  %u command%s",
	               (unsigned)row->last.cpus, row->last.cpus == 1 ? "" : "s",
	               metrics_limit(row, size), metrics_uptime(row, text),
	               (unsigned)row->last.sessions,
	               row->last.sessions == 1 ? "" : "s");
	draw(l, words);
	draw_in(l, DRAW_DIM, "   q quits");
	draw_end(l);
}

/* "CPU       12.3% [#####      ] of 200%" */
static void put_gauge(struct line *l, const char *name, const char *value,
                      double part, unsigned width, const char *of)
{
	draw_cell(l, DRAW_BOLD, name, 10, false);
	draw_cell(l, DRAW_PLAIN, value, LABEL_WIDTH - 10, true);
	draw(l, " ");
	draw_bar(l, part, width);
	draw(l, " ");
	draw(l, of);
	draw_end(l);
}

static void put_gauges(struct line *l, const struct metrics_row *row)
{
	char text[METRICS_TEXT_MAX], size[METRICS_TEXT_MAX],
		back[METRICS_TEXT_MAX], of_cpu[80], of_memory[80];
	unsigned taken, width = GAUGE_MIN;

	(void)snprintf(of_cpu, sizeof(of_cpu), "of %.0f%%",
	               metrics_cpu_limit(row));
	(void)snprintf(of_memory, sizeof(of_memory), "of %s, %s given back",
	               metrics_limit(row, size),
	               num_format_size(row->last.memory_returned_bytes, back,
	                               sizeof(back)));
	taken = LABEL_WIDTH + 4 + draw_width(of_memory);
	if (l->max > taken + GAUGE_MIN)
		width = l->max - taken;
	put_gauge(l, "CPU", metrics_cpu(row, text),
	          draw_part(row->now[METRICS_CPU], metrics_cpu_limit(row)),
	          width, of_cpu);
	put_gauge(l, "Memory", metrics_memory(row, text),
	          draw_part(row->now[METRICS_MEMORY],
	                    (double)row->last.memory_bytes),
	          width, of_memory);
}

static void put_history(struct line *l, const struct metrics_row *row,
                        enum metrics_series s, const char *name, double max)
{
	char text[METRICS_TEXT_MAX], value[METRICS_TEXT_MAX + 4];
	unsigned cols = l->style->cols;

	if (s == METRICS_CPU)
		(void)snprintf(value, sizeof(value), "%s",
		               metrics_cpu(row, text));
	else if (s == METRICS_MEMORY)
		(void)snprintf(value, sizeof(value), "%s",
		               metrics_memory(row, text));
	else if (!metrics_has_rates(row))
		(void)snprintf(value, sizeof(value), "-");
	else
		(void)snprintf(value, sizeof(value), "%s/s",
		               metrics_size(row->now[s], text));
	draw_cell(l, DRAW_BOLD, name, 11, false);
	draw_cell(l, DRAW_PLAIN, value, LABEL_WIDTH - 8, true);
	draw_spaces(l, 2);
	draw_spark(l, row, s, max,
	           cols > LABEL_WIDTH + 5 ? cols - LABEL_WIDTH - 5 : 0);
	draw_end(l);
}

static void put_totals(struct line *l, const struct metrics_row *row)
{
	char a[METRICS_TEXT_MAX], b[METRICS_TEXT_MAX], c[METRICS_TEXT_MAX],
		text[256];
	const struct msb_metrics *m = &row->last;

	(void)snprintf(
		text, sizeof(text),
		"In all: read %s in %llu, written %s in %llu requests; "
		"its disk occupies %s",
		num_format_size(m->disk_read_bytes, a, sizeof(a)),
		(unsigned long long)m->disk_reads,
		num_format_size(m->disk_write_bytes, b, sizeof(b)),
		(unsigned long long)m->disk_writes,
		m->upper_used_bytes
			? num_format_size(m->upper_used_bytes, c, sizeof(c))
			: "nothing");
	draw_in(l, DRAW_DIM, text);
	draw_end(l);
	(void)snprintf(
		text, sizeof(text),
		"Network: %llu connections, %llu open, %llu denied, %llu "
		"lookups; got %s, sent %s",
		(unsigned long long)m->net_flows,
		(unsigned long long)m->net_open,
		(unsigned long long)(m->net_denied + m->net_refused +
	                             m->net_dns_denied),
		(unsigned long long)m->net_dns_queries,
		num_format_size(m->net_rx_bytes, a, sizeof(a)),
		num_format_size(m->net_tx_bytes, b, sizeof(b)));
	draw_in(l, DRAW_DIM, text);
	draw_end(l);
}

/* Of one that has any. */
static void put_secrets(struct line *l, const struct metrics_row *row)
{
	const struct msb_metrics *m = &row->last;
	char text[256];

	if (!m->tls_flows && !m->tls_refused && !m->secrets_used &&
	    !m->secret_violations && !m->secrets_masked)
		return;
	(void)snprintf(
		text, sizeof(text),
		"TLS: %llu decrypted, %llu refused; secrets: %llu put in, %llu "
		"violations, %llu masked",
		(unsigned long long)m->tls_flows,
		(unsigned long long)m->tls_refused,
		(unsigned long long)m->secrets_used,
		(unsigned long long)m->secret_violations,
		(unsigned long long)m->secrets_masked);
	draw_in(l, m->secret_violations ? DRAW_BOLD : DRAW_DIM, text);
	draw_end(l);
}

static const struct {
	enum metrics_series series;
	const char *name;
} histories[] = {
	{METRICS_CPU,        "CPU"       },
	{METRICS_MEMORY,     "Memory"    },
	{METRICS_DISK_READ,  "Disk read" },
	{METRICS_DISK_WRITE, "Disk write"},
	{METRICS_NET_RX,     "Net in"    },
	{METRICS_NET_TX,     "Net out"   },
};

int metrics_view_one(struct buf *out, const struct metrics_row *row,
                     const struct metrics_style *style)
{
	struct line l = draw_begin(out, style);

	if (!row) {
		draw(&l, "It does not run.");
		draw_in(&l, DRAW_DIM, "   q quits");
		draw_end(&l);
		return buf_ok(out) ? 0 : -ENOMEM;
	}
	put_title(&l, row);
	draw_end(&l);
	put_gauges(&l, row);
	draw_end(&l);
	for (size_t i = 0; i < ARRAY_SIZE(histories); i++) {
		enum metrics_series s = histories[i].series;
		double max = s == METRICS_CPU ? metrics_cpu_limit(row)
		             : s == METRICS_MEMORY
		                     ? (double)row->last.memory_bytes
		                     : 0;

		put_history(&l, row, s, histories[i].name, max);
	}
	draw_end(&l);
	put_totals(&l, row);
	put_secrets(&l, row);
	return buf_ok(out) ? 0 : -ENOMEM;
}
