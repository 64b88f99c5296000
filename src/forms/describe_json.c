#include "forms/describe_json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/num.h"
#include "forms/describe.h"
#include "forms/describe_net.h"
#include "forms/describe_secret.h"

#include "base/banned.h"

/* ---- sandboxes ---------------------------------------------------------- */

static json_t *seconds_or_null(uint32_t s)
{
	return s ? json_integer(s) : json_null();
}

static json_t *config_json(const struct msb_sandbox_info *i)
{
	return json_pack(
		"{s:s, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
		"s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"image", i->image, "image_digest", describe_string(i->image_id),
		"cpus", (json_int_t)i->cpus, "memory_mib",
		(json_int_t)(i->memory_bytes / MIB), "root_disk_mib",
		(json_int_t)(i->upper_bytes / MIB), "hostname",
		describe_string(i->hostname), "workdir",
		describe_string(i->workdir), "user", describe_string(i->user),
		"shell", describe_string(i->shell), "entrypoint",
		describe_string(i->entrypoint), "command",
		describe_list(i->command), "env", describe_pairs(i->env),
		"rlimits", describe_list(i->rlimits), "scripts",
		describe_list(i->scripts), "patches", describe_list(i->patches),
		"mounts", describe_mounts(i->mounts), "network",
		describe_network_json(i->network), "secrets",
		describe_secrets_json(i), "tls", describe_tls_json(i), "init",
		describe_string(i->init), "labels", describe_pairs(i->labels),
		"max_duration_secs", seconds_or_null(i->max_duration_s),
		"idle_timeout_secs", seconds_or_null(i->idle_timeout_s));
}

static json_t *end_json(const struct msb_sandbox_info *i)
{
	if (!*i->end_reason)
		return json_null();
	return json_pack(
		"{s:s, s:o, s:o, s:o}", "reason", i->end_reason, "message",
		describe_string(i->end_message), "exit_code",
		i->exit_code < 0 ? json_null() : json_integer(i->exit_code),
		"ended_at", describe_time(i->ended_unix));
}

static int64_t updated(const struct msb_sandbox_info *i)
{
	return MAX(i->created_unix, MAX(i->started_unix, i->ended_unix));
}

static json_t *pid_json(int64_t pid)
{
	return pid ? json_integer(pid) : json_null();
}

static json_t *pending_json(const struct msb_plan *plan)
{
	json_t *list = json_array();

	for (size_t k = 0; k < msb_plan_count(plan); k++) {
		const struct msb_change *c = msb_plan_get(plan, k);

		(void)json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s, s:s}", "field", c->field,
		                  "active", c->before, "desired", c->after,
		                  "effect", "next start"));
	}
	return list;
}

json_t *describe_sandbox(const struct msb_sandbox_info *i, json_t *ports,
                         const struct msb_plan *pending)
{
	bool runs = describe_is_running(i);

	return json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:b, s:b, s:o, s:o, "
		"s:o, s:o, s:o, s:I, s:o, s:o, s:O}",
		"name", i->name, "id", i->id, "status", describe_state(i),
		"created_at", describe_time(i->created_unix), "updated_at",
		describe_time(updated(i)), "started_at",
		describe_time(i->started_unix), "config", config_json(i), "end",
		end_json(i), "persistent", (i->flags & MSB_SANDBOX_KEEP) != 0,
		"detached", runs && (i->flags & MSB_SANDBOX_DETACHED), "engine",
		describe_string(i->engine), "accel", describe_string(i->accel),
		"pid", pid_json(i->pid), "owner_pid", pid_json(i->owner_pid),
		"walls", describe_list(i->walls), "disk_bytes",
		(json_int_t)i->disk_bytes, "boundary",
		runs ? json_string(i->boundary) : json_null(),
		"pending_changes", pending_json(pending), "ports", ports);
}

