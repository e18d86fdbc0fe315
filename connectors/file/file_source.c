/* Listing by glob and reading by ranges; see file_source.h. */
#include "connectors/file/file_source.h"

#include "connectors/file/local_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- listing --------------------------------------------------------------------------------- */

struct collecting {
    const struct weir_file_source *source;
    const char *pattern; /* relative to base */
    const char *base;    /* local: the folder walked; store: root_uri */
    struct weir_arena *arena;
    struct weir_account *account;
    struct weir_file_entry *entries; /* grows here, copied to the arena at the end */
    size_t count, capacity;
    weir_status status;
    struct weir_error error;
};

static weir_status collect(struct collecting *collecting, const char *name, uint64_t size,
                           const char *etag, int64_t modified_ms, struct weir_error *reterr)
{
    if (!glob_match(collecting->pattern, name))
        return WEIR_OK;
    if (collecting->count == WEIR_LIST_OBJECTS_MAX)
        return weir_fail(reterr, WEIR_UNSUPPORTED, "more than %d files match %s",
                         WEIR_LIST_OBJECTS_MAX, collecting->pattern);
    if (collecting->count == collecting->capacity) {
        size_t capacity = collecting->capacity ? collecting->capacity * 2 : 64;
        WEIR_TRY(weir_realloc(&collecting->entries, collecting->account,
                              capacity * sizeof *collecting->entries, reterr));
        collecting->capacity = capacity;
    }
    struct weir_file_entry *entry = &collecting->entries[collecting->count];
    char *path;
    const char *slash = strcmp(collecting->base, "/") == 0 ? "" : "/";
    WEIR_TRY(weir_arena_print(collecting->arena, &path, reterr, "%s%s%s", collecting->base, slash,
                              name));
    *entry = (struct weir_file_entry){
        .path = path, .name = path, .size = size, .modified_ms = modified_ms};
    if (collecting->source->store)
        entry->name = path + strlen(path) - strlen(name);
    snprintf(entry->etag, sizeof entry->etag, "%s", etag);
    collecting->count++;
    return WEIR_OK;
}

static bool local_enter(void *argument, const char *name)
{
    const struct collecting *collecting = argument;
    return glob_could_enter(collecting->pattern, name);
}

static weir_status local_visit(void *argument, const char *name, const struct stat *status,
                               struct weir_error *reterr)
{
    char etag[WEIR_ETAG_SIZE];
    file_etag(status, etag);
    return collect(argument, name, (uint64_t)status->st_size, etag, file_modified_ms(status),
                   reterr);
}

static weir_status store_visit(void *argument, const struct weir_object_info *info)
{
    struct collecting *collecting = argument;
    collecting->status = collect(collecting, info->name, info->size, info->etag, info->modified_ms,
                                 &collecting->error);
    return collecting->status;
}

static weir_status collect_local(struct collecting *collecting, const char *pattern,
                                 struct weir_error *reterr)
{
    char folder[LOCAL_PATH_SIZE], base[LOCAL_PATH_SIZE], whole[LOCAL_PATH_SIZE];
    struct stat status;
    if (!glob_has_wildcard(pattern) && stat(pattern, &status) == 0 && S_ISDIR(status.st_mode)) {
        weir_status failed = weir_fail(reterr, WEIR_USAGE,
                                       "%s is a folder; a file or a glob is wanted", pattern);
        weir_error_hint(reterr,
                        "For all files in it write %s/*, for those in folders below too %s/**.",
                        pattern, pattern);
        return failed;
    }
    size_t size = glob_folder_size(pattern);
    if (size >= sizeof folder)
        return weir_fail(reterr, WEIR_USAGE, "%.200s...: path longer than %d bytes", pattern,
                         LOCAL_PATH_SIZE - 1);
    memcpy(folder, pattern, size);
    folder[size] = '\0';
    weir_status found = file_absolute_path(size ? folder : ".", base, reterr);
    if (found != WEIR_OK)
        return found == WEIR_NOT_FOUND ? WEIR_OK : found; /* below a file there is nothing */
    collecting->base = base;
    collecting->pattern = pattern + size;
    /* No wildcard: one file, and no walk through its folder. */
    if (!glob_has_wildcard(collecting->pattern)) {
        if (snprintf(whole, sizeof whole, "%s/%s", base, collecting->pattern) >= (int)sizeof whole)
            return weir_fail(reterr, WEIR_USAGE, "%.200s...: path too long", pattern);
        if (stat(whole, &status) != 0)
            return errno == ENOENT || errno == ENOTDIR
                       ? WEIR_OK
                       : file_fail(reterr, errno, "looking at", whole);
        return S_ISREG(status.st_mode)
                   ? local_visit(collecting, collecting->pattern, &status, reterr)
                   : WEIR_OK;
    }
    struct walk walk = {collecting->account, base, local_enter, local_visit, collecting};
    return walk_folder(&walk, "", reterr);
}

static weir_status collect_store(struct collecting *collecting, const char *pattern,
                                 struct weir_error *reterr)
{
    const struct weir_object_store *store = collecting->source->store;
    char prefix[WEIR_OBJECT_NAME_MAX + 1];
    size_t size = strcspn(pattern, "*?[\\");
    if (size > WEIR_OBJECT_NAME_MAX || pattern[0] == '/')
        return weir_fail(reterr, WEIR_USAGE, "pattern \"%.200s\" is absolute or too long", pattern);
    memcpy(prefix, pattern, size);
    prefix[size] = '\0';
    collecting->base = store->root_uri;
    collecting->pattern = pattern;
    weir_status status = store->operations->list(store->self, prefix, store_visit, collecting,
                                                 reterr);
    if (status != WEIR_OK && collecting->status != WEIR_OK && reterr)
        *reterr = collecting->error;
    return status;
}

