/*
 * What files.h declares and nobody has written yet: each answers "not there
 * yet". Whoever writes one deletes it here in the same commit; the last one
 * deletes this file.
 */
#include <errno.h>
#include <stdlib.h>

#include "lib/error.h"
#include "microsandbox.h"

#include "base/banned.h"

#pragma GCC diagnostic ignored "-Wunused-parameter"

int msb_file_stat(struct msb_sandbox *sandbox, const char *path, uint32_t flags,
                  struct msb_file_info *ret_info, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP, "msb_file_stat is not there yet");
}

int msb_file_list(struct msb_sandbox *sandbox, const char *path,
                  struct msb_file_list **ret_list, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP, "msb_file_list is not there yet");
}

void msb_file_list_free(struct msb_file_list *list)
{
}

size_t msb_file_list_count(const struct msb_file_list *list)
{
	return 0;
}

const struct msb_file_info *msb_file_list_get(const struct msb_file_list *list,
                                              size_t i)
{
	return NULL;
}

int msb_file_mkdir(struct msb_sandbox *sandbox, const char *path, uint32_t mode,
                   uint32_t flags, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP, "msb_file_mkdir is not there yet");
}

int msb_file_remove(struct msb_sandbox *sandbox, const char *path,
                    uint32_t flags, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_file_remove is not there yet");
}

int msb_file_rename(struct msb_sandbox *sandbox, const char *from,
                    const char *to, uint32_t flags, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_file_rename is not there yet");
}

int msb_file_chmod(struct msb_sandbox *sandbox, const char *path, uint32_t mode,
                   struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP, "msb_file_chmod is not there yet");
}

int msb_file_chown(struct msb_sandbox *sandbox, const char *path, uint32_t uid,
                   uint32_t gid, uint32_t flags, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP, "msb_file_chown is not there yet");
}

int msb_file_symlink(struct msb_sandbox *sandbox, const char *target,
                     const char *path, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_file_symlink is not there yet");
}

int msb_file_copy(struct msb_sandbox *sandbox, const char *from, const char *to,
                  struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP, "msb_file_copy is not there yet");
}

int msb_file_read(struct msb_sandbox *sandbox, const char *path, size_t max,
                  void **ret_data, size_t *ret_len, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP, "msb_file_read is not there yet");
}

void msb_free(void *data)
{
	free(data);
}

int msb_file_write(struct msb_sandbox *sandbox, const char *path,
                   const void *data, size_t len, uint32_t mode, uint32_t flags,
                   struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP, "msb_file_write is not there yet");
}

int msb_file_open(struct msb_sandbox *sandbox, const char *path,
                  const struct msb_file_opts *opts, struct msb_file **ret_file,
                  struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP, "msb_file_open is not there yet");
}

int64_t msb_file_get(struct msb_file *file, void *data, size_t len,
                     struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP, "msb_file_get is not there yet");
}

int msb_file_put(struct msb_file *file, const void *data, size_t len,
                 struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP, "msb_file_put is not there yet");
}

int msb_file_finish(struct msb_file *file, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_file_finish is not there yet");
}

void msb_file_close(struct msb_file *file)
{
}

int msb_copy_in(struct msb_sandbox *sandbox, const char *from, const char *to,
                const struct msb_copy_opts *opts, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP, "msb_copy_in is not there yet");
}

int msb_copy_out(struct msb_sandbox *sandbox, const char *from, const char *to,
                 const struct msb_copy_opts *opts, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP, "msb_copy_out is not there yet");
}

int msb_copy_in_tar(struct msb_sandbox *sandbox, int fd, const char *to,
                    const struct msb_copy_opts *opts, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_copy_in_tar is not there yet");
}

int msb_copy_out_tar(struct msb_sandbox *sandbox, const char *from, int fd,
                     const struct msb_copy_opts *opts, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_copy_out_tar is not there yet");
}

int msb_snapshot_create(struct msb_home *home, const char *sandbox,
                        const char *name, const struct msb_snapshot_opts *opts,
                        struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_snapshot_create is not there yet");
}

int msb_snapshot_list(struct msb_home *home, const char *name,
                      struct msb_snapshots **ret_list, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_snapshot_list is not there yet");
}

void msb_snapshots_free(struct msb_snapshots *list)
{
}

size_t msb_snapshots_count(const struct msb_snapshots *list)
{
	return 0;
}

const struct msb_snapshot_info *
msb_snapshots_get(const struct msb_snapshots *list, size_t i)
{
	return NULL;
}

int msb_snapshot_verify(struct msb_home *home, const char *name,
                        struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_snapshot_verify is not there yet");
}

int msb_snapshot_remove(struct msb_home *home, const char *name,
                        struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_snapshot_remove is not there yet");
}

int msb_snapshot_save(struct msb_home *home, const char *name, const char *path,
                      uint32_t flags, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_snapshot_save is not there yet");
}

int msb_snapshot_load(struct msb_home *home, const char *path, const char *name,
                      char **ret_name, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_snapshot_load is not there yet");
}

int msb_image_commit(struct msb_home *home, const char *sandbox,
                     const char *reference, const struct msb_commit_opts *opts,
                     char **ret_id, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP,
	                 "msb_image_commit is not there yet");
}

int msb_image_save(struct msb_home *home, const char *const *references,
                   int32_t format, const char *path, struct msb_error *error)
{
	return error_set(error, -EOPNOTSUPP, "msb_image_save is not there yet");
}