json_t *describe_sandbox_row(const struct msb_sandbox_info *i, json_t *ports)
{
	json_t *exit_code =
		i->exit_code < 0 ? json_null() : json_integer(i->exit_code);

	return json_pack(
		"{s:s, s:s, s:s, s:s, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:o, "
		"s:o, s:o, s:o, s:O}",
		"name", i->name, "id", i->id, "status", describe_state(i),
		"image", i->image, "command", describe_list(i->command), "cpus",
		(json_int_t)i->cpus, "max_cpus", (json_int_t)i->cpus,
		"memory_mib", (json_int_t)(i->memory_bytes / MIB),
		"max_memory_mib", (json_int_t)(i->memory_bytes / MIB),
		"created_at", describe_time(i->created_unix), "started_at",
		describe_time(i->started_unix), "ended_at",
		describe_time(i->ended_unix), "end_reason",
		describe_string(i->end_reason), "exit_code", exit_code,
		"labels", describe_pairs(i->labels), "ports", ports);
}

/* ---- images, snapshots, volumes ------------------------------------------ */

/* "linux/amd64/v3" -> "linux" and "amd64/v3". */
json_t *describe_image(const struct msb_image_info *i)
{
	char time[32];
	size_t os = strcspn(i->platform, "/");
	const char *arch = i->platform + os + (i->platform[os] == '/');

	return json_pack("{s:s, s:s, s:I, s:s, s:s%, s:i, s:o}", "reference",
	                 i->reference, "digest", i->id, "size_bytes",
	                 (json_int_t)i->size_bytes, "architecture", arch, "os",
	                 i->platform, os, "layer_count", (int)i->layer_count,
	                 "created_at",
	                 i->created_unix ? json_string(clock_rfc3339(
						   i->created_unix, time))
	                                 : json_null());
}

static json_t *layers_json(const struct msb_image_info *i)
{
	json_t *a = json_array();

	for (uint32_t k = 0; k < i->layer_count; k++)
		(void)json_array_append_new(
			a, json_pack("{s:s, s:i}", "diff_id", i->layers[k],
		                     "position", (int)k));
	return a;
}

json_t *describe_image_whole(const struct msb_image_info *i)
{
	struct err err = {0};
	json_t *cleanup_json raw =
		json_parse(i->config_json, strlen(i->config_json), "", &err);
	json_t *labels =
		json_object_get(json_object_get(raw, "config"), "Labels");
	json_t *o = describe_image(i);
	json_t *config = json_pack(
		"{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:O}", "digest",
		i->config_digest, "env", describe_list(i->env), "cmd",
		describe_list(i->cmd), "entrypoint",
		describe_list(i->entrypoint), "working_dir",
		describe_string(i->workdir), "user", describe_string(i->user),
		"stop_signal", describe_string(i->stop_signal), "labels",
		json_is_object(labels) ? labels : json_null());

	if (json_object_set_new(o, "config", config) < 0 ||
	    json_object_set_new(o, "layers", layers_json(i)) < 0) {
		json_decref(o);
		o = NULL;
	}
	return o;
}

static json_t *text_or_null(const char *s)
{
	json_t *j = *s ? json_string(s) : NULL;

	return j ? j : json_null(); /* it need not be UTF-8 */
}

static json_t *labels_of(const char *const *list)
{
	json_t *o = json_object();

	for (; *list; list++) {
		size_t key = strcspn(*list, "=");
		char *cleanup_free name = strndup(*list, key);

		if (!name ||
		    json_object_set_new(o, name, json_string(*list + key + 1)) <
		            0) {
			json_decref(o);
			return NULL;
		}
	}
	return o;
}

json_t *describe_snapshot(const struct msb_snapshot_info *i)
{
	char time[32];

	return json_pack(
		"{s:s, s:s, s:o, s:s, s:o, s:o, s:o, s:o, s:s, s:I, s:I, s:s, "
		"s:o, s:s}",
		"name", i->name, "digest", i->digest, "parent_digest",
		text_or_null(i->parent), "scope", "disk", "sandbox",
		text_or_null(i->sandbox), "image_ref", text_or_null(i->image),
		"image_digest", text_or_null(i->image_id), "content_digest",
		text_or_null(i->content), "fstype", "ext4", "size_bytes",
		(json_int_t)i->size_bytes, "used_bytes",
		(json_int_t)i->used_bytes, "created_at",
		clock_rfc3339(i->created_ms / 1000, time), "labels",
		labels_of(i->labels), "artifact_path", i->path);
}

