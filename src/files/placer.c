#include "files/placer.h"

#include "base/banned.h"

static int take_entry(void *arg, const struct proto_file_entry *e,
                      struct err *err)
{
	struct files_placer *p = arg;
	struct files_place place;
	int r;

	if (!p->open) {
		r = files_place(p->to, p->name, S_ISDIR(e->mode), p->content,
		                &place, err);
		if (r < 0)
			return r;
		files_writer_init(&p->writer, &place, p->flags);
		p->inner = files_writer_sink(&p->writer);
		p->open = true;
	}
	return p->inner.entry(p->inner.arg, e, err);
}

static int take_data(void *arg, uint64_t off, const void *data, uint32_t len,
                     struct err *err)
{
	struct files_placer *p = arg;

	return p->inner.data(p->inner.arg, off, data, len, err);
}

struct files_sink files_placer_sink(struct files_placer *p)
{
	return (struct files_sink){take_entry, take_data, p};
}

int files_placer_end(struct files_placer *p, int r, struct err *err)
{
	if (!p->open)
		return r;
	if (r >= 0)
		r = files_writer_finish(&p->writer, err);
	files_writer_release(&p->writer);
	return r;
}
