/* The folder as an object store: names, reading, listing, and the atomic writes. See local.h for
 * the promises. */
#include "connectors/file/local_int.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define TEMPORARY_PREFIX ".weir-tmp-"
#define LOCKS_FOLDER     ".weir-locks"
#define LOCKS_COUNT      64 /* stripes: names that share one only wait for each other */
#define FOLDER_TRIES     64 /* each lost to another process that pruned the empty folder */

/* ---- names ----------------------------------------------------------------------------------- */

static const char *name_fault(const char *name)
{
    size_t size = strlen(name);
    if (size == 0 || size > WEIR_OBJECT_NAME_MAX)
        return "is empty or too long";
    if (name[0] == '/' || name[size - 1] == '/')
        return "starts or ends with '/'";
    for (const char *at = name; *at;) {
        size_t part = strcspn(at, "/");
        if (part == 0 || (part == 1 && at[0] == '.') || (part == 2 && at[0] == '.' && at[1] == '.'))
            return "has an empty part, \".\" or \"..\"";
        if (part > NAME_MAX)
            return "has a part longer than 255 bytes";
        if (strncmp(at, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) == 0 ||
            strncmp(at, LOCKS_FOLDER, strlen(LOCKS_FOLDER)) == 0)
            return "is one that the store keeps for itself";
        at += part + (at[part] == '/');
    }
    return NULL;
}

static weir_status name_check(const char *name, struct weir_error *reterr)
{
    const char *fault = name_fault(name);
    return fault ? weir_fail(reterr, WEIR_USAGE, "object name \"%.300s\" %s", name, fault)
                 : WEIR_OK;
}

weir_status local_path(const struct local_store *store, const char *name,
                       char ret_path[LOCAL_PATH_SIZE], struct weir_error *reterr)
{
    int size = snprintf(ret_path, LOCAL_PATH_SIZE, "%s%s%s",
                        strcmp(store->root, "/") == 0 ? "" : store->root, *name ? "/" : "", name);
    if (size < 0 || size >= LOCAL_PATH_SIZE)
        return weir_fail(reterr, WEIR_USAGE, "%.200s...: path longer than %d bytes", store->root,
                         LOCAL_PATH_SIZE - 1);
    return WEIR_OK;
}

static weir_status object_path(const struct local_store *store, const char *name,
                               char ret_path[LOCAL_PATH_SIZE], struct weir_error *reterr)
{
    WEIR_TRY(name_check(name, reterr));
    return local_path(store, name, ret_path, reterr);
}

static bool is_own_litter(const char *name)
{
    const char *base = strrchr(name, '/');
    base = base ? base + 1 : name;
    return strncmp(base, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) == 0;
}

static void info_fill(struct weir_object_info *info, const char *name, const struct stat *status)
{
    snprintf(info->name, sizeof info->name, "%s", name);
    info->size = (uint64_t)status->st_size;
    info->modified_ms = file_modified_ms(status);
    file_etag(status, info->etag);
}

/* ---- reading --------------------------------------------------------------------------------- */

/* O_NONBLOCK: a named pipe in the folder must not hang the run. */
static weir_status object_open(const char *path, const char *name, int *ret_file,
                               struct stat *ret_status, struct weir_error *reterr)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return file_fail(reterr, errno, "reading", path);
    if (fstat(file, ret_status) != 0 || !S_ISREG(ret_status->st_mode)) {
        close(file);
        return weir_fail(reterr, WEIR_NOT_FOUND, "reading %s: not a regular file", path);
    }
    *ret_file = file;
    return WEIR_OK;
}

