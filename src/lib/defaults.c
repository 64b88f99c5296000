#include "lib/defaults.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/num.h"

#include "base/banned.h"

/* Where a value came from: for the error of a contradiction. */
#define FROM_MAX 512

const char *const defaults_engines[DEFAULTS_ENGINES] = {
	[MSB_ENGINE_AUTO] = "auto",
	[MSB_ENGINE_KVM] = "kvm",
	[MSB_ENGINE_QEMU] = "qemu",
};

const char *const defaults_accels[DEFAULTS_ACCELS] = {
	[MSB_ACCEL_TCG] = "tcg",
	[MSB_ACCEL_KVM] = "kvm",
	[MSB_ACCEL_AUTO] = "auto",
};

void defaults_release(struct defaults *d)
{
	defaults_file_release(&d->file);
	strv_release(&d->env);
}

/*
 * One member that names something: the caller's, else the variable's, else
 * the file's, else auto. @from says where it came from, "" for the caller.
 */
static int choose(const struct default_names *k, const char *variable,
                  const struct default_value *file, int32_t automatic,
                  int32_t *value, char *from, struct err *err)
{
	const char *text = getenv(variable);
	char names[128];
	int found;

	*from = '\0';
	if (*value < 0 || *value >= k->n)
		return err_set(err, -EINVAL, "no such %s: %d", k->name,
		               (int)*value);
	if (*value)
		return 0;
	*value = file->from ? (int32_t)file->number : automatic;
	if (file->from)
		(void)snprintf(from, FROM_MAX, " (from %s)", file->from);
	if (!text || !*text)
		return 0;
	found = default_find(k, text);
	if (found < 0) {
		default_list(k, names, sizeof(names));
		return err_set(err, -EINVAL, "%s=%s is not one of: %s",
		               variable, text, names);
	}
	*value = found;
	(void)snprintf(from, FROM_MAX, " (from %s)", variable);
	return 0;
}

static int fill_engine(struct msb_sandbox_opts *o,
                       const struct default_value *values, struct err *err)
{
	char engine_from[FROM_MAX], accel_from[FROM_MAX];
	int r = choose(&default_engines, "MSB_ENGINE", &values[DEFAULT_ENGINE],
	               MSB_ENGINE_AUTO, &o->engine, engine_from, err);

	if (r == 0)
		r = choose(&default_accels, "MSB_ACCEL", &values[DEFAULT_ACCEL],
		           MSB_ACCEL_AUTO, &o->accel, accel_from, err);
	if (r < 0 || o->engine != MSB_ENGINE_KVM || o->accel != MSB_ACCEL_TCG)
		return r;
	err_set(err, -EINVAL, "engine kvm%s contradicts accelerator tcg%s",
	        engine_from, accel_from);
	err_hint(err, "the kvm engine always runs on KVM; tcg is of the qemu "
	              "engine: choose that, or no accelerator");
	return -EINVAL;
}

static uint32_t seconds(const struct default_value *v)
{
	return (uint32_t)MIN((v->number + 999) / 1000, (uint64_t)INT32_MAX);
}

static void fill_rest(struct msb_sandbox_opts *o, const struct default_value *v)
{
	if (!o->cpus)
		o->cpus = v[DEFAULT_CPUS].from
		                  ? (uint32_t)v[DEFAULT_CPUS].number
		                  : 1;
	if (!o->memory_bytes)
		o->memory_bytes = v[DEFAULT_MEMORY].from
		                          ? v[DEFAULT_MEMORY].number
		                          : MSB_MEMORY_DEFAULT;
	if (!o->max_duration_s)
		o->max_duration_s = seconds(&v[DEFAULT_MAX_DURATION]);
	if (!o->idle_timeout_s)
		o->idle_timeout_s = seconds(&v[DEFAULT_IDLE_TIMEOUT]);
	if (!o->shell)
		o->shell = v[DEFAULT_SHELL].text;
	if (!o->workdir)
		o->workdir = v[DEFAULT_WORKDIR].text;
	if (!o->user)
		o->user = v[DEFAULT_USER].text;
}

/* The file's variables, and over them those of the caller. */
static int fill_env(struct msb_sandbox_opts *o, struct defaults *d)
{
	int r;

	if (!d->file.env.n)
		return 0;
	r = strv_add_all(&d->env, d->file.env.v);
	for (const char *const *e = o->env; e && *e && r == 0; e++)
		r = strv_env_set(&d->env, *e);
	o->env = (const char *const *)strv_list(&d->env);
	return r;
}

int defaults_fill(struct msb_sandbox_opts *o, const char *home,
                  struct defaults *d, struct err *err)
{
	int r = defaults_file_read(&d->file, home, o->name, err);

	if (r == 0)
		r = fill_engine(o, d->file.values, err);
	if (r < 0)
		return r;
	fill_rest(o, d->file.values);
	if (fill_env(o, d) < 0)
		return err_set(err, -ENOMEM, "out of memory");
	return 0;
}
