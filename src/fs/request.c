/*
 * request.c - one request: its header, what its operation wants, its answer.
 *
 * What all operations need is checked here, by the table: the arguments'
 * length, names, whether the node exists, and that nothing changes a share
 * that may not be changed.
 */
#include <errno.h>
#include <string.h>

#include "base/num.h"
#include "fs/server.h"

#include "base/banned.h"

#define MUTATES  1u /* EROFS on a read-only share, EPERM in the root */
#define NO_REPLY 2u
#define ANY_NODE 4u  /* the header's node does not matter */
#define ANY_TIME 8u  /* before INIT, too */
#define TEXT     16u /* the second string is no name, but any text */
#define VALUE    32u /* bytes follow the name */

static const struct op {
	int (*run)(struct req *q);
	uint8_t args, names, flags;
} ops[] = {
	[FUSE_LOOKUP] = {op_lookup,       0,  1, 0                             },
	[FUSE_FORGET] = {op_forget,       8,  0, NO_REPLY | ANY_NODE | ANY_TIME},
	[FUSE_GETATTR] = {op_getattr,      16, 0, 0                             },
	[FUSE_SETATTR] = {op_setattr,      88, 0, MUTATES                       },
	[FUSE_READLINK] = {op_readlink,     0,  0, 0                             },
	[FUSE_SYMLINK] = {op_symlink,      0,  2, MUTATES | TEXT                },
	[FUSE_MKNOD] = {op_mknod,        16, 1, MUTATES                       },
	[FUSE_MKDIR] = {op_mkdir,        8,  1, MUTATES                       },
	[FUSE_UNLINK] = {op_unlink,       0,  1, MUTATES                       },
	[FUSE_RMDIR] = {op_rmdir,        0,  1, MUTATES                       },
	[FUSE_RENAME] = {op_rename,       8,  2, MUTATES                       },
	[FUSE_LINK] = {op_link,         8,  1, MUTATES                       },
	[FUSE_OPEN] = {op_open,         8,  0, 0                             },
	[FUSE_READ] = {op_read,         40, 0, 0                             },
	[FUSE_WRITE] = {op_write,        40, 0, MUTATES                       },
	[FUSE_STATFS] = {op_statfs,       0,  0, 0                             },
	[FUSE_RELEASE] = {op_release,      24, 0, ANY_NODE                      },
	[FUSE_FSYNC] = {op_fsync,        16, 0, 0                             },
	[FUSE_SETXATTR] = {op_setxattr,     8,  1, MUTATES | VALUE               },
	[FUSE_GETXATTR] = {op_getxattr,     8,  1, VALUE                         },
	[FUSE_LISTXATTR] = {op_listxattr,    8,  0, 0                             },
	[FUSE_REMOVEXATTR] = {op_removexattr,  0,  1, MUTATES | VALUE               },
	[FUSE_INIT] = {op_init,         16, 0, ANY_NODE | ANY_TIME           },
	[FUSE_OPENDIR] = {op_opendir,      8,  0, 0                             },
	[FUSE_READDIR] = {op_readdir,      40, 0, 0                             },
	[FUSE_RELEASEDIR] = {op_releasedir,   24, 0, ANY_NODE                      },
	[FUSE_FSYNCDIR] = {op_fsyncdir,     16, 0, 0                             },
	[FUSE_CREATE] = {op_create,       16, 1, MUTATES                       },
	[FUSE_INTERRUPT] = {op_forget,       8,  0, NO_REPLY | ANY_NODE | ANY_TIME},
	[FUSE_DESTROY] = {op_destroy,      0,  0, ANY_NODE | ANY_TIME           },
	[FUSE_BATCH_FORGET] = {op_batch_forget, 8,  0,
                         NO_REPLY | ANY_NODE | ANY_TIME                        },
	[FUSE_FALLOCATE] = {op_fallocate,    32, 0, MUTATES                       },
	[FUSE_READDIRPLUS] = {op_readdirplus,  40, 0, 0                             },
	[FUSE_RENAME2] = {op_rename2,      16, 2, MUTATES                       },
	[FUSE_LSEEK] = {op_lseek,        24, 0, 0                             },
	[FUSE_COPY_FILE_RANGE] = {op_copy,         56, 0, 0                             },
	[FUSE_SYNCFS] = {op_syncfs,       8,  0, 0                             },
	[FUSE_TMPFILE] = {op_tmpfile,      16, 1, MUTATES                       },
};

/*
 * Not here, so ENOSYS, which the guest's kernel remembers: FLUSH (a close
 * needs nothing of us: one round trip less), ACCESS (it checks modes itself),
 * GETLK, SETLK, SETLKW (locks are the guest's own), BMAP, IOCTL, POLL, STATX,
 * SETUPMAPPING and REMOVEMAPPING.
 */