static int entry_order(const void *a, const void *b)
{
    return strcmp(((const struct weir_file_entry *)a)->path,
                  ((const struct weir_file_entry *)b)->path);
}

weir_status weir_file_list(const struct weir_file_source *source, const char *pattern,
                           struct weir_arena *arena, struct weir_file_entry **ret_entries,
                           size_t *ret_count, struct weir_error *reterr)
{
    struct collecting collecting = {
        .source = source, .arena = arena, .account = &source->context->memory};
    struct weir_file_entry *entries = NULL;
    weir_status status = !*pattern       ? weir_fail(reterr, WEIR_USAGE, "an empty file pattern")
                         : source->store ? collect_store(&collecting, pattern, reterr)
                                         : collect_local(&collecting, pattern, reterr);
    if (status == WEIR_OK && collecting.count) {
        qsort(collecting.entries, collecting.count, sizeof *entries, entry_order);
        status = weir_arena_alloc(arena, collecting.count * sizeof *entries, &entries, reterr);
        if (status == WEIR_OK)
            memcpy(entries, collecting.entries, collecting.count * sizeof *entries);
    }
    weir_free(collecting.entries);
    if (status == WEIR_OK) {
        *ret_entries = entries;
        *ret_count = collecting.count;
    }
    return status;
}

/* ---- reading --------------------------------------------------------------------------------- */

struct weir_file {
    const struct weir_object_store *store; /* NULL: file */
    int file;
    uint64_t size;
    char etag[WEIR_ETAG_SIZE];
    char name[LOCAL_PATH_SIZE];
};

static weir_status changed(const struct weir_file *file, const char *etag,
                           struct weir_error *reterr)
{
    if (strcmp(file->etag, etag) == 0)
        return WEIR_OK;
    weir_status status = weir_fail(reterr, WEIR_CORRUPT,
                                   "%s has changed since it was listed (version %s, now %s)",
                                   file->name, file->etag, etag);
    weir_error_hint(reterr,
                    "Write files under another name, then rename them into place; or start again.");
    return status;
}

/* *ret_descriptor is open only on success. */
static weir_status open_local(const struct weir_file *file, int *ret_descriptor,
                              struct weir_error *reterr)
{
    struct stat status;
    char etag[WEIR_ETAG_SIZE];
    weir_status outcome;
    int descriptor = open(file->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0)
        return file_fail(reterr, errno, "reading", file->name);
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode)) {
        outcome = weir_fail(reterr, WEIR_CORRUPT, "%s is not a regular file any more", file->name);
    } else {
        file_etag(&status, etag);
        outcome = changed(file, etag, reterr);
    }
    if (outcome != WEIR_OK) {
        close(descriptor);
        return outcome;
    }
    (void)posix_fadvise(descriptor, 0, 0, POSIX_FADV_SEQUENTIAL);
    *ret_descriptor = descriptor;
    return WEIR_OK;
}

weir_status weir_file_open(const struct weir_file_source *source,
                           const struct weir_file_entry *entry, struct weir_file **ret_file,
                           struct weir_error *reterr)
{
    struct weir_file *file;
    size_t size = strlen(entry->name);
    if (size >= LOCAL_PATH_SIZE)
        return weir_fail(reterr, WEIR_USAGE, "%.200s...: path too long", entry->name);
    WEIR_TRY(weir_alloc_zero(&source->context->memory, 1, sizeof *file, &file, reterr));
    file->store = source->store;
    file->file = -1;
    file->size = entry->size;
    memcpy(file->name, entry->name, size + 1);
    memcpy(file->etag, entry->etag, sizeof file->etag);
    weir_status status = source->store ? WEIR_OK : open_local(file, &file->file, reterr);
    if (status != WEIR_OK) {
        weir_file_close(file);
        return status;
    }
    *ret_file = file;
    return WEIR_OK;
}

static weir_status read_local(const struct weir_file *file, uint64_t offset, size_t size,
                              struct weir_buffer *out, struct weir_error *reterr)
{
    struct stat status;
    char etag[WEIR_ETAG_SIZE];
    size_t start = out->size;
    int descriptor = file->file;
    if (descriptor < 0)
        WEIR_TRY(open_local(file, &descriptor, reterr));
    weir_status outcome = file_read_range(descriptor, file->name, file->size, offset, size, out,
                                          reterr);
    if (outcome == WEIR_OK && fstat(descriptor, &status) == 0) { /* written in place meanwhile? */
        file_etag(&status, etag);
        outcome = changed(file, etag, reterr);
    }
    out->size = outcome == WEIR_OK ? out->size : start;
    if (file->file < 0)
        close(descriptor);
    return outcome;
}

void weir_file_rest(struct weir_file *file)
{
    if (file->file >= 0)
        close(file->file);
    file->file = -1;
}

weir_status weir_file_read_at(struct weir_file *file, uint64_t offset, size_t size,
                              struct weir_buffer *out, struct weir_error *reterr)
{
    if (offset >= file->size || size == 0)
        return WEIR_OK;
    size = size > file->size - offset ? (size_t)(file->size - offset) : size;
    if (!file->store)
        return read_local(file, offset, size, out, reterr);
    struct weir_object_info info;
    size_t start = out->size;
    WEIR_TRY(file->store->operations->get(file->store->self, file->name, offset, size, out, &info,
                                          reterr));
    weir_status status = changed(file, info.etag, reterr);
    out->size = status == WEIR_OK ? out->size : start;
    return status;
}

uint64_t weir_file_size(const struct weir_file *file)
{
    return file->size;
}

void weir_file_close(struct weir_file *file)
{
    if (!file)
        return;
    if (file->file >= 0)
        close(file->file);
    weir_free(file);
}