/* In MiB, as others count quotas; a part of one is one. */
static json_t *mib_json(uint64_t bytes)
{
	return bytes ? json_integer(
			       (json_int_t)(bytes / MIB + (bytes % MIB != 0)))
	             : json_null();
}

json_t *describe_volume(const struct msb_volume_info *i)
{
	bool disk = i->kind == MSB_VOLUME_DISK;

	return json_pack(
		"{s:s, s:s, s:o, s:I, s:o, s:s?, s:s?, s:o, s:s, s:b, s:o}",
		"name", i->name, "kind", disk ? "disk" : "dir", "quota_mib",
		disk ? json_null() : mib_json(i->size_bytes), "used_bytes",
		(json_int_t)i->used_bytes, "capacity_bytes",
		disk ? json_integer((json_int_t)i->size_bytes) : json_null(),
		"disk_format", disk ? "raw" : NULL, "disk_fstype",
		disk ? "ext4" : NULL, "created_at",
		describe_time(i->created_ms / 1000), "path", i->path, "in_use",
		i->in_use != 0, "sandboxes", describe_list(i->users));
}

/* ---- counters and checks ------------------------------------------------- */

/* RFC 3339 with milliseconds. */
static json_t *timestamp(uint64_t unix_ms)
{
	char day[32], text[48];

	(void)clock_rfc3339((int64_t)(unix_ms / 1000), day);
	(void)snprintf(text, sizeof(text), "%.19s.%03uZ", day,
	               (unsigned)(unix_ms % 1000));
	return json_string(text);
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)MIN(n, (uint64_t)INT64_MAX));
}

static const struct {
	const char *key;
	size_t offset;
} counters[] = {
#define COUNTER(key, member)                                                   \
	{                                                                      \
		key, offsetof(struct msb_metrics, member)                      \
	}
	COUNTER("vcpu_time_ns", cpu_ns),
	COUNTER("memory_bytes", memory_resident_bytes),
	COUNTER("memory_host_resident_bytes", memory_resident_bytes),
	COUNTER("memory_limit_bytes", memory_bytes),
	COUNTER("memory_returned_bytes", memory_returned_bytes),
	COUNTER("disk_read_bytes", disk_read_bytes),
	COUNTER("disk_write_bytes", disk_write_bytes),
	COUNTER("disk_reads", disk_reads),
	COUNTER("disk_writes", disk_writes),
	COUNTER("net_rx_bytes", net_rx_bytes),
	COUNTER("net_tx_bytes", net_tx_bytes),
	COUNTER("net_rx_packets", net_rx_packets),
	COUNTER("net_tx_packets", net_tx_packets),
	COUNTER("net_flows", net_flows),
	COUNTER("net_open", net_open),
	COUNTER("net_denied", net_denied),
	COUNTER("net_refused", net_refused),
	COUNTER("net_dns_queries", net_dns_queries),
	COUNTER("net_dns_denied", net_dns_denied),
	COUNTER("tls_flows", tls_flows),
	COUNTER("tls_refused", tls_refused),
	COUNTER("secrets_used", secrets_used),
	COUNTER("secret_violations", secret_violations),
	COUNTER("secrets_masked", secrets_masked),
	COUNTER("upper_limit_bytes", upper_bytes),
	COUNTER("upper_host_allocated_bytes", upper_used_bytes),
#undef COUNTER
};

void describe_counters(const struct msb_metrics *m, json_t *to)
{
	(void)json_object_set_new(to, "cpus", number(m->cpus));
	(void)json_object_set_new(to, "timestamp", timestamp(m->unix_ms));
	for (size_t i = 0; i < ARRAY_SIZE(counters); i++) {
		uint64_t n;

		memcpy(&n, (const char *)m + counters[i].offset, sizeof(n));
		(void)json_object_set_new(to, counters[i].key, number(n));
	}
	(void)json_object_set_new(to, "sessions", number(m->sessions));
	(void)json_object_set_new(to, "uptime_secs",
	                          number(m->uptime_ns / NS_PER_S));
}
