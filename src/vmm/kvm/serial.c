#include "vmm/kvm/serial.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/num.h"

#include "base/banned.h"

/* PC16550D data sheet, section 8: registers and their bits. */
enum {
	REG_DATA, /* divisor, low, while LCR_DLAB */
	REG_IER,  /* divisor, high, while LCR_DLAB */
	REG_IIR,  /* written: FCR */
	REG_LCR,
	REG_MCR,
	REG_LSR,
	REG_MSR,
	REG_SCR,
};

#define IER_THR_EMPTY 0x02
#define IER_MASK      0x0f
#define IIR_NONE      0x01
#define IIR_THR_EMPTY 0x02
#define IIR_FIFO      0xc0
#define FCR_FIFO      0x01
#define LCR_DLAB      0x80
#define MCR_LOOP      0x10
#define MCR_MASK      0x1f
#define LSR_IDLE      0x60 /* holding and shift register are empty */
#define MSR_READY     0xb0 /* carrier, data set ready, clear to send */

void serial_init(struct serial *s, int out_fd, int irq_fd)
{
	memset(s, 0, sizeof(*s));
	(void)pthread_mutex_init(&s->lock, NULL);
	s->out_fd = out_fd;
	s->irq_fd = irq_fd;
	s->dll = 1;
}

/* Nobody reads as fast as we can write: then the guest's words are lost. */
static void send_line(struct serial *s)
{
	if (s->len)
		(void)send(s->out_fd, s->line, s->len,
		           MSG_DONTWAIT | MSG_NOSIGNAL);
	s->len = 0;
}

static void put_char(struct serial *s, uint8_t c)
{
	s->line[s->len++] = (char)c;
	if (c == '\n' || s->len == sizeof(s->line))
		send_line(s);
}

/* The transmitter is always empty: so this is due at once. */
static void raise_thr_empty(struct serial *s)
{
	const uint64_t one = 1;

	if (!(s->ier & IER_THR_EMPTY))
		return;
	s->thr_empty_pending = true;
	if (s->irq_fd >= 0)
		(void)!write(s->irq_fd, &one, sizeof(one));
}

static uint8_t read_iir(struct serial *s)
{
	uint8_t fifo = s->fifo ? IIR_FIFO : 0;

	if (!s->thr_empty_pending)
		return fifo | IIR_NONE;
	s->thr_empty_pending = false; /* reading it is the acknowledgement */
	return fifo | IIR_THR_EMPTY;
}

/* In loopback the outputs DTR, RTS, OUT1, OUT2 come back as inputs. */
static uint8_t read_msr(const struct serial *s)
{
	uint8_t m = s->mcr;

	if (!(m & MCR_LOOP))
		return MSR_READY;
	return (uint8_t)((m & 1) << 5 | (m & 2) << 3 | (m & 4) << 4 |
	                 (m & 8) << 4);
}

static uint8_t read_locked(struct serial *s, uint16_t reg)
{
	bool dlab = s->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		return dlab ? s->dll : 0;
	case REG_IER:
		return dlab ? s->dlm : s->ier;
	case REG_IIR:
		return read_iir(s);
	case REG_LCR:
		return s->lcr;
	case REG_MCR:
		return s->mcr;
	case REG_LSR:
		return LSR_IDLE;
	case REG_MSR:
		return read_msr(s);
	case REG_SCR:
		return s->scr;
	default:
		return 0xff;
	}
}

uint8_t serial_read(struct serial *s, uint16_t reg)
{
	uint8_t v;

	(void)pthread_mutex_lock(&s->lock);
	v = read_locked(s, reg);
	(void)pthread_mutex_unlock(&s->lock);
	return v;
}

static void write_data(struct serial *s, uint8_t v)
{
	if (s->lcr & LCR_DLAB) {
		s->dll = v;
		return;
	}
	if (!(s->mcr & MCR_LOOP)) /* there is no receiver to loop back to */
		put_char(s, v);
	raise_thr_empty(s);
}

static void write_ier(struct serial *s, uint8_t v)
{
	if (s->lcr & LCR_DLAB) {
		s->dlm = v;
		return;
	}
	s->ier = v & IER_MASK;
	s->thr_empty_pending = false;
	raise_thr_empty(s);
}

static void write_locked(struct serial *s, uint16_t reg, uint8_t v)
{
	switch (reg) {
	case REG_DATA:
		write_data(s, v);
		break;
	case REG_IER:
		write_ier(s, v);
		break;
	case REG_IIR:
		s->fifo = v & FCR_FIFO;
		break;
	case REG_LCR:
		s->lcr = v;
		break;
	case REG_MCR:
		s->mcr = v & MCR_MASK;
		break;
	case REG_SCR:
		s->scr = v;
		break;
	default: /* LSR and MSR are the hardware's */
		break;
	}
}

void serial_write(struct serial *s, uint16_t reg, uint8_t value)
{
	(void)pthread_mutex_lock(&s->lock);
	write_locked(s, reg, value);
	(void)pthread_mutex_unlock(&s->lock);
}

void serial_flush(struct serial *s)
{
	(void)pthread_mutex_lock(&s->lock);
	send_line(s);
	(void)pthread_mutex_unlock(&s->lock);
}
