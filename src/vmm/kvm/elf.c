#include <elf.h>
#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "vmm/kvm/loader_plan.h"

#include "base/banned.h"

/* Linux has five notes; a file that goes on and on is no kernel. */
#define NOTES_MAX 256

/* XEN_ELFNOTE_PHYS32_ENTRY: the address of the PVH entry, 4 or 8 bytes. */
#define NOTE_PVH   18u
#define NOTE_OWNER "Xen"

static const unsigned char magic[] = {ELFMAG0,   ELFMAG1,    ELFMAG2,
                                      ELFMAG3,   ELFCLASS64, ELFDATA2LSB,
                                      EV_CURRENT};

bool elf_is(const struct loader_file *f)
{
	char start[SELFMAG];

	return loader_file_has(f, 0, SELFMAG) &&
	       loader_file_read(f, 0, start, SELFMAG, NULL) == 0 &&
	       memcmp(start, ELFMAG, SELFMAG) == 0;
}

static int broken(struct err *err, const char *why)
{
	return err_set(err, -ENOEXEC, "the kernel's ELF file %s", why);
}

static int read_header(const struct loader_file *f, Elf64_Ehdr *h,
                       struct err *err)
{
	int r;

	if (!loader_file_has(f, 0, sizeof(*h)))
		return broken(err, "ends within its header");
	r = loader_file_read(f, 0, h, sizeof(*h), err);
	if (r < 0)
		return r;
	if (memcmp(h->e_ident, magic, sizeof(magic)) != 0 ||
	    h->e_machine != EM_X86_64)
		return broken(err, "is not for 64-bit x86");
	if (h->e_type != ET_EXEC)
		return broken(err, "is not linked to a fixed address");
	if (h->e_phentsize != sizeof(Elf64_Phdr) || h->e_phnum == 0 ||
	    h->e_phnum > LOADER_PIECES_MAX)
		return broken(err, "has no, too many or odd program headers");
	if (!loader_file_has(f, h->e_phoff, h->e_phnum * sizeof(Elf64_Phdr)))
		return broken(err, "ends before its program headers");
	return 0;
}

static int add_segment(const struct loader_file *f, const Elf64_Phdr *p,
                       struct loader_plan *plan, struct err *err)
{
	if (p->p_filesz > p->p_memsz)
		return broken(err, "has a segment larger than its memory");
	if (!loader_file_has(f, p->p_offset, p->p_filesz))
		return broken(err, "ends within a segment");
	if (p->p_memsz)
		plan->pieces[plan->n++] = (struct loader_piece){
			.offset = p->p_offset,
			.len = p->p_filesz,
			.gpa = p->p_paddr,
			.room = p->p_memsz,
			.read_only = !(p->p_flags & PF_W)};
	return 0;
}

static int add_segments(const struct loader_file *f, const Elf64_Phdr *p,
                        unsigned n, struct loader_plan *plan, struct err *err)
{
	for (unsigned i = 0; i < n; i++) {
		int r = p[i].p_type == PT_LOAD
		                ? add_segment(f, &p[i], plan, err)
		                : 0;

		if (r < 0)
			return r;
	}
	return plan->n ? 0 : broken(err, "has nothing to load");
}

/* ---- the PVH note ---- */

/* One note: where it and its parts lie in the file. */
struct note {
	Elf64_Nhdr head;
	uint64_t name, desc, next;
};

static int read_note(const struct loader_file *f, uint64_t pos, uint64_t end,
                     uint64_t align, struct note *ret, struct err *err)
{
	struct note n;
	int r = loader_file_read(f, pos, &n.head, sizeof(n.head), err);

	if (r < 0)
		return r;
	n.name = pos + sizeof(n.head);
	n.desc = pos + num_align_up(sizeof(n.head) + (uint64_t)n.head.n_namesz,
	                            align);
	if (n.desc > end || n.head.n_descsz > end - n.desc)
		return broken(err, "has a note larger than its segment");
	n.next = n.desc + num_align_up(n.head.n_descsz, align);
	*ret = n;
	return 0;
}

/* 1 and the entry, 0 when it is another note. */
static int pvh_entry(const struct loader_file *f, const struct note *n,
                     uint64_t *ret, struct err *err)
{
	char owner[sizeof(NOTE_OWNER)];
	uint64_t entry = 0;
	int r;

	if (n->head.n_type != NOTE_PVH || n->head.n_namesz != sizeof(owner))
		return 0;
	r = loader_file_read(f, n->name, owner, sizeof(owner), err);
	if (r < 0 || memcmp(owner, NOTE_OWNER, sizeof(owner)) != 0)
		return r;
	if (n->head.n_descsz != 4 && n->head.n_descsz != 8)
		return broken(err, "has a PVH note of a wrong length");
	r = loader_file_read(f, n->desc, &entry, n->head.n_descsz, err);
	if (r < 0)
		return r;
	*ret = entry;
	return 1;
}

static int search_notes(const struct loader_file *f, const Elf64_Phdr *p,
                        uint64_t *ret, struct err *err)
{
	uint64_t align = p->p_align == 8 ? 8 : 4;
	uint64_t pos = p->p_offset, end = pos + p->p_filesz;
	struct note n = {0};
	int r;

	if (!loader_file_has(f, pos, p->p_filesz))
		return broken(err, "ends within its notes");
	for (unsigned i = 0; pos < end && end - pos >= sizeof(n.head); i++) {
		if (i == NOTES_MAX)
			return broken(err, "has too many notes");
		r = read_note(f, pos, end, align, &n, err);
		if (r >= 0)
			r = pvh_entry(f, &n, ret, err);
		if (r != 0)
			return r;
		pos = n.next;
	}
	return 0;
}

static int find_pvh(const struct loader_file *f, const Elf64_Phdr *p,
                    unsigned n, uint64_t *ret, struct err *err)
{
	int r = 0;

	for (unsigned i = 0; i < n && r == 0; i++)
		if (p[i].p_type == PT_NOTE)
			r = search_notes(f, &p[i], ret, err);
	return r;
}

/* ---- all of it ---- */

int elf_plan(const struct loader_file *f, enum loader_want want,
             struct loader_plan *plan, struct err *err)
{
	Elf64_Phdr headers[LOADER_PIECES_MAX];
	Elf64_Ehdr h;
	int r = read_header(f, &h, err);

	if (r == 0)
		r = loader_file_read(f, h.e_phoff, headers,
		                     h.e_phnum * sizeof(headers[0]), err);
	if (r == 0)
		r = add_segments(f, headers, h.e_phnum, plan, err);
	if (r < 0)
		return r;
	plan->start.entry = LOADER_ENTRY_64;
	plan->start.rip = h.e_entry;
	if (want == LOADER_WANT_64)
		return 0;
	r = find_pvh(f, headers, h.e_phnum, &plan->start.rip, err);
	if (r < 0)
		return r;
	if (r > 0)
		plan->start.entry = LOADER_ENTRY_PVH;
	else if (want == LOADER_WANT_PVH)
		return broken(err, "has no PVH entry");
	return 0;
}