weir_status file_read_range(int file, const char *path, uint64_t file_size, uint64_t offset,
                            uint64_t size, struct weir_buffer *out, struct weir_error *reterr)
{
    if (offset > file_size || (size != UINT64_MAX && size > file_size - offset))
        return weir_fail(
            reterr, WEIR_CORRUPT, "%s has %llu bytes; %llu from %llu on were asked for", path,
            (unsigned long long)file_size, (unsigned long long)size, (unsigned long long)offset);
    size = size == UINT64_MAX ? file_size - offset : size;
    WEIR_TRY(weir_buffer_reserve(out, (size_t)size + 1, reterr));
    for (uint64_t done = 0; done < size;) {
        ssize_t got = pread(file, out->data + out->size + done, (size_t)(size - done),
                            (off_t)(offset + done));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return file_fail(reterr, errno, "reading", path);
        if (got == 0)
            return weir_fail(reterr, WEIR_CORRUPT, "%s became shorter while it was read", path);
        done += (uint64_t)got;
    }
    out->size += (size_t)size;
    return WEIR_OK;
}

static weir_status local_get(void *self, const char *name, uint64_t offset, uint64_t size,
                             struct weir_buffer *out, struct weir_object_info *ret_info,
                             struct weir_error *reterr)
{
    char path[LOCAL_PATH_SIZE];
    struct stat status;
    int file;
    WEIR_TRY(object_path(self, name, path, reterr));
    WEIR_TRY(object_open(path, name, &file, &status, reterr));
    weir_status outcome = file_read_range(file, path, (uint64_t)status.st_size, offset, size, out,
                                          reterr);
    close(file);
    if (outcome == WEIR_OK && ret_info)
        info_fill(ret_info, name, &status);
    return outcome;
}

static weir_status local_head(void *self, const char *name, struct weir_object_info *ret_info,
                              struct weir_error *reterr)
{
    char path[LOCAL_PATH_SIZE];
    struct stat status;
    WEIR_TRY(object_path(self, name, path, reterr));
    if (stat(path, &status) != 0)
        return file_fail(reterr, errno, "looking at", path);
    if (!S_ISREG(status.st_mode))
        return weir_fail(reterr, WEIR_NOT_FOUND, "looking at %s: not a regular file", path);
    if (ret_info)
        info_fill(ret_info, name, &status);
    return WEIR_OK;
}

/* ---- listing --------------------------------------------------------------------------------- */

struct listing {
    const char *prefix;
    bool litter;              /* the temporary files, and nothing else */
    int64_t modified_ms_most; /* litter only */
    weir_status (*visit)(void *argument, const struct weir_object_info *info);
    void *argument;
    struct weir_object_info info; /* here, not on the stack of each step */
};

/* Folder "a/b" may hold names that start with the prefix if one of "a/b/" and the prefix starts
 * with the other. */
static bool listing_enter(void *argument, const char *name)
{
    const struct listing *listing = argument;
    size_t prefix = strlen(listing->prefix), size = strlen(name);
    if (strcmp(name, LOCKS_FOLDER) == 0)
        return false;
    return strncmp(listing->prefix, name, prefix < size ? prefix : size) == 0 &&
           (prefix <= size || listing->prefix[size] == '/');
}

static weir_status listing_visit(void *argument, const char *name, const struct stat *status,
                                 struct weir_error *reterr)
{
    struct listing *listing = argument;
    if (strncmp(name, listing->prefix, strlen(listing->prefix)) != 0 ||
        is_own_litter(name) != listing->litter)
        return WEIR_OK;
    if (listing->litter && file_modified_ms(status) > listing->modified_ms_most)
        return WEIR_OK;
    info_fill(&listing->info, name, status);
    weir_status outcome = listing->visit(listing->argument, &listing->info);
    return outcome == WEIR_OK ? WEIR_OK : weir_fail(reterr, outcome, "listing stopped at %s", name);
}

static weir_status listing_run(struct local_store *store, struct listing *listing,
                               struct weir_error *reterr)
{
    const char *prefix = listing->prefix, *slash = strrchr(prefix, '/');
    char directory[WEIR_OBJECT_NAME_MAX + 1];
    size_t size = slash ? (size_t)(slash - prefix) : 0;
    if (strlen(prefix) > WEIR_OBJECT_NAME_MAX || prefix[0] == '/')
        return weir_fail(reterr, WEIR_USAGE, "prefix \"%.300s\" is absolute or too long", prefix);
    memcpy(directory, prefix, size);
    directory[size] = '\0';
    if (size)
        WEIR_TRY(name_check(directory, reterr));
    struct walk walk = {&store->account, store->root, listing_enter, listing_visit, listing};
    return walk_folder(&walk, directory, reterr);
}

