/*
 * files.h - the part of microsandbox.h about files: what a sandbox gets of its
 * host, volumes, changes before it starts, its own files while it runs, and
 * snapshots. Programs include <microsandbox.h>, which includes this.
 */
#ifndef MICROSANDBOX_FILES_H
#define MICROSANDBOX_FILES_H

#ifndef MICROSANDBOX_H
#error "include <microsandbox.h>"
#endif

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- mounts ------------------------------------------------------------ */

enum msb_mount_kind {
	MSB_MOUNT_DIR = 1,   /* a folder of the host */
	MSB_MOUNT_FILE = 2,  /* a file of the host */
	MSB_MOUNT_NAMED = 3, /* a volume */
	MSB_MOUNT_DISK = 4,  /* a disk image with a file system */
	MSB_MOUNT_TMPFS = 5, /* memory */
};

enum msb_mount_flags {
	MSB_MOUNT_READ_ONLY = 1, /* enforced on the host's side */
	MSB_MOUNT_NOEXEC = 2,
	MSB_MOUNT_NOSUID = 4,
	MSB_MOUNT_NODEV = 8,
	/*
	 * uid and gid: who all files belong to in the guest. Without it each
	 * file has the owner that the guest gave it, files of the user who
	 * runs msb belong to the sandbox's user (of a volume: to root, but an
	 * empty volume to the user of the first sandbox that mounts it), and
	 * others' to themselves (msb run by root) or to nobody.
	 */
	MSB_MOUNT_OWNER = 16,
	/* NAMED: the volume is made when there is none; else NOT_FOUND. */
	MSB_MOUNT_CREATE = 32,
	/* DIR, FILE, DISK: the source may be a symbolic link itself. */
	MSB_MOUNT_FOLLOW = 64,
	/*
	 * DIR, FILE, DISK: no part of the source's path may be a symbolic link,
	 * neither now nor at a later start: for who checked where it leads.
	 */
	MSB_MOUNT_NO_LINKS = 128,
};

/* When changes on the host's side are seen (those of the guest always are). */
enum msb_cache {
	MSB_CACHE_AUTO = 0,   /* names and attributes within a second, content
	                         at the next open */
	MSB_CACHE_ALWAYS = 1, /* maybe never: nobody else changes it */
	MSB_CACHE_NONE = 2,   /* at once; mmap() for writing is refused */
};

struct msb_mount {
	size_t size;
	int32_t kind; /* enum msb_mount_kind */
	uint32_t flags;
	const char *source; /* a path of the host, or the volume's name */
	const char *target; /* an absolute path in the guest; made if missing */
	int32_t cache;      /* enum msb_cache */
	uint32_t uid, gid;
	/* DIR, FILE, NAMED: the guest may add so many bytes; 0: no limit of
	   its own */
	uint64_t quota_bytes;
	/* TMPFS: 0: half of the memory. NAMED with CREATE: as volume_create */
	uint64_t size_bytes;
	uint32_t mode;       /* TMPFS: 0: 0755, of /tmp and /var/tmp 01777 */
	int32_t volume_kind; /* NAMED with CREATE: enum msb_volume_kind */
	const char *format;  /* DISK: "raw", "qcow2"; NULL: by the name's end */
	const char *fstype;  /* DISK: NULL: ext4 */
};
#define MSB_MOUNT_INIT                                                         \
	{                                                                      \
		.size = sizeof(struct msb_mount)                               \
	}
#define MSB_MOUNTS_MAX 64 /* of one sandbox */

/* ---- volumes ----------------------------------------------------------- */

enum msb_volume_kind {
	MSB_VOLUME_DIR = 0,  /* a folder; several sandboxes at once */
	MSB_VOLUME_DISK = 1, /* a disk (ext4); one sandbox at a time */
};

struct msb_volume_info {
	size_t size;
	const char *name;
	const char *path;    /* the folder, or the disk's file */
	int32_t kind;        /* enum msb_volume_kind */
	uint64_t size_bytes; /* quota, or the disk's size; 0: no quota */
	uint64_t used_bytes; /* on the host */
	int64_t created_ms;
	/* Sandboxes on record that mount it, NULL-terminated. */
	const char *const *users;
	uint32_t in_use; /* a machine has it mounted now */
};

