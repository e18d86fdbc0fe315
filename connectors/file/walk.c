/* Folder walks in the order an object store would list: byte order of whole names. */
#include "connectors/file/walk_int.h"

#include "engine/base/limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

weir_status file_errno_status(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return WEIR_NO_SPACE;
    case EACCES:
    case EPERM:
    case EROFS: return WEIR_DENIED;
    case ENOENT:
    case ENOTDIR: return WEIR_NOT_FOUND;
    case ENOMEM: return WEIR_NO_MEMORY;
    case EMFILE:
    case ENFILE: return WEIR_UNAVAILABLE;
    default: return WEIR_IO;
    }
}

weir_status file_fail(struct weir_error *reterr, int error, const char *action, const char *name)
{
    char text[128];
    weir_status status = file_errno_status(error);
    weir_status failed = weir_fail(reterr, status, "%s %s: %s", action, name,
                                   strerror_r(error, text, sizeof text));
    if (error == EROFS)
        weir_error_hint(reterr, "The file system is mounted read-only.");
    else if (error == EFBIG)
        weir_error_hint(reterr,
                        "A file size limit was reached (ulimit -f, or the file system's own).");
    else if (status == WEIR_NO_SPACE)
        weir_error_hint(reterr,
                        "Free some space (or quota) on that file system, then start again.");
    else if (status == WEIR_DENIED)
        weir_error_hint(reterr, "The user that runs weir (uid %ld) needs the right to do this.",
                        (long)geteuid());
    return failed;
}

int64_t file_modified_ms(const struct stat *status)
{
    return (int64_t)status->st_mtim.tv_sec * 1000 + status->st_mtim.tv_nsec / 1000000;
}

void file_etag(const struct stat *status, char ret_etag[128])
{
    snprintf(ret_etag, 128, "%" PRIx64 "-%" PRIx64 ".%08lx-%" PRIx64, (uint64_t)status->st_size,
             (uint64_t)status->st_mtim.tv_sec, (unsigned long)status->st_mtim.tv_nsec,
             (uint64_t)status->st_ino);
}

struct entry {
    char *name; /* folders end in '/', so that sorting by bytes gives the order of whole names */
    struct stat status;
};

struct entries {
    struct weir_arena arena;
    struct entry *items;
    size_t count, capacity;
};

static int entry_order(const void *a, const void *b)
{
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static weir_status entries_add(struct entries *entries, struct weir_account *account,
                               const char *name, const struct stat *status,
                               struct weir_error *reterr)
{
    if (entries->count == entries->capacity) {
        size_t capacity = entries->capacity ? entries->capacity * 2 : 64;
        WEIR_TRY(weir_realloc(&entries->items, account, capacity * sizeof *entries->items, reterr));
        entries->capacity = capacity;
    }
    struct entry *entry = &entries->items[entries->count];
    WEIR_TRY(weir_arena_print(&entries->arena, &entry->name, reterr, "%s%s", name,
                              S_ISDIR(status->st_mode) ? "/" : ""));
    entry->status = *status;
    entries->count++;
    return WEIR_OK;
}

/* Fills `entries` with the files and folders in the folder at `path`. */
static weir_status entries_read(struct entries *entries, const struct walk *walk, DIR *folder,
                                const char *path, struct weir_error *reterr)
{
    for (;;) {
        errno = 0;
        struct dirent *item = readdir(folder);
        if (!item)
            return errno ? file_fail(reterr, errno, "listing", path) : WEIR_OK;
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
            continue;
        struct stat status;
        if (fstatat(dirfd(folder), item->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
            if (errno == ENOENT)
                continue; /* removed since readdir saw it */
            return file_fail(reterr, errno, "listing", path);
        }
        if (S_ISLNK(status.st_mode) &&
            (fstatat(dirfd(folder), item->d_name, &status, 0) != 0 || S_ISDIR(status.st_mode)))
            continue; /* dangling, or a folder that could lead round in circles */
        if (S_ISREG(status.st_mode) || S_ISDIR(status.st_mode))
            WEIR_TRY(entries_add(entries, walk->account, item->d_name, &status, reterr));
    }
}

static weir_status walk_step(const struct walk *walk, const char *directory, int depth,
                             struct weir_error *reterr);

static weir_status walk_entry(const struct walk *walk, const char *directory,
                              const struct entry *entry, int depth, struct weir_error *reterr)
{
    char name[WEIR_OBJECT_NAME_MAX + 1];
    int size = snprintf(name, sizeof name, "%s%s%s", directory, *directory ? "/" : "", entry->name);
    if (size < 0 || (size_t)size >= sizeof name)
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "%s/%s: the name of a file below it is longer than %d bytes", walk->base,
                         directory, WEIR_OBJECT_NAME_MAX);
    if (!S_ISDIR(entry->status.st_mode))
        return walk->visit(walk->argument, name, &entry->status, reterr);
    name[size - 1] = '\0';
    if (walk->enter && !walk->enter(walk->argument, name))
        return WEIR_OK;
    return walk_step(walk, name, depth + 1, reterr);
}

static weir_status walk_step(const struct walk *walk, const char *directory, int depth,
                             struct weir_error *reterr)
{
    char path[4096];
    int size = snprintf(path, sizeof path, "%s%s%s", walk->base, *directory ? "/" : "", directory);
    if (size < 0 || (size_t)size >= sizeof path || depth > WEIR_FOLDER_DEPTH_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED,
                         "%.200s...: more than %d folders below each other, or too long a path",
                         path, WEIR_FOLDER_DEPTH_MAX);
    DIR *folder = opendir(path);
    if (!folder)
        return errno == ENOENT || errno == ENOTDIR ? WEIR_OK
                                                   : file_fail(reterr, errno, "listing", path);
    struct entries entries = {0};
    weir_arena_init(&entries.arena, walk->account);
    weir_status status = entries_read(&entries, walk, folder, path, reterr);
    closedir(folder);
    if (status == WEIR_OK && entries.count)
        qsort(entries.items, entries.count, sizeof *entries.items, entry_order);
    for (size_t i = 0; status == WEIR_OK && i < entries.count; i++)
        status = walk_entry(walk, directory, &entries.items[i], depth, reterr);
    weir_free(entries.items);
    weir_arena_done(&entries.arena);
    return status;
}

weir_status walk_folder(const struct walk *walk, const char *directory, struct weir_error *reterr)
{
    return walk_step(walk, directory, 0, reterr);
}