static const struct op *find(uint32_t opcode)
{
	return opcode < ARRAY_SIZE(ops) && ops[opcode].run ? &ops[opcode]
	                                                   : NULL;
}

int req_put(struct req *q, const void *data, size_t len)
{
	if (iov_put(q->in, data, len) < 0)
		return -EINVAL;
	q->body += (uint32_t)len;
	return 0;
}

bool name_is_plain(const char *name, size_t len)
{
	return len && len <= WIRE_NAME_MAX && !memchr(name, '/', len) &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int check_name(const char *name, size_t len, uint32_t opcode)
{
	if (len > WIRE_NAME_MAX)
		return -ENAMETOOLONG;
	/* The one name of O_TMPFILE is made up by the guest's kernel. */
	return name_is_plain(name, len) || opcode == FUSE_TMPFILE ? 0 : -EINVAL;
}

/* Copy what is behind the arguments and cut it into its strings. */
static int read_text(struct req *q, const struct op *op)
{
	char *text = q->fs->text, *end;
	size_t len = q->out->len;
	int r;

	if (len > WIRE_TEXT_MAX)
		return -E2BIG;
	(void)iov_get(q->out, text, len);
	for (unsigned i = 0; i < op->names; i++) {
		bool any = op->flags & VALUE || (i && op->flags & TEXT);

		end = memchr(text, '\0', len);
		if (!end)
			return -EINVAL;
		r = any ? 0
		        : check_name(text, (size_t)(end - text), q->h.opcode);
		if (r < 0)
			return r;
		*(i ? &q->name2 : &q->name) = text;
		len -= (size_t)(end - text) + 1;
		text = end + 1;
	}
	q->value = text;
	q->value_len = len;
	return len && q->h.opcode != FUSE_SETXATTR ? -EINVAL : 0;
}

static int find_node(struct req *q, const struct op *op)
{
	q->node = node_by_id(q->fs, q->h.nodeid);
	if (!q->node)
		return -ESTALE;
	q->share = node_share(q->fs, q->node);
	if (!(op->flags & MUTATES))
		return 0;
	if (!q->share)
		return -EPERM;
	return q->share->cfg.read_only ? -EROFS : 0;
}

static int run_named(struct req *q, const struct op *op)
{
	int r = op->names ? read_text(q, op) : 0;

	return r < 0 ? r : op->run(q);
}

static int run(struct req *q)
{
	const struct op *op = find(q->h.opcode);
	struct node *node;
	int r;

	if (!op)
		return -ENOSYS;
	if (!q->fs->ready && !(op->flags & ANY_TIME))
		return -EIO;
	if (q->h.total_extlen) /* never agreed on */
		return -EINVAL;
	/* INIT grew; of the others all is known. */
	if (q->h.opcode == FUSE_INIT) {
		size_t len = MIN(q->out->len, sizeof(q->a.init));

		if (len < op->args)
			return -EINVAL;
		(void)iov_get(q->out, &q->a, len);
		return op->run(q);
	}
	if (iov_get(q->out, &q->a, op->args) < 0)
		return -EINVAL;
	if (op->flags & ANY_NODE)
		return run_named(q, op);
	r = find_node(q, op);
	if (r < 0)
		return r;
	/* The guest may have forgotten it, and what kept it may move away. */
	node = q->node;
	node_ref(node);
	r = run_named(q, op);
	node_unref(q->fs, node);
	return r;
}

static bool wants_answer(uint32_t opcode)
{
	const struct op *op = find(opcode);

	return !op || !(op->flags & NO_REPLY);
}

int fs_request(struct fs *fs, struct iov *out, struct iov *in,
               uint32_t *ret_len)
{
	struct req q = {.fs = fs, .out = out, .in = in};
	struct iovec at[sizeof(struct fuse_out_header)];
	struct fuse_out_header h;
	struct iov head = {.v = at, .len = sizeof(h)};
	size_t len = out->len;
	int r;

	fs->requests++;
	if (iov_get(out, &q.h, sizeof(q.h)) < 0 || q.h.len != len)
		return -EPROTO;
	if (!wants_answer(q.h.opcode)) {
		(void)run(&q);
		*ret_len = 0;
		return 0;
	}
	if (in->len < sizeof(h))
		return -EPROTO;
	head.n = iov_take(in, sizeof(h), at);
	r = run(&q);
	if (r < 0)
		q.body = 0;
	h = (struct fuse_out_header){
		.len = (uint32_t)sizeof(h) + q.body,
		.error = r < 0 ? r : 0,
		.unique = q.h.unique,
	};
	(void)iov_put(&head, &h, sizeof(h));
	*ret_len = h.len;
	return 0;
}
