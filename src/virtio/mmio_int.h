/*
 * mmio_int.h - what the two halves of virtio-mmio share: the registers
 * (mmio_regs.c, vCPU threads) and the model's side (mmio.c, the loop).
 *
 *	vCPU threads                          the loop's thread
 *	mmio_read(), mmio_write()             the model
 *	     |  registers, config copy  <---------- config_changed(), broken()
 *	     |  job: start, reset, config write --> mmio_settle()
 *	     |  wait on a condition   <------------ done
 *	     |  kick eventfd (mostly the kernel) -> notify()
 *	     <------------------------- irq eventfd  interrupt()
 *
 * What concerns the model is a job. There is one at a time, so it needs no
 * memory that could be missing; while it is carried out, every register of
 * this device waits, without the lock. So the loop's thread always gets the
 * lock at once, and no vCPU sees a device that is half reset.
 */
#ifndef VIRTIO_MMIO_INT_H
#define VIRTIO_MMIO_INT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "virtio/mmio.h"
#include "virtio/queue.h"

#define MMIO_CONFIG     0x100u /* where the model's config space begins */
#define MMIO_CONFIG_MAX (MMIO_SIZE - MMIO_CONFIG)

#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER      2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u
#define STATUS_NEEDS_RESET 0x40u
#define STATUS_FAILED      0x80u

/* Causes of an interrupt. */
#define MMIO_INT_RING   1u
#define MMIO_INT_CONFIG 2u

/* The balloon has the most: five. */
#define MMIO_QUEUES_MAX 16

/* Where the driver wants a queue; not looked at before DRIVER_OK. */
struct mmio_queue {
	uint64_t desc, avail, used;
	uint16_t size;
	bool ready;
};

/* All that the registers hold. What a reset clears comes first. */
struct mmio_regs {
	uint32_t status, device_sel, driver_sel, queue_sel;
	uint64_t features; /* as written, whatever was offered */
	struct mmio_queue queue[MMIO_QUEUES_MAX];
	uint32_t generation;
	atomic_uint interrupts; /* needs no lock */
};

/* Something to be done with the model, in its thread. */
struct mmio_job {
	void (*run)(struct mmio *m, const struct mmio_job *j); /* NULL: none */
	uint32_t off, len;
	uint8_t data[8];
};

struct mmio_kick {
	struct mmio *m;
	uint16_t q;
	int fd;
	struct loop_fd src;
};

struct mmio {
	struct loop *l;
	struct virtio_dev *dev;
	int irq_fd; /* borrowed */
	int job_fd; /* wakes the loop for a job */

	/* the loop's thread only */
	struct guest_mem mem;
	struct vq vqs[MMIO_QUEUES_MAX];
	struct mmio_kick kicks[MMIO_QUEUES_MAX];
	struct loop_timer again;
	uint32_t again_mask;
	struct loop_fd job_src;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t done;
	uint64_t jobs_done;
	struct mmio_job job;
	struct mmio_regs regs;
	uint8_t *config; /* dev->ops->config_len bytes */
};

/* The jobs. The registers are theirs while they run. */
void mmio_start(struct mmio *m, const struct mmio_job *j);
void mmio_reset(struct mmio *m, const struct mmio_job *j);
void mmio_config_write(struct mmio *m, const struct mmio_job *j);

void mmio_clear_regs(struct mmio *m);

/* Add 1 to an eventfd. */
void mmio_signal_fd(int fd);

#endif