struct msb_volume_opts {
	size_t size;
	int32_t kind;
	/* DIR: quota, 0: none. DISK: required, 16 MiB at least. */
	uint64_t size_bytes;
};
#define MSB_VOLUME_OPTS_INIT                                                   \
	{                                                                      \
		.size = sizeof(struct msb_volume_opts)                         \
	}

struct msb_volumes;

/*
 * A new volume; @opts may be NULL. It stays until msb_volume_remove(). A name
 * is like a sandbox's. MSB_ERR_EXISTS.
 */
MSB_API int msb_volume_create(struct msb_home *home, const char *name,
                              const struct msb_volume_opts *opts,
                              struct msb_error *error);
/* All by name, or the one of @name (MSB_ERR_NOT_FOUND). */
MSB_API int msb_volume_list(struct msb_home *home, const char *name,
                            struct msb_volumes **ret_list,
                            struct msb_error *error);
MSB_API void msb_volumes_free(struct msb_volumes *list);
MSB_API size_t msb_volumes_count(const struct msb_volumes *list);
MSB_API const struct msb_volume_info *
msb_volumes_get(const struct msb_volumes *list, size_t i);
/*
 * The volume and all in it. MSB_ERR_BUSY when a machine has it mounted, or a
 * sandbox on record mounts it and not @force.
 */
MSB_API int msb_volume_remove(struct msb_home *home, const char *name,
                              int force, struct msb_error *error);
/* Remove all that no sandbox on record mounts: their names. */
MSB_API int msb_volume_prune(struct msb_home *home, char ***ret_names,
                             uint64_t *ret_freed_bytes,
                             struct msb_error *error);

/* ---- patches ----------------------------------------------------------- */

/*
 * Changes to the image before the machine starts, in order; the image itself
 * stays as it is. An existing target is MSB_ERR_EXISTS without REPLACE.
 * Missing folders above a target are made (0755, root).
 */
enum msb_patch_kind {
	MSB_PATCH_FILE = 1,     /* data, data_len */
	MSB_PATCH_COPY = 2,     /* a file or folder of the host: source */
	MSB_PATCH_APPEND = 3,   /* data behind a file that exists */
	MSB_PATCH_MKDIR = 4,    /* fine when it exists */
	MSB_PATCH_SYMLINK = 5,  /* source is the link's text */
	MSB_PATCH_REMOVE = 6,   /* fine when it does not exist */
	MSB_PATCH_SET_MODE = 7, /* mode of what exists */
	MSB_PATCH_SET_OWNER = 8 /* uid, gid of what exists */
};

enum msb_patch_flags {
	MSB_PATCH_REPLACE = 1, /* what is there goes before */
	MSB_PATCH_MODE = 2,  /* mode is given; else 0644, 0755, the source's */
	MSB_PATCH_OWNER = 4, /* uid and gid are given; else 0 */
	/* COPY: no part of source may be a symbolic link */
	MSB_PATCH_NO_LINKS = 8,
};

struct msb_patch {
	size_t size;
	int32_t kind;
	uint32_t flags;
	const char *path;   /* in the guest, absolute */
	const char *source; /* COPY, SYMLINK */
	const void *data;   /* FILE, APPEND */
	size_t data_len;
	uint32_t mode, uid, gid;
};
#define MSB_PATCH_INIT                                                         \
	{                                                                      \
		.size = sizeof(struct msb_patch)                               \
	}
#define MSB_PATCHES_MAX 4096

/* ---- a running sandbox's files ----------------------------------------- */

/*
 * Paths are absolute, or relative to "/", and resolved inside the guest only,
 * by its own rules: what a link there points to is there. The agent does it as
 * root. MSB_ERR_NOT_FOUND, MSB_ERR_EXISTS, MSB_ERR_PERMISSION, MSB_ERR_NO_SPACE
 * and MSB_ERR_IO carry the guest's errno in sys_errno.
 */

struct msb_file_info {
	size_t size;
	const char *path;   /* as asked for; of an entry: its name */
	const char *target; /* of a symbolic link, else "" */
	uint32_t mode;      /* with the type, as st_mode on Linux */
	uint32_t uid, gid, nlink, rdev;
	uint64_t size_bytes;
	int64_t mtime_s;
	uint32_t mtime_ns;
};
#define MSB_FILE_INFO_INIT                                                     \
	{                                                                      \
		.size = sizeof(struct msb_file_info)                           \
	}

