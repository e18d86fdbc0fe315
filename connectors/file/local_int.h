/* What the parts of the local store share. */
#ifndef WEIR_CONNECTORS_FILE_LOCAL_INT_H
#define WEIR_CONNECTORS_FILE_LOCAL_INT_H

#include "connectors/file/local.h"
#include "connectors/file/walk_int.h"
#include "engine/base/limits.h"

#include <pthread.h>

#define LOCAL_PATH_SIZE 4096

struct local_store {
    struct weir_context *context;
    struct weir_account account;
    char root[LOCAL_PATH_SIZE]; /* absolute, no '/' at the end unless it is "/" itself */
    atomic_bool settle_failed;  /* a sync failed: nothing more may be called durable */
    pthread_mutex_t lock;       /* guards the rest */
    char **unsettled;           /* names of finished uploads that settle has not synced */
    size_t unsettled_count, unsettled_capacity;
};

weir_status local_path(const struct local_store *store, const char *name,
                       char ret_path[LOCAL_PATH_SIZE], struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status local_write(int file, const char *path, const void *data, size_t size,
                        struct weir_error *reterr) WEIR_MUST_CHECK;
weir_status local_sync_path(const char *path, bool folder,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

/* Appends [offset, offset+size) of an open file (size UINT64_MAX: to the end); CORRUPT if it is not
 * all there. */
weir_status file_read_range(int file, const char *path, uint64_t file_size, uint64_t offset,
                            uint64_t size, struct weir_buffer *out,
                            struct weir_error *reterr) WEIR_MUST_CHECK;

/* Absolute form of a path with the links of what exists resolved; the rest may not exist yet. */
weir_status file_absolute_path(const char *path, char ret_path[LOCAL_PATH_SIZE],
                               struct weir_error *reterr) WEIR_MUST_CHECK;

weir_status local_unsettled_add(struct local_store *store, const char *name,
                                struct weir_error *reterr) WEIR_MUST_CHECK;
void local_unsettled_free(struct local_store *store);
weir_status local_settle(void *self, const char *prefix, struct weir_error *reterr) WEIR_MUST_CHECK;

#endif
