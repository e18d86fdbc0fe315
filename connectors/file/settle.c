/* Durability of finished uploads, and absolute paths. Uploads are linked without a sync, so that
 * many data files cost one wait for the disk at the end instead of one each. */
#include "connectors/file/local_int.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

weir_status local_unsettled_add(struct local_store *store, const char *name,
                                struct weir_error *reterr)
{
    char *copy;
    size_t size = strlen(name) + 1;
    WEIR_TRY(weir_alloc(&store->account, size, &copy, reterr));
    memcpy(copy, name, size);
    weir_status status = WEIR_OK;
    pthread_mutex_lock(&store->lock);
    if (store->unsettled_count == store->unsettled_capacity) {
        size_t capacity = store->unsettled_capacity ? store->unsettled_capacity * 2 : 64;
        status = weir_realloc(&store->unsettled, &store->account,
                              capacity * sizeof *store->unsettled, reterr);
        if (status == WEIR_OK)
            store->unsettled_capacity = capacity;
    }
    if (status == WEIR_OK)
        store->unsettled[store->unsettled_count++] = copy;
    pthread_mutex_unlock(&store->lock);
    if (status != WEIR_OK)
        weir_free(copy);
    return status;
}

static void names_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        weir_free(names[i]);
    weir_free(names);
}

void local_unsettled_free(struct local_store *store)
{
    names_free(store->unsettled, store->unsettled_count);
}

static int name_order(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

struct settling {
    const struct local_store *store;
    char **names;
};

static weir_status settle_file(void *argument, size_t index, struct weir_error *reterr)
{
    const struct settling *settling = argument;
    char path[LOCAL_PATH_SIZE];
    WEIR_TRY(local_path(settling->store, settling->names[index], path, reterr));
    weir_status status = local_sync_path(path, false, reterr);
    return status == WEIR_NOT_FOUND ? WEIR_OK
                                    : status; /* lost a race or removed since: nothing names it */
}

/* Syncs the folders between `name` and the root, except those that `next` lies in too: its turn is
 * later. */
static weir_status settle_folders(const struct local_store *store, const char *name,
                                  const char *next, struct weir_error *reterr)
{
    char folder[WEIR_OBJECT_NAME_MAX + 1], path[LOCAL_PATH_SIZE];
    snprintf(folder, sizeof folder, "%s", name);
    while (*folder) {
        char *slash = strrchr(folder, '/');
        size_t size = slash ? (size_t)(slash - folder) : 0;
        folder[size] = '\0';
        if (next && strncmp(folder, next, size) == 0 && (size == 0 || next[size] == '/'))
            break;
        WEIR_TRY(local_path(store, folder, path, reterr));
        weir_status status = local_sync_path(path, true, reterr);
        if (status != WEIR_OK && status != WEIR_NOT_FOUND)
            return status;
    }
    return WEIR_OK;
}

/* Takes the names that start with prefix out of the store's list. */
static weir_status settle_take(struct local_store *store, const char *prefix, char ***ret_names,
                               size_t *ret_count, struct weir_error *reterr)
{
    char **names;
    size_t count = 0, kept = 0;
    pthread_mutex_lock(&store->lock);
    weir_status status = weir_alloc(&store->account, store->unsettled_count * sizeof *names, &names,
                                    reterr);
    if (status == WEIR_OK) {
        for (size_t i = 0; i < store->unsettled_count; i++) {
            if (strncmp(store->unsettled[i], prefix, strlen(prefix)) == 0)
                names[count++] = store->unsettled[i];
            else
                store->unsettled[kept++] = store->unsettled[i];
        }
        store->unsettled_count = kept;
        *ret_names = names;
        *ret_count = count;
    }
    pthread_mutex_unlock(&store->lock);
    return status;
}

weir_status local_settle(void *self, const char *prefix, struct weir_error *reterr)
{
    struct local_store *store = self;
    char **names;
    size_t count;
    if (atomic_load(&store->settle_failed))
        return weir_fail(reterr, WEIR_IO,
                         "%s: an earlier sync failed, what was written may be lost", store->root);
    WEIR_TRY(settle_take(store, prefix, &names, &count, reterr));
    if (count)
        qsort(names, count, sizeof *names, name_order);
    struct settling settling = {store, names};
    weir_status status = weir_parallel(store->context, count, settle_file, &settling, reterr);
    for (size_t i = 0; status == WEIR_OK && i < count; i++)
        status = settle_folders(store, names[i], i + 1 < count ? names[i + 1] : NULL, reterr);
    if (status != WEIR_OK) /* never tried again: the kernel may have dropped the pages and would
                              then say "done" */
        atomic_store(&store->settle_failed, true);
    names_free(names, count);
    return status;
}

weir_status file_absolute_path(const char *path, char ret_path[LOCAL_PATH_SIZE],
                               struct weir_error *reterr)
{
    char head[LOCAL_PATH_SIZE], real[PATH_MAX], tail[LOCAL_PATH_SIZE] = "", joined[LOCAL_PATH_SIZE];
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof head)
        return weir_fail(reterr, WEIR_USAGE, "path \"%.200s\" is empty or longer than %d bytes",
                         path, LOCAL_PATH_SIZE - 1);
    memcpy(head, path, size + 1);
    while (!realpath(head, real)) {
        if (errno != ENOENT)
            return file_fail(reterr, errno, "looking at", path);
        for (size = strlen(head); size > 1 && head[size - 1] == '/'; size--)
            head[size - 1] = '\0';
        char *slash = strrchr(head, '/');
        const char *part = slash ? slash + 1 : head;
        if (strcmp(part, "..") == 0 || strcmp(part, ".") == 0)
            return weir_fail(reterr, WEIR_USAGE,
                             "path \"%.200s\" goes through a folder that does not exist", path);
        if (snprintf(joined, sizeof joined, "/%s%s", part, tail) >= (int)sizeof joined)
            return weir_fail(reterr, WEIR_USAGE, "path \"%.200s...\" is too long", path);
        memcpy(tail, joined, sizeof tail);
        if (slash)
            slash[slash == head] = '\0';
        else
            memcpy(head, ".", 2);
    }
    if (snprintf(joined, sizeof joined, "%s%s", strcmp(real, "/") == 0 && *tail ? "" : real,
                 tail) >= (int)sizeof joined)
        return weir_fail(reterr, WEIR_USAGE, "path \"%.200s...\" is too long", path);
    memcpy(ret_path, joined, sizeof joined);
    return WEIR_OK;
}