enum msb_file_flags {
	MSB_FILE_NO_FOLLOW = 1,   /* of a symbolic link as the last part */
	MSB_FILE_RECURSIVE = 2,   /* remove: folders with all in them; mkdir:
	                             those above, too, and fine if it exists */
	MSB_FILE_APPEND = 4,      /* write: behind what is there */
	MSB_FILE_EXCLUSIVE = 8,   /* write: MSB_ERR_EXISTS if it exists */
	MSB_FILE_FORCE = 16,      /* remove: fine when it does not exist */
	MSB_FILE_NO_REPLACE = 32, /* rename: MSB_ERR_EXISTS */
};

struct msb_file_list;

/* Strings of @ret live until the next msb_file_stat() of this thread. */
MSB_API int msb_file_stat(struct msb_sandbox *sandbox, const char *path,
                          uint32_t flags, struct msb_file_info *ret_info,
                          struct msb_error *error);
/* A folder's entries, by name. */
MSB_API int msb_file_list(struct msb_sandbox *sandbox, const char *path,
                          struct msb_file_list **ret_list,
                          struct msb_error *error);
MSB_API void msb_file_list_free(struct msb_file_list *list);
MSB_API size_t msb_file_list_count(const struct msb_file_list *list);
MSB_API const struct msb_file_info *
msb_file_list_get(const struct msb_file_list *list, size_t i);

MSB_API int msb_file_mkdir(struct msb_sandbox *sandbox, const char *path,
                           uint32_t mode, uint32_t flags,
                           struct msb_error *error);
/* "/" is never removed. */
MSB_API int msb_file_remove(struct msb_sandbox *sandbox, const char *path,
                            uint32_t flags, struct msb_error *error);
MSB_API int msb_file_rename(struct msb_sandbox *sandbox, const char *from,
                            const char *to, uint32_t flags,
                            struct msb_error *error);
MSB_API int msb_file_chmod(struct msb_sandbox *sandbox, const char *path,
                           uint32_t mode, struct msb_error *error);
MSB_API int msb_file_chown(struct msb_sandbox *sandbox, const char *path,
                           uint32_t uid, uint32_t gid, uint32_t flags,
                           struct msb_error *error);
MSB_API int msb_file_symlink(struct msb_sandbox *sandbox, const char *target,
                             const char *path, struct msb_error *error);
/* Within the guest; folders with all in them. */
MSB_API int msb_file_copy(struct msb_sandbox *sandbox, const char *from,
                          const char *to, struct msb_error *error);

/*
 * A whole file, at most @max bytes (0: 64 MiB; more is MSB_ERR_NO_SPACE).
 * *ret_data has a NUL behind it and is freed by msb_free().
 */
MSB_API int msb_file_read(struct msb_sandbox *sandbox, const char *path,
                          size_t max, void **ret_data, size_t *ret_len,
                          struct msb_error *error);
MSB_API void msb_free(void *data);
/*
 * All of a file. It appears under its name when it is complete, with the
 * owner and mode of what it replaces, else root's and @mode (0: 0644).
 */
MSB_API int msb_file_write(struct msb_sandbox *sandbox, const char *path,
                           const void *data, size_t len, uint32_t mode,
                           uint32_t flags, struct msb_error *error);

/* For large ones. */
struct msb_file;

enum msb_file_mode { MSB_FILE_READ = 1, MSB_FILE_WRITE = 2 };

struct msb_file_opts {
	size_t size;
	int32_t mode; /* enum msb_file_mode */
	uint32_t flags;
	uint32_t permissions;    /* of a new file; 0: 0644 */
	uint64_t offset, length; /* READ: a part; length 0: to the end */
};
#define MSB_FILE_OPTS_INIT                                                     \
	{                                                                      \
		.size = sizeof(struct msb_file_opts)                           \
	}

MSB_API int msb_file_open(struct msb_sandbox *sandbox, const char *path,
                          const struct msb_file_opts *opts,
                          struct msb_file **ret_file, struct msb_error *error);
