/* Input files: found by a glob on the local disk or in an object store, and read by ranges.
 *
 * Globs: "*" "?" "[a-z]" within a name, "**" as a whole component for any number of folders. Hidden
 * names (a leading '.') only if the pattern says so. On the local disk symbolic links to folders
 * are not followed. A file that changes between listing and reading is an error (CORRUPT), never
 * half old and half new. Bytes come as they are: decompression is the caller's. */
#ifndef WEIR_CONNECTORS_FILE_FILE_SOURCE_H
#define WEIR_CONNECTORS_FILE_FILE_SOURCE_H

#include "engine/base/io.h"

struct weir_file_source {
    struct weir_context *context;
    const struct weir_object_store *store; /* NULL: the local disk */
};

struct weir_file_entry {
    const char *path; /* for ledgers: an absolute path, or root_uri + "/" + name */
    const char *name; /* in the store, or the same as path */
    uint64_t size;
    char etag[WEIR_ETAG_SIZE];
    int64_t modified_ms;
};

/* Files that match, sorted by the bytes of path, in the arena. On the local disk the pattern may be
 * relative to the working folder; for a store it is relative to the store's root. No file: count 0,
 * OK. A literal local pattern that names a folder: USAGE. More than WEIR_LIST_OBJECTS_MAX:
 * UNSUPPORTED. */
weir_status weir_file_list(const struct weir_file_source *source, const char *pattern,
                           struct weir_arena *arena, struct weir_file_entry **ret_entries,
                           size_t *ret_count, struct weir_error *reterr) WEIR_MUST_CHECK;

struct weir_file;

/* Opens one listed file; CORRUPT if it is not the one that was listed any more. The entry may go
 * afterwards; the source's store must outlive the file. */
weir_status weir_file_open(const struct weir_file_source *source,
                           const struct weir_file_entry *entry, struct weir_file **ret_file,
                           struct weir_error *reterr) WEIR_MUST_CHECK;

/* Appends the bytes [offset, offset+size), fewer only at the end of the file, none beyond it. Any
 * number of threads may read one file at once, each with its own buffer. */
weir_status weir_file_read_at(struct weir_file *file, uint64_t offset, size_t size,
                              struct weir_buffer *out, struct weir_error *reterr) WEIR_MUST_CHECK;

uint64_t weir_file_size(const struct weir_file *file);
/* Keeps no descriptor from now on: each read opens the file, sees that it is the same, and closes
 * it. For many files at once. Not while another thread reads. */
void weir_file_rest(struct weir_file *file);
void weir_file_close(struct weir_file *file); /* NULL-safe */

#endif
