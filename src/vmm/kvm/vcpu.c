/*
 * Theory
 *
 * A processor is in one of three places: inside KVM_RUN, outside of it (its
 * thread answers an exit), or held. vcpus_hold() sets `hold` and then looks at
 * each `inside`; a thread sets `inside` and then looks at `hold`: both in
 * sequentially consistent order, so one of them sees the other. Who is inside
 * is brought out by immediate_exit (it was about to enter) and a signal (it
 * is in there). Who is outside is let be: it may be waiting for a device whose
 * loop is in the very thread that holds; it will not enter any more.
 *
 * EAGAIN is what a processor that was waiting for its start-up interrupt gets
 * when that comes.
 */
#include "vmm/kvm/vcpu.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/num.h"

#include "base/banned.h"

#define KICK         SIGUSR1
#define THREAD_STACK (128 * KIB)
#define JOIN_STEP_NS (2 * (long)NS_PER_MS)

/* ---- how it ends ---- */

static void __attribute__((format(printf, 4, 5)))
end_machine(struct vcpu *v, bool clean, int error, const char *fmt, ...)
{
	struct vcpus *s = v->set;
	bool first;
	va_list ap;

	(void)pthread_mutex_lock(&s->lock);
	first = !s->has_ended;
	if (first) {
		s->has_ended = true;
		s->end.clean = clean;
		s->end.error = error;
		va_start(ap, fmt);
		(void)vsnprintf(s->end.text, sizeof(s->end.text), fmt, ap);
		va_end(ap);
		atomic_store(&s->hold, true);
	}
	(void)pthread_mutex_unlock(&s->lock);
	serial_flush(s->bus->serial);
	if (first)
		s->ended(s->arg);
}

static const char *suberror_name(uint32_t suberror)
{
	switch (suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		return "an instruction that it cannot emulate";
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		return "an exception within an exception";
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		return "an event that it cannot deliver";
	default:
		return "an unexpected exit";
	}
}

/* Where the processor stands, for the reader of a bug report. */
static void describe_place(struct vcpu *v, char *out, size_t len)
{
	struct kvm_regs regs = {0};
	char *p = out;
	const struct kvm_run *run = v->run;
	uint32_t n = 0;

	(void)ioctl(v->fd, KVM_GET_REGS, &regs);
	p += snprintf(out, len, "rip 0x%llx", (unsigned long long)regs.rip);
	if (run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
	    run->emulation_failure.suberror == KVM_INTERNAL_ERROR_EMULATION &&
	    run->emulation_failure.ndata >= 3 &&
	    run->emulation_failure.flags &
	            KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)
		n = MIN(run->emulation_failure.insn_size, 15u);
	for (uint32_t i = 0; i < n && p + 4 < out + len; i++)
		p += snprintf(p, (size_t)(out + len - p), "%s%02x",
		              i ? " " : ", bytes ",
		              run->emulation_failure.insn_bytes[i]);
}

/* ---- exits; false: this processor is done ---- */

static bool on_port(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	uint8_t *p = (uint8_t *)run + run->io.data_offset;
	bool is_write = run->io.direction == KVM_EXIT_IO_OUT;

	for (uint32_t i = 0; i < run->io.count; i++) {
		enum bus_kind kind = bus_port(v->set->bus, run->io.port,
		                              is_write, p, run->io.size);

		v->exits[kind]++;
		if (kind == BUS_RESET) {
			end_machine(v, true, 0, "%s", "");
			return false;
		}
		p += run->io.size;
	}
	return true;
}

static bool on_address(struct vcpu *v)
{
	struct kvm_run *run = v->run;
	enum bus_kind kind = bus_address(
		v->set->bus, run->mmio.phys_addr, run->mmio.is_write,
		run->mmio.data, MIN(run->mmio.len, sizeof(run->mmio.data)));

	v->exits[kind]++;
	return true;
}

/* A triple fault: how Linux resets here, and how a guest gone wrong ends. */
static bool on_shutdown(struct vcpu *v)
{
	end_machine(v, true, 0, "%s", "");
	return false;
}

static bool on_internal_error(struct vcpu *v)
{
	char place[128];

	describe_place(v, place, sizeof(place));
	end_machine(v, false, -EIO, "KVM stopped processor %u: %s at %s", v->id,
	            suberror_name(v->run->internal.suberror), place);
	return false;
}