/* Bytes, 0 at the end. Blocks. */
MSB_API int64_t msb_file_get(struct msb_file *file, void *data, size_t len,
                             struct msb_error *error);
/* All of @data. Blocks. */
MSB_API int msb_file_put(struct msb_file *file, const void *data, size_t len,
                         struct msb_error *error);
/* WRITE: it is complete now, or nothing of it is left. */
MSB_API int msb_file_finish(struct msb_file *file, struct msb_error *error);
/* Without finish: what was written is dropped. NULL is fine. */
MSB_API void msb_file_close(struct msb_file *file);

/* Trees, both ways: files, folders, links, hard links, times, modes. */
enum msb_copy_flags {
	MSB_COPY_OWNER = 1,  /* keep uid and gid (else root, or the caller) */
	MSB_COPY_FOLLOW = 2, /* the source may be a symbolic link */
	/* The content of a folder goes into the target, not the folder. */
	MSB_COPY_CONTENT = 4,
};

struct msb_copy_event {
	const char *path; /* of what is being copied */
	uint64_t files, bytes;
};
/* At most every 50 ms, in the caller's thread; not 0 cancels. */
typedef int (*msb_copy_event_fn)(void *arg, const struct msb_copy_event *event);

struct msb_copy_opts {
	size_t size;
	uint32_t flags;
	msb_copy_event_fn event;
	void *event_arg;
};
#define MSB_COPY_OPTS_INIT                                                     \
	{                                                                      \
		.size = sizeof(struct msb_copy_opts)                           \
	}

/*
 * As docker cp: a @to that is a folder takes the source into it, under its
 * name; otherwise the source gets the name @to, whose parent must exist.
 * @opts may be NULL. Of a tree from the guest nothing is written outside of
 * the target, whatever links it has; devices and sockets are left out.
 */
MSB_API int msb_copy_in(struct msb_sandbox *sandbox, const char *from,
                        const char *to, const struct msb_copy_opts *opts,
                        struct msb_error *error);
MSB_API int msb_copy_out(struct msb_sandbox *sandbox, const char *from,
                         const char *to, const struct msb_copy_opts *opts,
                         struct msb_error *error);
/* The same as a tar stream (pax) from or to a descriptor; @to is a folder. */
MSB_API int msb_copy_in_tar(struct msb_sandbox *sandbox, int fd, const char *to,
                            const struct msb_copy_opts *opts,
                            struct msb_error *error);
MSB_API int msb_copy_out_tar(struct msb_sandbox *sandbox, const char *from,
                             int fd, const struct msb_copy_opts *opts,
                             struct msb_error *error);
/* From one sandbox to another, without a copy in between. */
MSB_API int msb_copy_across(struct msb_sandbox *source, const char *from,
                            struct msb_sandbox *target, const char *to,
                            const struct msb_copy_opts *opts,
                            struct msb_error *error);

/* ---- snapshots --------------------------------------------------------- */

/*
 * What was written in a sandbox, kept under a name, with the image that it was
 * written over. New sandboxes start from it (msb_sandbox_opts.snapshot), any
 * number, without copying.
 */
struct msb_snapshot_info {
	size_t size;
	const char *name;
	const char *digest; /* "sha256:..." of its description: its identity */
	const char *image;  /* reference */
	const char *image_id;
	const char *sandbox; /* whose it was */
	const char *parent;  /* digest of the one below, or "" */
	const char *content; /* "sha256:..." of the content, or "" */
	uint64_t size_bytes; /* of the disk */
	uint64_t used_bytes; /* on the host, of its own */
	int64_t created_ms;
	const char *const *labels; /* KEY=VALUE, NULL-terminated */
	const char *path;          /* of its folder */
};

struct msb_snapshot_opts {
	size_t size;
	const char *const *labels;
	uint32_t flags; /* enum msb_snapshot_flags */
	/* Of bytes, where some must be read (files is 0). */
	msb_copy_event_fn event;
	void *event_arg;
};
enum msb_snapshot_flags {
	MSB_SNAPSHOT_REPLACE = 1,
	MSB_SNAPSHOT_INTEGRITY =
		2, /* digest of the content, too: reads it all */
};
#define MSB_SNAPSHOT_OPTS_INIT                                                 \
	{                                                                      \
		.size = sizeof(struct msb_snapshot_opts)                       \
	}