static weir_status local_list(void *self, const char *prefix,
                              weir_status (*visit)(void *argument,
                                                   const struct weir_object_info *info),
                              void *argument, struct weir_error *reterr)
{
    struct listing listing = {.prefix = prefix, .visit = visit, .argument = argument};
    return listing_run(self, &listing, reterr);
}

weir_status weir_store_local_litter(const struct weir_object_store *store, const char *prefix,
                                    int64_t age_ms,
                                    weir_status (*visit)(void *argument,
                                                         const struct weir_object_info *info),
                                    void *argument, struct weir_error *reterr)
{
    struct local_store *local = store->self;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME,
                  &now); /* ages are compared with the file system's times, not the context's */
    struct listing listing = {.prefix = prefix,
                              .litter = true,
                              .visit = visit,
                              .argument = argument,
                              .modified_ms_most = (int64_t)now.tv_sec * 1000 +
                                                  now.tv_nsec / 1000000 - age_ms};
    return listing_run(local, &listing, reterr);
}

/* ---- temporary files
 * ---------------------------------------------------------------------------------------- */

weir_status local_sync_path(const char *path, bool folder, struct weir_error *reterr)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | (folder ? O_DIRECTORY : 0));
    if (file < 0)
        return file_fail(reterr, errno, "syncing", path);
    int failed = fsync(file) != 0 ? errno : 0;
    close(file);
    /* Some FUSE file systems cannot sync folders and say so; then there is nothing more to be had.
     */
    if (failed && !(folder && (failed == EINVAL || failed == ENOTSUP)))
        return file_fail(reterr, failed, "syncing", path);
    return WEIR_OK;
}

/* Cuts the last part of a path off; false if there is none to cut. */
static bool path_up(char *path)
{
    char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return false;
    *slash = '\0';
    return true;
}

/* Makes the folder and those above it; each one made is synced into its parent. Another process may
 * prune an empty one at any moment: that is no failure here, whoever opens a file in it asks again.
 */
static weir_status folder_make(const char *path, struct weir_error *reterr)
{
    char parent[LOCAL_PATH_SIZE];
    if (mkdir(path, 0777) != 0) {
        if (errno == EEXIST)
            return WEIR_OK;
        if (errno != ENOENT)
            return file_fail(reterr, errno, "making folder", path);
        snprintf(parent, sizeof parent, "%s", path);
        if (!path_up(parent))
            return file_fail(reterr, ENOENT, "making folder", path);
        WEIR_TRY(folder_make(parent, reterr));
        if (mkdir(path, 0777) != 0 && errno != EEXIST && errno != ENOENT)
            return file_fail(reterr, errno, "making folder", path);
    }
    snprintf(parent, sizeof parent, "%s", path);
    if (!path_up(parent) || access(parent, F_OK) != 0)
        return WEIR_OK;
    weir_status status = local_sync_path(parent, true, reterr);
    return access(parent, F_OK) != 0 ? WEIR_OK : status;
}

/* Opens a new temporary file beside `path`, its name in ret_temporary. A sweeper may remove an
 * empty folder between making and using it, hence the tries. */
