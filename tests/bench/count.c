/*
 * A plugin for QEMU's emulation that counts the instructions of a guest
 * between two addresses: start=ADDR is the first that counts, and when
 * end=ADDR is reached the counts are printed and QEMU ends.
 *
 * The emulation runs blocks of instructions; each block has a counter that the
 * translated code itself raises. One with start or end in it calls us instead.
 * A string instruction (rep movs) is a block of its own, once for each round,
 * though it is one instruction to a real processor: these are counted apart.
 * A block left early, by a page fault, counts whole.
 *
 * For one vCPU. QEMU's header for plugins is not packaged with QEMU, so what
 * is needed of the interface (version 1, QEMU 6 to 8) is declared here.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;

enum { INLINE_ADD_U64 = 0, CB_NO_REGS = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id,
                                           void (*)(plugin_id,
                                                    struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int op,
                                              void *counter, uint64_t step);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *,
                                            void (*)(unsigned vcpu, void *),
                                            int flags, void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *,
                                                 size_t);
const uint8_t *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);

EXPORT int qemu_plugin_version = 1;

/* One translated block. Its address is in translated code: it never moves. */
struct block {
	struct block *next;
	uint64_t at, runs;
	uint32_t insns;
	bool rep;
};

static struct block *blocks;
static uint64_t start, end;
static const char *out;

static void at_start(unsigned vcpu, void *arg)
{
	struct block *b;

	(void)vcpu;
	(void)arg;
	for (b = blocks; b; b = b->next)
		b->runs = 0;
}

static void print_blocks(void)
{
	const struct block *b;
	FILE *f = fopen(out, "we");

	if (!f)
		return;
	for (b = blocks; b; b = b->next) {
		if (b->runs)
			fprintf(f, "%" PRIx64 " %" PRIu32 " %d %" PRIu64 "\n",
			        b->at, b->insns, b->rep, b->runs);
	}
	fclose(f);
}

static void at_end(unsigned vcpu, void *arg)
{
	uint64_t insns = 0, rounds = 0;
	const struct block *b;

	(void)vcpu;
	(void)arg;
	for (b = blocks; b; b = b->next) {
		if (b->rep)
			rounds += b->runs;
		else
			insns += b->runs * b->insns;
	}
	if (out)
		print_blocks();
	printf("\ncounted %" PRIu64 " %" PRIu64 "\n", insns, rounds);
	fflush(stdout);
	_Exit(0);
}

/* "rep" and a string instruction: f2 or f3, other prefixes, a4..a7, aa..af. */
static bool is_rep(const struct qemu_plugin_insn *insn)
{
	const uint8_t *p = qemu_plugin_insn_data(insn);
	size_t i, size = qemu_plugin_insn_size(insn);
	bool rep = false;

	for (i = 0; i + 1 < size; i++) {
		if (p[i] == 0xf2 || p[i] == 0xf3)
			rep = true;
		else if ((p[i] & 0xf0) != 0x40 && p[i] != 0x66 && p[i] != 0x67)
			return false;
	}
	return rep && ((p[i] >= 0xa4 && p[i] <= 0xa7) || p[i] >= 0xaa) &&
	       p[i] <= 0xaf;
}

static void on_block(plugin_id id, struct qemu_plugin_tb *tb)
{
	size_t i, n = qemu_plugin_tb_n_insns(tb);
	struct block *b = calloc(1, sizeof(*b));

	(void)id;
	if (!b)
		abort();
	*b = (struct block){.next = blocks,
	                    .at = qemu_plugin_tb_vaddr(tb),
	                    .insns = (uint32_t)n,
	                    .rep = is_rep(qemu_plugin_tb_get_insn(tb, 0))};
	blocks = b;
	for (i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t at = qemu_plugin_insn_vaddr(insn);

		if (at == start || at == end)
			qemu_plugin_register_vcpu_insn_exec_cb(
				insn, at == start ? at_start : at_end,
				CB_NO_REGS, NULL);
	}
	qemu_plugin_register_vcpu_tb_exec_inline(tb, INLINE_ADD_U64, &b->runs,
	                                         1);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc,
                               char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "start=", 6))
			start = strtoull(argv[i] + 6, NULL, 0);
		else if (!strncmp(argv[i], "end=", 4))
			end = strtoull(argv[i] + 4, NULL, 0);
		else if (!strncmp(argv[i], "out=", 4))
			out = strdup(argv[i] + 4);
		else
			return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
	return start && end ? 0 : -1;
}