static bool on_fail_entry(struct vcpu *v)
{
	char place[128];

	describe_place(v, place, sizeof(place));
	end_machine(v, false, -EIO,
	            "the CPU refused to enter the guest, reason 0x%llx at %s",
	            (unsigned long long)
	                    v->run->fail_entry.hardware_entry_failure_reason,
	            place);
	return false;
}

static bool on_interrupted(struct vcpu *v)
{
	v->interrupted++;
	return true;
}

static bool (*const handlers[])(struct vcpu *v) = {
	[KVM_EXIT_IO] = on_port,
	[KVM_EXIT_MMIO] = on_address,
	[KVM_EXIT_SHUTDOWN] = on_shutdown,
	[KVM_EXIT_SYSTEM_EVENT] = on_shutdown,
	[KVM_EXIT_FAIL_ENTRY] = on_fail_entry,
	[KVM_EXIT_INTERNAL_ERROR] = on_internal_error,
	[KVM_EXIT_INTR] = on_interrupted,
};

static bool on_exit_reason(struct vcpu *v)
{
	uint32_t reason = v->run->exit_reason;

	if (reason < ARRAY_SIZE(handlers) && handlers[reason])
		return handlers[reason](v);
	v->other_exits++;
	end_machine(v, false, -EIO, "KVM stopped processor %u: exit reason %u",
	            v->id, reason);
	return false;
}

/* ---- the thread ---- */

static void leave(struct vcpu *v)
{
	struct vcpus *s = v->set;

	atomic_store(&v->inside, false);
	if (!atomic_load(&s->hold))
		return;
	(void)pthread_mutex_lock(&s->lock);
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
}

/* May it run the guest? Waits while it is held; false: never again. */
static bool enter(struct vcpu *v)
{
	struct vcpus *s = v->set;
	bool stop = false;

	for (;;) {
		atomic_store(&v->inside, true);
		if (!atomic_load(&s->hold))
			return true;
		leave(v);
		(void)pthread_mutex_lock(&s->lock);
		while (atomic_load(&s->hold) && !s->stop)
			(void)pthread_cond_wait(&s->changed, &s->lock);
		stop = s->stop;
		(void)pthread_mutex_unlock(&s->lock);
		if (stop)
			return false;
	}
}

static void tell_first_run(struct vcpus *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->first_run_ns = clock_now_ns();
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
}

static void *vcpu_main(void *arg)
{
	struct vcpu *v = arg;
	bool more = true;
	char name[16];

	/* By itself: for another thread it takes /proc, which the jail hides.
	 */
	(void)snprintf(name, sizeof(name), "vcpu%u", v->id);
	(void)pthread_setname_np(pthread_self(), name);
	if (v->set->confine && v->set->confine() < 0) {
		end_machine(v, false, -EPERM,
		            "processor %u's thread cannot be jailed", v->id);
		more = false;
	}
	if (v->id == 0)
		tell_first_run(v->set);
	while (more && enter(v)) {
		int r = ioctl(v->fd, KVM_RUN, 0);
		int e = errno;

		leave(v);
		if (r == 0) {
			more = on_exit_reason(v);
		} else if (e == EINTR || e == EAGAIN) {
			more = on_interrupted(v);
		} else {
			end_machine(v, false, -e, "KVM cannot run: %s",
			            strerror(e));
			more = false;
		}
	}
	return NULL;
}

/* It has nothing to do but to interrupt KVM_RUN. */
static void kicked(int sig)
{
	(void)sig;
}

static int install_kick(void)
{
	struct sigaction sa = {.sa_handler = kicked};

	return sigaction(KICK, &sa, NULL) < 0 ? -errno : 0;
}

static int start_one(struct vcpu *v, const pthread_attr_t *attr)
{
	int e = pthread_create(&v->thread, attr, vcpu_main, v);

	if (e)
		return -e;
	v->set->running++;
	return 0;
}

int vcpus_start(struct vcpus *s, struct err *err)
{
	pthread_attr_t attr;
	int r = install_kick();

	if (r == 0)
		r = -pthread_attr_init(&attr);
	if (r < 0)
		return err_set(err, r, "cannot start processors: %s",
		               strerror(-r));
	(void)pthread_attr_setstacksize(&attr, THREAD_STACK);
	for (uint32_t i = 0; i < s->n && r == 0; i++)
		r = start_one(&s->list[i], &attr);
	(void)pthread_attr_destroy(&attr);
	if (r < 0)
		return err_set(err, r, "cannot start a processor: %s",
		               strerror(-r));
	(void)pthread_mutex_lock(&s->lock);
	while (!s->first_run_ns)
		(void)pthread_cond_wait(&s->changed, &s->lock);
	(void)pthread_mutex_unlock(&s->lock);
	return 0;
}

