/*
 * vcpu.h - the guest's processors: one thread each, which runs it and answers
 * its exits.
 *
 * The set is made and prepared by one thread (the main one), which also starts,
 * holds and stops it. A processor that ends the machine says so once through
 * ended(), in its own thread, and is held from then on.
 *
 *	vcpus_new -> regs_prepare each -> vcpus_start -> { hold, go } -> stop
 */
#ifndef VMM_KVM_VCPU_H
#define VMM_KVM_VCPU_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "vmm/kvm/bus.h"
#include "vmm/kvm/kvm.h"

#define VCPU_TEXT_MAX 256

/* How the machine ended; see struct engine_end. */
struct vcpu_end {
	bool clean;
	int error;
	char text[VCPU_TEXT_MAX];
};

struct vcpus;

struct vcpu {
	struct vcpus *set;
	uint32_t id;
	int fd;
	struct kvm_run *run; /* shared with the kernel, not with the guest */
	pthread_t thread;
	atomic_bool inside;        /* in KVM_RUN, or about to be */
	uint64_t exits[BUS_KINDS]; /* by what was accessed */
	uint64_t other_exits, interrupted;
};

struct vcpus {
	struct kvm_vm *vm;
	struct bus *bus;
	struct vcpu *list;
	uint32_t n, running; /* running: threads that were started */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	atomic_bool hold; /* nobody may enter KVM_RUN */
	bool stop;        /* and never will again; under the lock */
	bool has_ended;
	struct vcpu_end end;
	void (*ended)(void *arg);
	void *arg;
	int (*confine)(void);      /* each thread's first act */
	void (*settle)(void *arg); /* answer those who wait for this thread */
	uint64_t first_run_ns; /* CLOCK_MONOTONIC; when vcpus_start() is over */
};

int vcpus_new(struct kvm_vm *vm, struct bus *bus, uint32_t n,
              struct vcpus **ret, struct err *err);

/* Threads start; returns when the first one is about to enter KVM_RUN. */
int vcpus_start(struct vcpus *s, struct err *err);

/* Returns when no processor executes guest code; held ones can go on. */
void vcpus_hold(struct vcpus *s);
void vcpus_go(struct vcpus *s);

/* Ends the threads and frees everything; calls settle() meanwhile. */
void vcpus_free(struct vcpus *s); /* NULL is fine */

#endif
