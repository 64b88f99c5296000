/*
 * serial.h - a 16550A serial port that only sends: the guest's console until
 * its virtio console is there, and the place of its last words.
 *
 * Output goes to a non-blocking socket line by line; what that does not take
 * is dropped, so a guest that floods it costs us nothing. Any thread may call.
 */
#ifndef VMM_KVM_SERIAL_H
#define VMM_KVM_SERIAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define SERIAL_BASE  0x3f8u
#define SERIAL_PORTS 8u
#define SERIAL_IRQ   4u

struct serial {
	pthread_mutex_t lock;
	int out_fd, irq_fd; /* borrowed */
	uint8_t ier, lcr, mcr, scr, dll, dlm;
	bool fifo, thr_empty_pending;
	char line[128];
	unsigned len;
};

void serial_init(struct serial *s, int out_fd, int irq_fd);
uint8_t serial_read(struct serial *s, uint16_t reg);
void serial_write(struct serial *s, uint16_t reg, uint8_t value);
void serial_flush(struct serial *s); /* a line that has no end yet */

#endif