static weir_status temporary_new(struct local_store *store, const char *path,
                                 char ret_temporary[LOCAL_PATH_SIZE], int *ret_file,
                                 struct weir_error *reterr)
{
    char folder[LOCAL_PATH_SIZE];
    snprintf(folder, sizeof folder, "%s", path);
    if (!path_up(folder))
        snprintf(folder, sizeof folder, "/");
    int size = snprintf(ret_temporary, LOCAL_PATH_SIZE, "%s/" TEMPORARY_PREFIX "%016llx%08llx",
                        strcmp(folder, "/") ? folder : "",
                        (unsigned long long)weir_random_u64(store->context),
                        (unsigned long long)weir_random_below(store->context, 1ull << 32));
    if (size < 0 || size >= LOCAL_PATH_SIZE)
        return weir_fail(reterr, WEIR_USAGE, "%.200s...: path too long", path);
    int failed = 0;
    for (int attempt = 0; attempt < FOLDER_TRIES; attempt++) {
        *ret_file = open(ret_temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (*ret_file >= 0)
            return WEIR_OK;
        failed = errno;
        if (failed != ENOENT)
            break;
        WEIR_TRY(folder_make(folder, reterr));
    }
    return file_fail(reterr, failed, "writing in", folder);
}

weir_status local_write(int file, const char *path, const void *data, size_t size,
                        struct weir_error *reterr)
{
    for (const uint8_t *at = data, *end = at + size; at < end;) {
        ssize_t written = write(file, at, (size_t)(end - at));
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return file_fail(reterr, errno, "writing", path);
        at += written;
    }
    return WEIR_OK;
}

/* Gives the file a modification time above floor (if any), so that its etag is new. File systems
 * with coarse times lose small steps, hence the larger ones. */
static weir_status time_set(int file, const char *path, const struct stat *floor,
                            struct weir_error *reterr)
{
    static const int64_t steps_ns[] = {0, 1, 1000, 1000000, 1000000000, 2000000000};
    for (size_t i = 0; i < sizeof steps_ns / sizeof *steps_ns; i++) {
        struct timespec time;
        struct stat status;
        clock_gettime(CLOCK_REALTIME, &time);
        if (floor &&
            (time.tv_sec < floor->st_mtim.tv_sec ||
             (time.tv_sec == floor->st_mtim.tv_sec && time.tv_nsec <= floor->st_mtim.tv_nsec))) {
            int64_t nanoseconds = floor->st_mtim.tv_nsec + (steps_ns[i] ? steps_ns[i] : 1);
            time = (struct timespec){floor->st_mtim.tv_sec + nanoseconds / 1000000000,
                                     nanoseconds % 1000000000};
        }
        if (futimens(file, (struct timespec[2]){{.tv_nsec = UTIME_OMIT}, time}) != 0 ||
            fstat(file, &status) != 0)
            return file_fail(reterr, errno, "writing", path);
        if (!floor || status.st_mtim.tv_sec > floor->st_mtim.tv_sec ||
            (status.st_mtim.tv_sec == floor->st_mtim.tv_sec &&
             status.st_mtim.tv_nsec > floor->st_mtim.tv_nsec))
            return WEIR_OK;
    }
    return weir_fail(reterr, WEIR_IO, "%s: the file system keeps no modification times that grow",
                     path);
}

/* ---- locks ----------------------------------------------------------------------------------- */

/* The lock file of a name; never removed, as that would let two processes hold "the" lock. */
static weir_status lock_take(const struct local_store *store, const char *name, int *ret_lock,
                             struct weir_error *reterr)
{
    char folder[LOCAL_PATH_SIZE], path[LOCAL_PATH_SIZE];
    WEIR_TRY(local_path(store, LOCKS_FOLDER, folder, reterr));
    unsigned hash = 2166136261u; /* FNV-1a: all versions of the program must agree on it */
    for (const char *at = name; *at; at++)
        hash = (hash ^ (unsigned char)*at) * 16777619u;
    if (snprintf(path, sizeof path, "%s/%02u", folder, hash % LOCKS_COUNT) >= (int)sizeof path)
        return weir_fail(reterr, WEIR_USAGE, "%.200s...: path too long", folder);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    for (int attempt = 0; file < 0 && errno == ENOENT && attempt < FOLDER_TRIES; attempt++) {
        WEIR_TRY(folder_make(folder, reterr));
        file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    }
    if (file < 0)
        return file_fail(reterr, errno, "locking", path);
    while (flock(file, LOCK_EX) != 0) {
        if (errno == EINTR)
            continue;
        int failed = errno;
        close(file);
        return file_fail(reterr, failed, "locking", path);
    }
    *ret_lock = file;
    return WEIR_OK;
}

/* ---- putting --------------------------------------------------------------------------------- */

/* link(2) that knows its own success: over NFS the first answer can be lost and the second say
 * EEXIST. */
static weir_status link_new(int file, const char *temporary, const char *path, const char *name,
                            struct weir_error *reterr)
{
    if (link(temporary, path) == 0)
        return WEIR_OK;
    int failed = errno;
    struct stat status;
    if (failed == EEXIST) {
        if (fstat(file, &status) == 0 && status.st_nlink == 2)
            return WEIR_OK;
        return weir_fail(reterr, WEIR_PRECONDITION, "%s is already there", name);
    }
    /* File systems without hard links (FAT, some FUSE) may still know how to rename without
     * replacing. */
    if ((failed == EPERM || failed == EOPNOTSUPP) &&
        renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
        return WEIR_OK;
    if (errno == EEXIST)
        return weir_fail(reterr, WEIR_PRECONDITION, "%s is already there", name);
    return file_fail(reterr, failed, "linking", path);
}

/* Under the lock: compares, then renames the temporary file over the object. */
static weir_status replace_locked(int file, const char *temporary, const char *path,
                                  const char *name, const char *etag, struct weir_error *reterr)
{
    struct stat status;
    char current[WEIR_ETAG_SIZE];
    bool there = stat(path, &status) == 0;
    if (!there && errno != ENOENT && errno != ENOTDIR)
        return file_fail(reterr, errno, "looking at", path);
    if (etag && !there)
        return weir_fail(reterr, WEIR_PRECONDITION, "%s is gone, its version %s was to be replaced",
                         name, etag);
    if (etag) {
        file_etag(&status, current);
        if (strcmp(current, etag) != 0)
            return weir_fail(reterr, WEIR_PRECONDITION, "%s is at version %s, not %s", name,
                             current, etag);
    }
    WEIR_TRY(time_set(file, temporary, there ? &status : NULL, reterr));
    if (fsync(file) != 0)
        return file_fail(reterr, errno, "syncing", temporary);
    return rename(temporary, path) == 0 ? WEIR_OK : file_fail(reterr, errno, "replacing", path);
}

static weir_status folder_of_sync(const char *path, const char *name, struct weir_error *reterr)
{
    char folder[LOCAL_PATH_SIZE];
    snprintf(folder, sizeof folder, "%s", path);
    if (!path_up(folder))
        snprintf(folder, sizeof folder, "/");
    if (local_sync_path(folder, true, reterr) == WEIR_OK)
        return WEIR_OK;
    weir_error_prefix(reterr, "%s is visible but may not survive a crash", name);
    if (reterr)
        reterr->status = WEIR_UNKNOWN_OUTCOME;
    return WEIR_UNKNOWN_OUTCOME;
}

/* The temporary file is whole: makes it visible. Which of the three rules holds is the caller's. */
static weir_status publish(struct local_store *store, int file, const char *temporary,
                           const char *path, const char *name, enum weir_put_mode mode,
                           const char *etag, const char *kind, struct weir_error *reterr)
{
    weir_status status;
    int lock = -1;
    if (mode != WEIR_PUT_IF_ABSENT)
        WEIR_TRY(lock_take(store, name, &lock, reterr));
    status = weir_effect_before(store->context, kind, name, reterr);
    if (status == WEIR_OK) {
        status = mode == WEIR_PUT_IF_ABSENT
                     ? link_new(file, temporary, path, name, reterr)
                     : replace_locked(file, temporary, path, name,
                                      mode == WEIR_PUT_IF_MATCH ? etag : NULL, reterr);
        if (weir_effect_after(store->context))
            status = weir_fail(reterr, WEIR_UNKNOWN_OUTCOME,
                               "%s %s: the answer was lost (by the test)", kind, name);
    }
    if (lock >= 0)
        close(lock);
    return status;
}

static weir_status put_temporary(struct local_store *store, int file, const char *temporary,
                                 const char *path, const char *name, const void *data, size_t size,
                                 enum weir_put_mode mode, const char *etag, struct stat *ret_status,
                                 struct weir_error *reterr)
{
    WEIR_TRY(local_write(file, temporary, data, size, reterr));
    if (mode == WEIR_PUT_IF_ABSENT) {
        WEIR_TRY(time_set(file, temporary, NULL, reterr));
        if (fsync(file) != 0)
            return file_fail(reterr, errno, "syncing", temporary);
    }
    WEIR_TRY(publish(store, file, temporary, path, name, mode, etag, "put", reterr));
    if (fstat(file, ret_status) != 0)
        return weir_fail(reterr, WEIR_UNKNOWN_OUTCOME, "%s was written but cannot be looked at",
                         name);
    return folder_of_sync(path, name, reterr);
}

static weir_status local_put(void *self, const char *name, const void *data, size_t size,
                             enum weir_put_mode mode, const char *etag,
                             char ret_etag[WEIR_ETAG_SIZE], struct weir_error *reterr)
{
    struct local_store *store = self;
    char path[LOCAL_PATH_SIZE], temporary[LOCAL_PATH_SIZE];
    struct stat written;
    int file;
    if (mode == WEIR_PUT_IF_MATCH && (!etag || !*etag))
        return weir_fail(reterr, WEIR_USAGE, "put-if-match of %s without an etag", name);
    WEIR_TRY(object_path(store, name, path, reterr));
    WEIR_TRY(temporary_new(store, path, temporary, &file, reterr));
    weir_status status = put_temporary(store, file, temporary, path, name, data, size, mode, etag,
                                       &written, reterr);
    unlink(temporary); /* the second name of a linked file, or what a failure left */
    close(file);
    if (status == WEIR_OK && ret_etag)
        file_etag(&written, ret_etag);
    return status;
}

/* Folders that become empty go too, as in a bucket there are none; a writer that meets this tries
 * again. */
static void folders_prune(const struct local_store *store, char *path)
{
    while (path_up(path) && strlen(path) > strlen(store->root) && rmdir(path) == 0)
        ;
}

static weir_status local_remove(void *self, const char *name, struct weir_error *reterr)
{
    struct local_store *store = self;
    char path[LOCAL_PATH_SIZE];
    int lock = -1;
    struct stat seen;
    WEIR_TRY(object_path(store, name, path, reterr));
    if (lstat(path, &seen) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return WEIR_OK;
    WEIR_TRY(lock_take(store, name, &lock, reterr));
    weir_status status = weir_effect_before(store->context, "delete", name, reterr);
    if (status == WEIR_OK) {
        if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
            status = file_fail(reterr, errno, "deleting", path);
        if (weir_effect_after(store->context))
            status = weir_fail(reterr, WEIR_UNKNOWN_OUTCOME,
                               "delete %s: the answer was lost (by the test)", name);
    }
    if (status == WEIR_OK)
        folders_prune(store, path);
    close(lock);
    return status;
}

weir_status weir_store_local_litter_remove(const struct weir_object_store *store, const char *name,
                                           struct weir_error *reterr)
{
    char path[LOCAL_PATH_SIZE], folder[WEIR_OBJECT_NAME_MAX + 1];
    size_t size = strlen(name);
    if (!is_own_litter(name) || size > WEIR_OBJECT_NAME_MAX)
        return weir_fail(reterr, WEIR_USAGE, "%.300s is not a temporary file of the store's", name);
    memcpy(folder, name, size + 1);
    char *slash = strrchr(folder, '/');
    if (slash) {
        *slash = '\0';
        WEIR_TRY(name_check(folder, reterr));
    }
    WEIR_TRY(local_path(store->self, name, path, reterr));
    return unlink(path) == 0 || errno == ENOENT ? WEIR_OK
                                                : file_fail(reterr, errno, "deleting", path);
}

/* ---- uploads --------------------------------------------------------------------------------- */

struct weir_upload {
    struct local_store *store;
    int file;
    uint64_t size;
    char name[WEIR_OBJECT_NAME_MAX + 1];
    char path[LOCAL_PATH_SIZE];
    char temporary[LOCAL_PATH_SIZE];
};

static void upload_free(struct weir_upload *upload)
{
    unlink(upload->temporary);
    close(upload->file);
    weir_free(upload);
}

static weir_status local_upload_begin(void *self, const char *name, struct weir_upload **ret_upload,
                                      struct weir_error *reterr)
{
    struct local_store *store = self;
    struct weir_upload *upload;
    WEIR_TRY(weir_alloc_zero(&store->account, 1, sizeof *upload, &upload, reterr));
    upload->store = store;
    weir_status status = object_path(store, name, upload->path, reterr);
    if (status == WEIR_OK)
        status = temporary_new(store, upload->path, upload->temporary, &upload->file, reterr);
    if (status != WEIR_OK) {
        weir_free(upload);
        return status;
    }
    snprintf(upload->name, sizeof upload->name, "%s", name);
    *ret_upload = upload;
    return WEIR_OK;
}

static weir_status local_upload_write(struct weir_upload *upload, const void *data, size_t size,
                                      struct weir_error *reterr)
{
    WEIR_TRY(local_write(upload->file, upload->temporary, data, size, reterr));
    /* Starts the disk now, so that the fsync of settle finds little left to do. */
    sync_file_range(upload->file, (off_t)upload->size, (off_t)size, SYNC_FILE_RANGE_WRITE);
    upload->size += size;
    return WEIR_OK;
}

static weir_status local_upload_finish(struct weir_upload *upload,
                                       struct weir_object_info *ret_info, struct weir_error *reterr)
{
    struct stat status;
    struct weir_object_info info;
    weir_status outcome = time_set(upload->file, upload->temporary, NULL, reterr);
    if (outcome == WEIR_OK)
        outcome = local_unsettled_add(upload->store, upload->name, reterr);
    if (outcome == WEIR_OK)
        outcome = publish(upload->store, upload->file, upload->temporary, upload->path,
                          upload->name, WEIR_PUT_IF_ABSENT, NULL, "upload", reterr);
    if (outcome == WEIR_OK && fstat(upload->file, &status) != 0)
        outcome = weir_fail(reterr, WEIR_UNKNOWN_OUTCOME, "%s was written but cannot be looked at",
                            upload->name);
    if (outcome == WEIR_OK) {
        info_fill(&info, upload->name, &status);
        if (ret_info)
            *ret_info = info;
    }
    upload_free(upload);
    return outcome;
}

static void local_upload_abandon(struct weir_upload *upload)
{
    if (upload)
        upload_free(upload);
}

/* ---- the store ------------------------------------------------------------------------------- */

static void local_free(void *self)
{
    struct local_store *store = self;
    if (!store)
        return;
    local_unsettled_free(store);
    pthread_mutex_destroy(&store->lock);
    weir_free(store);
}

static const struct weir_object_store_operations local_operations = {
    .kind = "local",
    .get = local_get,
    .head = local_head,
    .put = local_put,
    .list = local_list,
    .remove = local_remove,
    .upload_begin = local_upload_begin,
    .upload_write = local_upload_write,
    .upload_finish = local_upload_finish,
    .upload_abandon = local_upload_abandon,
    .settle = local_settle,
    .free = local_free,
};

weir_status weir_store_local_new(struct weir_context *context, const char *path,
                                 struct weir_object_store *ret_store, struct weir_error *reterr)
{
    struct local_store *store;
    WEIR_TRY(weir_alloc_zero(&context->memory, 1, sizeof *store, &store, reterr));
    weir_status status = file_absolute_path(path, store->root, reterr);
    if (status != WEIR_OK) {
        weir_free(store);
        return status;
    }
    weir_account_init(&store->account, &context->memory, "local store", 0);
    store->context = context;
    pthread_mutex_init(&store->lock, NULL);
    *ret_store = (struct weir_object_store){&local_operations, store, store->root};
    return WEIR_OK;
}