struct msb_snapshots;

/* Of a sandbox that does not run: MSB_ERR_BUSY. No data is copied. */
MSB_API int msb_snapshot_create(struct msb_home *home, const char *sandbox,
                                const char *name,
                                const struct msb_snapshot_opts *opts,
                                struct msb_error *error);
/* All by name; or the one of @name, which may also be (the beginning of) its
   digest, 12 digits at least. */
MSB_API int msb_snapshot_list(struct msb_home *home, const char *name,
                              struct msb_snapshots **ret_list,
                              struct msb_error *error);
MSB_API void msb_snapshots_free(struct msb_snapshots *list);
MSB_API size_t msb_snapshots_count(const struct msb_snapshots *list);
MSB_API const struct msb_snapshot_info *
msb_snapshots_get(const struct msb_snapshots *list, size_t i);
/* What it was written over. */
MSB_API int msb_snapshot_image(struct msb_home *home, const char *name,
                               struct msb_image **ret_image,
                               struct msb_error *error);
/* Read it all and compare: MSB_ERR_DIGEST. */
MSB_API int msb_snapshot_verify(struct msb_home *home, const char *name,
                                struct msb_error *error);
/* The name goes; data that a sandbox or another snapshot needs stays. */
MSB_API int msb_snapshot_remove(struct msb_home *home, const char *name,
                                struct msb_error *error);

enum msb_snapshot_save_flags {
	MSB_SNAPSHOT_WITH_IMAGE = 1, /* the image's layers, too */
	MSB_SNAPSHOT_PLAIN = 2,      /* a plain tar, not tar.zst */
};
/* One portable file that says what it is and has digests of all in it. */
MSB_API int msb_snapshot_save(struct msb_home *home, const char *name,
                              const char *path, uint32_t flags,
                              struct msb_error *error);
/* @name NULL: as it was called. Nothing is kept of one that is damaged. */
MSB_API int msb_snapshot_load(struct msb_home *home, const char *path,
                              const char *name, char **ret_name,
                              struct msb_error *error);

/* ---- images out of sandboxes ------------------------------------------- */

struct msb_commit_opts {
	size_t size;
	const char *author, *message;
	/* Changes of the configuration as in a Dockerfile: "CMD [\"sh\"]",
	   "ENV A=b", "USER x", "WORKDIR /w", "ENTRYPOINT ...", "LABEL k=v". */
	const char *const *changes;
};
#define MSB_COMMIT_OPTS_INIT                                                   \
	{                                                                      \
		.size = sizeof(struct msb_commit_opts)                         \
	}

/*
 * What was written in a sandbox becomes one more layer over its image, and
 * both a new image of the name @reference. One that does not run is started
 * for it, without its commands. *ret_id is its manifest's digest, freed by
 * msb_free().
 */
MSB_API int msb_image_commit(struct msb_home *home, const char *sandbox,
                             const char *reference,
                             const struct msb_commit_opts *opts, char **ret_id,
                             struct msb_error *error);

enum msb_archive_format { MSB_ARCHIVE_DOCKER = 0, MSB_ARCHIVE_OCI = 1 };

struct msb_save_opts {
	size_t size;
	int32_t format; /* enum msb_archive_format */
	/* LAYER and LAYER_DONE count over all layers of all images. */
	msb_pull_event_fn event;
	void *event_arg;
};
#define MSB_SAVE_OPTS_INIT                                                     \
	{                                                                      \
		.size = sizeof(struct msb_save_opts)                           \
	}

/*
 * Write images (names or ids) to an archive that docker, podman, skopeo and
 * msb_image_load() read; @path "-": standard output. A file appears when it is
 * complete, in place of what had its name. Configs and uncompressed layers are
 * what they were, so their digests are; the image's manifest goes with them,
 * and msb_image_load() gives the image its id again. The same images give the
 * same bytes. MSB_ERR_DIGEST when the store is damaged.
 */
MSB_API int msb_image_save(struct msb_home *home, const char *const *references,
                           const struct msb_save_opts *opts, const char *path,
                           struct msb_error *error);

#ifdef __cplusplus
}
#endif

#endif