/* ---- hold, go, stop ---- */

static void bring_out(struct vcpus *s)
{
	for (uint32_t i = 0; i < s->running; i++) {
		s->list[i].run->immediate_exit = 1;
		(void)pthread_kill(s->list[i].thread, KICK);
	}
}

static bool any_inside(const struct vcpus *s)
{
	for (uint32_t i = 0; i < s->running; i++)
		if (atomic_load(&s->list[i].inside))
			return true;
	return false;
}

void vcpus_hold(struct vcpus *s)
{
	atomic_store(&s->hold, true);
	bring_out(s);
	(void)pthread_mutex_lock(&s->lock);
	while (any_inside(s))
		(void)pthread_cond_wait(&s->changed, &s->lock);
	(void)pthread_mutex_unlock(&s->lock);
}

void vcpus_go(struct vcpus *s)
{
	(void)pthread_mutex_lock(&s->lock);
	if (!s->has_ended && !s->stop) {
		for (uint32_t i = 0; i < s->n; i++)
			s->list[i].run->immediate_exit = 0;
		atomic_store(&s->hold, false);
	}
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
}

/*
 * A thread may be waiting for a device that lives in our loop, which does not
 * run while we wait: so look after those from time to time.
 */
static void join(struct vcpus *s, pthread_t thread)
{
	struct timespec until;

	do {
		if (s->settle)
			s->settle(s->arg);
		(void)clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += JOIN_STEP_NS;
		if (until.tv_nsec >= (long)NS_PER_S) {
			until.tv_sec++;
			until.tv_nsec -= (long)NS_PER_S;
		}
	} while (pthread_timedjoin_np(thread, NULL, &until) != 0);
}

static void stop(struct vcpus *s)
{
	(void)pthread_mutex_lock(&s->lock);
	s->stop = true;
	atomic_store(&s->hold, true);
	(void)pthread_cond_broadcast(&s->changed);
	(void)pthread_mutex_unlock(&s->lock);
	bring_out(s);
	for (uint32_t i = 0; i < s->running; i++)
		join(s, s->list[i].thread);
	s->running = 0;
}

void vcpus_free(struct vcpus *s)
{
	if (!s)
		return;
	stop(s);
	for (uint32_t i = 0; i < s->n; i++) {
		if (s->list[i].run)
			(void)munmap(s->list[i].run, s->vm->run_len);
		close_fd(&s->list[i].fd);
	}
	(void)pthread_mutex_destroy(&s->lock);
	(void)pthread_cond_destroy(&s->changed);
	free(s->list);
	free(s);
}

/* ---- making them ---- */

static int create_one(struct vcpus *s, uint32_t id)
{
	struct vcpu *v = &s->list[id];
	void *run;

	v->set = s;
	v->id = id;
	v->fd = kvm_call(s->vm, s->vm->fd, KVM_CREATE_VCPU,
	                 (void *)(uintptr_t)id);
	s->n = id + 1;
	if (v->fd < 0)
		return v->fd;
	(void)fcntl(v->fd, F_SETFD, FD_CLOEXEC);
	run = mmap(NULL, s->vm->run_len, PROT_READ | PROT_WRITE, MAP_SHARED,
	           v->fd, 0);
	if (run == MAP_FAILED)
		return -errno;
	v->run = run;
	return 0;
}

static void cleanup_vcpus_fn(struct vcpus **s)
{
	vcpus_free(*s);
}

int vcpus_new(struct kvm_vm *vm, struct bus *bus, uint32_t n,
              struct vcpus **ret, struct err *err)
{
	struct vcpus *cleanup(cleanup_vcpus_fn) s = calloc(1, sizeof(*s));
	int r = 0;

	if (!s)
		return err_set(err, -ENOMEM, "out of memory");
	s->vm = vm;
	s->bus = bus;
	(void)pthread_mutex_init(&s->lock, NULL);
	(void)pthread_cond_init(&s->changed, NULL);
	s->list = calloc(n, sizeof(*s->list));
	if (!s->list)
		return err_set(err, -ENOMEM, "out of memory");
	for (uint32_t i = 0; i < n && r == 0; i++)
		r = create_one(s, i);
	if (r < 0)
		return err_set(err, r, "KVM cannot make %u processors: %s", n,
		               strerror(-r));
	*ret = take_ptr(s);
	return 0;
}
