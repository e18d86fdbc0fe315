/* Spill files: what operators put on disk when memory is short. No name of them is left in the
 * folder once they are open, so that the system frees them however the process ends. */
#include "engine/exec/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SPILL_BUFFER      (256u << 10)
#define SPILL_FOLDER_SIZE 4096

struct weir_spill {
    struct weir_account *account;
    uint64_t limit;        /* 0 = none */
    atomic_ullong held;    /* bytes of files that are still there */
    atomic_ullong written; /* bytes ever */
    char folder[SPILL_FOLDER_SIZE];
};

struct weir_spill_file {
    struct weir_spill *spill;
    int file;
    uint64_t size;     /* bytes appended, those in the buffer too */
    uint64_t reserved; /* counted in spill->held */
    size_t filled;     /* bytes in the buffer */
    uint8_t *buffer;   /* NULL once finished */
};

/* ---- the folder ---- */

/* A folder made below one that is for all users, as /tmp is, is for all users too: the next one to
 * run here has the same default. What lies in it has no name and is its owner's alone. */
static void folder_share(const char *folder)
{
    char above[SPILL_FOLDER_SIZE];
    struct stat info;
    const char *slash = strrchr(folder, '/');
    int size = !slash ? 0 : slash == folder ? 1 : (int)(slash - folder);
    snprintf(above, sizeof above, "%.*s", size ? size : 1, size ? folder : ".");
    if (stat(above, &info) == 0 && (info.st_mode & 01007) == 01007)
        (void)chmod(folder, 01777); /* else it stays its maker's */
}

static weir_status folder_make_one(const char *folder, struct weir_error *reterr)
{
    struct stat info;
    if (mkdir(folder, 0700) == 0) {
        folder_share(folder);
        return WEIR_OK;
    }
    int reason = errno;
    if (stat(folder, &info) == 0 && S_ISDIR(info.st_mode))
        return WEIR_OK;
    return weir_fail(reterr, WEIR_IO, "run.spill: making folder %s: %s", folder, strerror(reason));
}

static weir_status folder_make(const char *folder, struct weir_error *reterr)
{
    char path[SPILL_FOLDER_SIZE];
    size_t size = strlen(folder);
    memcpy(path, folder, size + 1);
    for (size_t i = 1; i < size; i++)
        if (path[i] == '/') {
            path[i] = 0;
            WEIR_TRY(folder_make_one(path, reterr));
            path[i] = '/';
        }
    return folder_make_one(path, reterr);
}

weir_status weir_spill_new(struct weir_account *account, const char *folder, uint64_t limit,
                           struct weir_spill **ret_spill, struct weir_error *reterr)
{
    struct weir_spill *spill;
    size_t size = strlen(folder);
    if (size == 0 || size + sizeof "/weir-spill-XXXXXX" > SPILL_FOLDER_SIZE)
        return weir_fail(reterr, WEIR_USAGE, "run.spill: a folder of %zu bytes; 1 to %zu are taken",
                         size, SPILL_FOLDER_SIZE - sizeof "/weir-spill-XXXXXX");
    WEIR_TRY(folder_make(folder, reterr));
    WEIR_TRY(weir_alloc_zero(account, 1, sizeof *spill, &spill, reterr));
    spill->account = account;
    spill->limit = limit;
    memcpy(spill->folder, folder, size + 1);
    *ret_spill = spill;
    return WEIR_OK;
}

void weir_spill_free(struct weir_spill *spill)
{
    weir_free(spill);
}

uint64_t weir_spill_bytes(const struct weir_spill *spill)
{
    return atomic_load(&spill->written);
}

/* ---- one file ---- */

