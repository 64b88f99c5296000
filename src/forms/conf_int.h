/*
 * conf_int.h - how the keys of a configuration file are read: for conf.c and
 * for the files beside it that read a part with a shape of its own.
 */
#ifndef FORMS_CONF_INT_H
#define FORMS_CONF_INT_H

#include "base/buf.h"
#include "forms/conf.h"
#include "forms/yaml_tree.h"

#define CONF_VALUE_MAX (1u << 20)
#define CONF_ALL       (~0u)

/* One file that is read. */
struct conf_source {
	struct conf *conf;
	void *base; /* what the fields' offsets are in */
	const char *path;
	struct err *err;
	size_t *expanded; /* bytes that variables of the file stand for */
};

/* One key: what its value must be, and where that goes. */
struct conf_field {
	const char *name;
	int (*set)(struct conf_source *s, const struct conf_field *f,
	           const struct ytree_node *n);
	size_t offset;
	unsigned scopes;
	const char *later; /* what brings it */
	size_t flag;       /* the bool that says it was there; 0: none */
};

/* FILE:LINE:COL: what is wrong; -EINVAL. */
#define CONF_WRONG(s, n, ...)                                                  \
	ytree_error((s)->err, (s)->path, (n)->at, __VA_ARGS__)

int conf_no_memory(struct conf_source *s);
void *conf_member(struct conf_source *s, const struct conf_field *f);

/* A scalar as text, with its variables. */
int conf_value(struct conf_source *s, const struct ytree_node *n,
               struct buf *out);
#define CONF_VALUE_INIT BUF_INIT_MAX(CONF_VALUE_MAX)
int conf_expect(struct conf_source *s, const struct ytree_node *n,
                enum ytree_kind kind);

/* A map whose keys are those of @known that have one of @scopes. */
int conf_map(struct conf_source *s, const struct conf_field *known,
             unsigned scopes, const struct ytree_node *n);

/* A text that is not empty (char *), and one that may be. */
int conf_set_text(struct conf_source *s, const struct conf_field *f,
                  const struct ytree_node *n);
int conf_set_any_text(struct conf_source *s, const struct conf_field *f,
                      const struct ytree_node *n);
/* A path of the host; what is relative begins at the file (char *). */
int conf_set_path(struct conf_source *s, const struct conf_field *f,
                  const struct ytree_node *n);
/* true or false, without quotes (bool). */
int conf_set_bool(struct conf_source *s, const struct conf_field *f,
                  const struct ytree_node *n);
/* The same for what is on unless a file says false. */
int conf_set_not(struct conf_source *s, const struct conf_field *f,
                 const struct ytree_node *n);

/* A size, not 0 (uint64_t); a user's or group's number (uint32_t). */
int conf_set_size(struct conf_source *s, const struct conf_field *f,
                  const struct ytree_node *n);
int conf_set_id(struct conf_source *s, const struct conf_field *f,
                const struct ytree_node *n);

/* A list of texts (struct strv); a duration in ms, not 0 (uint64_t). */
int conf_set_list(struct conf_source *s, const struct conf_field *f,
                  const struct ytree_node *n);
int conf_set_duration(struct conf_source *s, const struct conf_field *f,
                      const struct ytree_node *n);

/* Refuses what is not there yet, unless it is empty. */
int conf_set_later(struct conf_source *s, const struct conf_field *f,
                   const struct ytree_node *n);

/* Set the field's flag, if it has one. */
void conf_said(struct conf_source *s, const struct conf_field *f);

/* `patches` and `patch_files`: see patch_opts.h. */
int conf_set_patches(struct conf_source *s, const struct conf_field *f,
                     const struct ytree_node *n);
int conf_set_patch_files(struct conf_source *s, const struct conf_field *f,
                         const struct ytree_node *n);

/* `mounts`: see mount_opts.h. */
int conf_set_mounts(struct conf_source *s, const struct conf_field *f,
                    const struct ytree_node *n);

/* `network` and `ports`, and a document of --net-conf: see net_opts.h. */
int conf_set_network(struct conf_source *s, const struct conf_field *f,
                     const struct ytree_node *n);
int conf_set_ports(struct conf_source *s, const struct conf_field *f,
                   const struct ytree_node *n);
int conf_read_net(struct conf_source *s, const struct ytree_node *n);

/* `secrets`, network.tls, and a document of --secret-conf: secret_opts.h. */
int conf_set_secrets(struct conf_source *s, const struct conf_field *f,
                     const struct ytree_node *n);
int conf_set_tls(struct conf_source *s, const struct conf_field *f,
                 const struct ytree_node *n);
int conf_read_secrets(struct conf_source *s, const struct ytree_node *n);

/* A path that is relative begins at the file that says it. */
int conf_put_beside(struct conf_source *s, char **path);

/* Read the file @path, which may be a pipe: at most YTREE_SIZE_MAX bytes. */
int conf_read_file(const char *path, struct buf *b);

#endif
