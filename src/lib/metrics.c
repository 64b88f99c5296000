/* Questions to msb-vmm about the machine's health and counters. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "lib/error.h"
#include "lib/options.h"
#include "lib/sandbox.h"
#include "lib/upper.h"

#include "base/banned.h"

#define cleanup_answer cleanup(machine_answer_release)

/* msb-vmm answers at once: it only reads its own counters. */
#define STATS_TIMEOUT_MS 2000

/* Bytes that the named upper occupies; 0: it has none, it was unlinked. */
static uint64_t upper_used(const struct msb_sandbox *sb)
{
	struct disk_chain cleanup_disk_chain c = {0};
	struct stat st;

	if (sb->place.dir_fd < 0 || upper_chain(&sb->place, &c, NULL) < 0 ||
	    fstatat(sb->place.dir_fd, c.file, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return 0;
	return (uint64_t)st.st_blocks * 512;
}

static void fill(struct msb_metrics *m, const struct proto_vmm_stats_reply *s)
{
	*m = (struct msb_metrics){
		.time_ns = s->time_ns,
		.uptime_ns = s->uptime_ns,
		.cpu_ns = s->cpu_ns,
		.memory_bytes = s->memory_bytes,
		.memory_resident_bytes = s->memory_resident_bytes,
		.memory_returned_bytes = s->memory_returned_bytes,
		.disk_read_bytes = s->disk_read_bytes,
		.disk_write_bytes = s->disk_write_bytes,
		.disk_reads = s->disk_reads,
		.disk_writes = s->disk_writes,
		.net_rx_bytes = s->net_rx_bytes,
		.net_tx_bytes = s->net_tx_bytes,
		.cpus = s->cpus,
		.sessions = s->sessions,
		.net_rx_packets = s->net_rx_packets,
		.net_tx_packets = s->net_tx_packets,
		.net_flows = s->net_flows,
		.net_open = s->net_open,
		.net_denied = s->net_denied,
		.net_refused = s->net_refused,
		.net_dns_queries = s->net_dns_queries,
		.net_dns_denied = s->net_dns_denied,
		.tls_flows = s->tls_flows,
		.tls_refused = s->tls_refused,
		.secrets_used = s->secrets_used,
		.secret_violations = s->secret_violations,
		.secrets_masked = s->secrets_masked,
	};
}

int msb_sandbox_metrics(struct msb_sandbox *sb, struct msb_metrics *ret_metrics,
                        struct msb_error *error)
{
	/* Its time says which question an answer is to. */
	struct proto_msg msg = {.type = PROTO_VMM_STATS,
	                        .vmm_stats = {.cookie = clock_now_ns()}};
	struct machine_answer cleanup_answer a = {.fd = -1};
	struct err err = {0};
	struct msb_metrics m;
	int r = sandbox_ask(sb, &msg, -1, PROTO_VMM_STATS_REPLY,
	                    STATS_TIMEOUT_MS, &a, &err);

	if (r < 0)
		return error_return(error, r, &err);
	fill(&m, &a.msg.vmm_stats_reply);
	m.unix_ms = clock_unix_ns() / NS_PER_MS;
	m.upper_bytes = sb->config.upper_bytes;
	m.upper_used_bytes = upper_used(sb);
	options_give(ret_metrics, &m, sizeof(m));
	return 0;
}

int msb_sandbox_ping(struct msb_sandbox *sb, int timeout_ms, uint64_t *ret_ns,
                     struct msb_error *error)
{
	uint64_t begin = clock_now_ns();
	struct proto_msg msg = {.type = PROTO_VMM_PING,
	                        .vmm_ping = {.cookie = begin}};
	struct machine_answer cleanup_answer a = {.fd = -1};
	struct err err = {0};
	int r = sandbox_ask(sb, &msg, -1, PROTO_VMM_PONG, timeout_ms, &a, &err);

	if (r < 0)
		return error_return(error, r, &err);
	if (ret_ns)
		*ret_ns = clock_now_ns() - begin;
	return 0;
}