static weir_status file_open(const struct weir_spill *spill, int *ret_file,
                             struct weir_error *reterr)
{
    char path[SPILL_FOLDER_SIZE + 32];
    int file = open(spill->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (file < 0) { /* not every file system has nameless files */
        snprintf(path, sizeof path, "%s/weir-spill-XXXXXX", spill->folder);
        file = mkostemp(path, O_CLOEXEC);
        if (file >= 0)
            unlink(path);
    }
    if (file < 0) {
        weir_status status = weir_fail(
            reterr, errno == ENOSPC || errno == EDQUOT ? WEIR_NO_SPACE : WEIR_IO,
            "run.spill: a file in %s: %s", spill->folder, strerror(errno));
        weir_error_hint(reterr, "let run.spill name a folder in which this user may write");
        return status;
    }
    *ret_file = file;
    return WEIR_OK;
}

weir_status weir_spill_file_new(struct weir_spill *spill, struct weir_spill_file **ret_file,
                                struct weir_error *reterr)
{
    struct weir_spill_file *file;
    weir_status status;
    WEIR_TRY(weir_alloc_zero(spill->account, 1, sizeof *file, &file, reterr));
    file->spill = spill;
    file->file = -1;
    WEIR_TRY_OUT(status, weir_alloc(spill->account, SPILL_BUFFER, &file->buffer, reterr));
    WEIR_TRY_OUT(status, file_open(spill, &file->file, reterr));
    *ret_file = file;
    return WEIR_OK;
out:
    weir_spill_file_free(file);
    return status;
}

void weir_spill_file_free(struct weir_spill_file *file)
{
    if (!file)
        return;
    if (file->file >= 0)
        close(file->file);
    atomic_fetch_sub(&file->spill->held, file->reserved);
    weir_free(file->buffer);
    weir_free(file);
}

/* Bytes count against the limit before they go to the disk. */
static weir_status file_reserve(struct weir_spill_file *file, size_t size,
                                struct weir_error *reterr)
{
    struct weir_spill *spill = file->spill;
    uint64_t held = atomic_fetch_add(&spill->held, size) + size;
    if (spill->limit && held > spill->limit) {
        atomic_fetch_sub(&spill->held, size);
        weir_status status = weir_fail(reterr, WEIR_NO_SPACE,
                                       "run.spill: %zu bytes more would pass the limit of %llu",
                                       size, (unsigned long long)spill->limit);
        weir_error_hint(reterr, "raise run.spill or run.memory_limit, or read less at once");
        return status;
    }
    file->reserved += size;
    atomic_fetch_add(&spill->written, size);
    return WEIR_OK;
}

static weir_status file_put(struct weir_spill_file *file, const uint8_t *data, size_t size,
                            uint64_t offset, struct weir_error *reterr)
{
    WEIR_TRY(file_reserve(file, size, reterr));
    while (size) {
        ssize_t put = pwrite(file->file, data, size, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            int reason = errno;
            weir_status status = weir_fail(
                reterr, reason == ENOSPC || reason == EDQUOT ? WEIR_NO_SPACE : WEIR_IO,
                "run.spill: writing %zu bytes in %s: %s", size, file->spill->folder,
                strerror(reason));
            weir_error_hint(reterr, "let run.spill name a folder with more room");
            return status;
        }
        data += put;
        offset += (uint64_t)put;
        size -= (size_t)put;
    }
    return WEIR_OK;
}

static weir_status file_flush(struct weir_spill_file *file, struct weir_error *reterr)
{
    size_t size = file->filled;
    if (size == 0)
        return WEIR_OK;
    file->filled = 0;
    return file_put(file, file->buffer, size, file->size - size, reterr);
}

weir_status weir_spill_write(struct weir_spill_file *file, const void *data, size_t size,
                             struct weir_error *reterr)
{
    if (!file->buffer)
        return weir_fail(reterr, WEIR_INTERNAL, "a spill file is written to after its end");
    if (size > SPILL_BUFFER - file->filled)
        WEIR_TRY(file_flush(file, reterr));
    if (size > SPILL_BUFFER) {
        WEIR_TRY(file_put(file, data, size, file->size, reterr));
        file->size += size;
        return WEIR_OK;
    }
    if (size)
        memcpy(file->buffer + file->filled, data, size);
    file->filled += size;
    file->size += size;
    return WEIR_OK;
}

uint64_t weir_spill_size(const struct weir_spill_file *file)
{
    return file->size;
}

weir_status weir_spill_finish(struct weir_spill_file *file, struct weir_error *reterr)
{
    WEIR_TRY(file_flush(file, reterr));
    weir_free(file->buffer);
    file->buffer = NULL;
    return WEIR_OK;
}

weir_status weir_spill_read(struct weir_spill_file *file, uint64_t offset, void *data, size_t size,
                            struct weir_error *reterr)
{
    uint8_t *at = data;
    uint64_t written = file->size - file->filled;
    if (offset > written || size > written - offset)
        return weir_fail(reterr, WEIR_CORRUPT,
                         "run.spill: %zu bytes at %llu wanted of a file of %llu", size,
                         (unsigned long long)offset, (unsigned long long)written);
    while (size) {
        ssize_t got = pread(file->file, at, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return weir_fail(reterr, WEIR_IO, "run.spill: reading in %s: %s", file->spill->folder,
                             strerror(errno));
        if (got == 0)
            return weir_fail(reterr, WEIR_CORRUPT, "run.spill: a file ends before byte %llu",
                             (unsigned long long)(offset + size));
        at += got;
        offset += (uint64_t)got;
        size -= (size_t)got;
    }
    return WEIR_OK;
}
